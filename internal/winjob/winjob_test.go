package winjob

import (
	"strings"
	"testing"
	"unicode/utf16"
)

func TestEnvironmentBlock(t *testing.T) {
	for _, test := range []struct {
		name string
		env  []string
		want string // with | for NUL
		err  string
	}{
		{"none", nil, "||", ""},
		{"one", []string{"A=1"}, "A=1||", ""},
		{"sorted without regard to case", []string{"b=1", "C=2", "a=3"}, "a=3|b=1|C=2||", ""},
		{"the last of a name, whatever its case", []string{"Path=1", "PATH=2", "A=1", "path=3"}, "A=1|path=3||", ""},
		{"a name that begins another", []string{"AB=1", "A=2"}, "A=2|AB=1||", ""},
		{"folders of drives", []string{"=D:=D:\\x", "A=1", "=C:=C:\\"}, "=C:=C:\\|=D:=D:\\x|A=1||", ""},
		{"empty, and with = in it", []string{"A=", "B=x=y"}, "A=|B=x=y||", ""},
		{"no variables", []string{"A", "", "="}, "||", ""},
		{"letters beyond those of ASCII", []string{"É=1", "é=2", "𝄞=3"}, "é=2|𝄞=3||", ""},
		{"NUL", []string{"A=1\x00B=2"}, "", "a variable of its environment has a NUL character in it"},
	} {
		t.Run(test.name, func(t *testing.T) {
			block, err := environmentBlock(test.env)
			if got := strings.ReplaceAll(string(utf16.Decode(block)), "\x00", "|"); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if text := errorText(err); text != test.err {
				t.Errorf("error %q, want %q", text, test.err)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
