package config

import (
	"errors"
	"io"
	"testing"

	"scriptbridge/internal/panics"
)

const nilFault = "this is a fault of scriptbridge itself: runtime error: invalid memory address or nil pointer dereference (please report it; --log.level=debug tells where it is)"

// A panic becomes an error that names the file, unless one inside knows better
// where it happened.
func TestGuarded(t *testing.T) {
	located := &Error{Position: Position{File: "part.yml", Line: 3}, Problem: "it is bad"}
	var none *Config
	for _, c := range []struct {
		do   func() (int, error)
		want string
	}{
		{func() (int, error) { return 1, nil }, ""},
		{func() (int, error) { return 0, io.EOF }, "EOF"},
		{func() (int, error) { return len(none.File), nil }, "main.yml: " + nilFault},
		{func() (int, error) { return 0, errors.Join(io.EOF, located) }, "EOF\npart.yml:3: it is bad"},
		{func() (int, error) {
			located := *located
			located.Cause = panics.Try(func() error { panic("odd") })
			return 0, &located
		}, "part.yml:3: it is bad"},
		{func() (int, error) { return 0, panics.Try(func() error { panic("odd") }) },
			"main.yml: this is a fault of scriptbridge itself: odd (please report it; --log.level=debug tells where it is)"},
	} {
		n, err := Guarded("main.yml", c.do)
		if c.want == "" && (n != 1 || err != nil) || c.want != "" && (err == nil || err.Error() != c.want) {
			t.Errorf("%d and %v\nwant %s", n, err, c.want)
		}
	}
}
