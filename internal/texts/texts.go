// Package texts is what several packages do with the texts of others: cut them
// (texts.go), make them safe to look at (visible.go), take secrets out of them
// (hide.go), write JSON, and take its objects apart in their order (json.go). people.go
// writes durations and numbers for people.
package texts

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Cut shortens a text to at most n bytes, at a rune's boundary.
func Cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Shorten is Cut with an ellipsis, beyond the n bytes, in the place of what is
// cut off.
func Shorten(s string, n int) string {
	if cut := Cut(s, n); len(cut) < len(s) {
		return cut + "…"
	}
	return s
}

// OneLine is a text as valid UTF-8, without line breaks and without what a
// terminal would obey; blanks in a row become one space.
func OneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	return strings.Join(strings.Fields(s), " ")
}

// Printable escapes what would move a terminal's cursor or break a comment.
func Printable(s string) string {
	q := strconv.Quote(s)
	// A quote and a backslash do neither, and may be part of what to type.
	return strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(q[1 : len(q)-1])
}

// Count is a number with its noun, whose plural takes an s.
func Count(n int, noun string) string { return strconv.Itoa(n) + " " + Plural(n, noun) }

// Plural is the noun for n things.
func Plural(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}
