package texts

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"plain\ttext\n":                "plain\ttext\n",
		"\x1b[31mred\x1b[0m":           "␛[31mred␛[0m",
		"a\x00b\r\x7f":                 "a␀b␍␡",
		"caf\xe9 \xff\xfe":             "caf\uFFFD \uFFFD\uFFFD",
		"naïve 日本 😀":                   "naïve 日本 😀",
		"user\u202egpj.exe":            "user⟨U+202E⟩gpj.exe",
		"\u0085\u2028\ufeffzero\u200b": "⟨U+0085⟩⟨U+2028⟩⟨U+FEFF⟩zero⟨U+200B⟩",
	} {
		if got := Visible(in); got != want {
			t.Errorf("Visible(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzVisible(f *testing.F) {
	f.Add("plain")
	f.Add("\x1b]0;title\x07\xff\u202e")
	f.Fuzz(func(t *testing.T, s string) {
		got := Visible(s)
		if !utf8.ValidString(got) {
			t.Fatalf("%q is not UTF-8", got)
		}
		for _, r := range got {
			if obeyed(r) {
				t.Fatalf("%q holds %U", got, r)
			}
		}
		if again := Visible(got); again != got {
			t.Fatalf("%q becomes %q", got, again)
		}
	})
}

// nasty is what a terminal or a reader's eye would be deceived by.
const nasty = "\x00\x07\x1b[2J\x1b]0;t\x07\r\x7f\u0085\u009b31m\u00ad\u200b\u200f\u202a\u202b\u202c\u202d\u202e\u2028\u2029\u2066\u2067\u2068\u2069\ufeff\U000e0041"

// Pieces of a character that come one by one are one character.
func TestTerminal(t *testing.T) {
	for _, text := range []string{nasty + "\n", "naïve 日本 😀\n", "caf\xe9 \xff\xfe\xf0\x9f\n", "plain\n"} {
		for _, size := range []int{1, 2, 3, 5, len(text)} {
			var got strings.Builder
			w := Terminal(&got)
			for rest := []byte(text); len(rest) > 0; rest = rest[min(size, len(rest)):] {
				piece := rest[:min(size, len(rest))]
				if n, err := w.Write(piece); n != len(piece) || err != nil {
					t.Fatal(n, err)
				}
			}
			if got.String() != Visible(text) {
				t.Errorf("%q by %d became %q", text, size, got.String())
			}
		}
	}
}

// A line keeps its meaning to a program that reads it.
func FuzzLogLines(f *testing.F) {
	f.Add(nasty)
	f.Fuzz(func(t *testing.T, s string) {
		line, err := json.Marshal(s)
		if err != nil || !utf8.ValidString(s) {
			t.Skip()
		}
		var got strings.Builder
		if _, err := LogLines(&got).Write(append(line, '\n')); err != nil {
			t.Fatal(err)
		}
		for _, r := range got.String() {
			if obeyed(r) {
				t.Fatalf("%q holds %U", got.String(), r)
			}
		}
		var back string
		if err := json.Unmarshal([]byte(got.String()), &back); err != nil || back != s {
			t.Fatalf("%q became %q, %v", s, back, err)
		}
	})
}
