package config

import (
	"os"
	"path/filepath"
	"testing"
)

// What a part says counts, and not where it lies, even where its fields cannot
// be compared by ==; and what its files hold.
func TestInputs(t *testing.T) {
	type part struct {
		Name   string
		List   []string
		ByName map[string]*int
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	make := func(n int) *part { return &part{"a", []string{"b"}, map[string]*int{"c": &n}} }
	write("one")
	first := InputsOf(make(1), file)
	if !first.Equal(InputsOf(make(1), file)) || !first.Equal(first) {
		t.Error("the same is not equal")
	}
	if first.Equal(InputsOf(make(2), file)) || first.Equal(InputsOf(make(1))) || first.Equal(Inputs{}) {
		t.Error("what differs is equal")
	}
	write("two")
	if first.Equal(InputsOf(make(1), file)) {
		t.Error("a renewed file makes no difference")
	}
}
