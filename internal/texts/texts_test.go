package texts

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestShorten(t *testing.T) {
	for _, c := range []struct {
		in   string
		n    int
		want string
	}{{"short", 5, "short"}, {"longer", 5, "longe…"}, {"aé", 2, "a…"}, {"\x80\x80\x80", 2, "…"}} {
		if got := Shorten(c.in, c.n); got != c.want {
			t.Errorf("Shorten(%q, %d) = %q, want %q", c.in, c.n, got, c.want)
		}
	}
}

// FuzzCut: what is left is the beginning, no longer than asked for, and no rune
// of it is in two.
func FuzzCut(f *testing.F) {
	f.Add("aé", 2)
	f.Fuzz(func(t *testing.T, s string, n int) {
		if n < 0 {
			t.Skip()
		}
		got := Cut(s, n)
		if !strings.HasPrefix(s, got) || len(got) > n {
			t.Fatalf("Cut(%q, %d) = %q", s, n, got)
		}
		if utf8.ValidString(s) && (!utf8.ValidString(got) || len(got) < min(n, len(s))-utf8.UTFMax) {
			t.Fatalf("Cut(%q, %d) = %q", s, n, got)
		}
	})
}

func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{
		" two\r\n lines\t": "two lines", "\x1b[31mred\u202e": "[31mred", "caf\xe9": "caf?", "naïve": "naïve", "": "",
	} {
		if got := OneLine(in); got != want {
			t.Errorf("OneLine(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		`a "quoted" \ word`: `a "quoted" \ word`, "a\nb\x1b[2J": `a\nb\x1b[2J`, "x\u202ey": `x\u202ey`, "caf\xe9 naïve": `caf\xe9 naïve`,
	} {
		if got := Printable(in); got != want {
			t.Errorf("Printable(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 points", 1: "1 point", 2: "2 points", 1000: "1000 points"} {
		if got := Count(n, "point"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestMembers(t *testing.T) {
	for in, want := range map[string]string{
		`{}`:                                   "",
		` {"b": "x\n", "a": [1, 2], "b":null}`: "b=x\n;a=[1, 2];b=null;",
		`{"a": "b"} x`:                         "something follows it",
		`[1]`:                                  "it is no object",
		`{"a"`:                                 "EOF",
		`{"a":1`:                               "EOF",
	} {
		members, err := Members([]byte(in))
		var got strings.Builder
		for _, m := range members {
			got.WriteString(m.Name + "=" + m.Text() + ";")
		}
		if err != nil {
			got.WriteString(err.Error())
		}
		if got.String() != want {
			t.Errorf("%s: got %q, want %q", in, got.String(), want)
		}
	}
}
