package terminal

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPointed(t *testing.T) {
	long := strings.Repeat("a", 60)
	for _, c := range []struct {
		line, about   string
		columns       int
		shown, carets string
	}{
		{`b{ 2`, `"2" does not begin with a label's name (write name{label="value"} 1)`, 80, `b{ 2`, `   ^`},
		{`c 3 x y`, `c: "x" is not a time in whole milliseconds`, 80, `c 3 x y`, `    ^`},
		// The quoted word comes before the subject; without one it is the subject.
		{`lossy many`, `lossy: "many" is not a number`, 80, `lossy many`, `      ^^^^`},
		{`up 1`, `up: the name is the bridge's own`, 80, `up 1`, `^^`},
		// A word, and not a part of another; where it stands twice, both are marked.
		{`x2 2`, `"2" is no name`, 80, `x2 2`, `   ^`},
		{`x 2 2`, `"2" is not a time`, 80, `x 2 2`, `  ^ ^`},
		{`M1=abc`, `"ab" is no value`, 80, `M1=abc`, `   ^^`},
		// A word without quotes counts where it is no English.
		{`M98 7`, `the metric M98 is not declared`, 80, `M98 7`, `^^^`},
		{`the line is bad`, `the line is not one of this kind`, 80, `the line is bad`, ``},
		// The remedy names other things.
		{`a=1 b`, `it has no value (write a=1 b=2)`, 80, `a=1 b`, ``},
		// What is escaped takes more columns, and what takes two cannot be counted.
		{"a\x1b[2J b", `"b" is not a number`, 80, `a\x1b[2J b`, `         ^`},
		{"\xff b", `"b" is not a number`, 80, `\xff b`, `     ^`},
		{"é b", `"b" is not a number`, 80, `é b`, `  ^`},
		{"日 b", `"b" is not a number`, 80, `日 b`, ``},
		{"b 日", `"b" is not a number`, 80, `b 日`, `^`},
		// A long line is cut around what is meant.
		{long + " b " + long, `"b" is not a number`, 20, "…aaaa b aaaaaaaaaa…", "      ^"},
		{long, `it is too long`, 20, strings.Repeat("a", 18) + "…", ""},
		{"b " + long, `"b" is not a number`, 20, "b " + strings.Repeat("a", 16) + "…", "^"},
		{long + " b", `"b" is not a number`, 20, "…" + strings.Repeat("a", 16) + " b", strings.Repeat(" ", 18) + "^"},
		{"", `"" is not a number`, 80, "", ""},
	} {
		shown, carets := Pointed(c.line, c.about, c.columns)
		if shown != c.shown || carets != c.carets {
			t.Errorf("%q, %s:\n%s|\n%s|\nnot\n%s|\n%s|", c.line, c.about, shown, carets, c.shown, c.carets)
		}
	}
}

// Whatever the line is, what is shown fits, moves no cursor, and has carets below it.
func FuzzPointed(f *testing.F) {
	f.Add("lossy many", `"many" is not a number`, 20)
	f.Add("\x1b[2J\xff\u202e日", `"\x1b" is not a number`, 3)
	f.Fuzz(func(t *testing.T, line, about string, columns int) {
		shown, carets := Pointed(line, about, columns)
		if n := utf8.RuneCountInString(shown); columns > 2 && n > columns || len(carets) > n {
			t.Errorf("%q in %d columns: %q, %q", line, columns, shown, carets)
		}
		if strings.ContainsAny(shown, "\x1b\n\r") || strings.Trim(carets, " ^") != "" {
			t.Errorf("%q: %q, %q", line, shown, carets)
		}
	})
}
