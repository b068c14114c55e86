// Package texts is what several packages do with the texts of others: cut them
// and make them safe to look at (texts.go), and take JSON objects apart in
// their order (json.go).
package texts

import (
	"fmt"
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

// Visible makes a text safe to look at on an HTML page: control characters
// become their pictures (␛), other characters that have no shape or turn the
// reading direction become their number, and what is not UTF-8 becomes U+FFFD.
// Newlines and tabs stay.
func Visible(s string) string {
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	for _, r := range s {
		switch {
		case r == '\n' || r == '\t':
			b.WriteRune(r)
		case r < ' ':
			b.WriteRune('␀' + r)
		case r == 0x7f:
			b.WriteRune('␡')
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp):
			fmt.Fprintf(&b, "⟨U+%04X⟩", r)
		default:
			b.WriteRune(r) // U+FFFD for each byte that is not UTF-8
		}
	}
	return b.String()
}

func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || c == 0x7f || c < ' ' && c != '\n' && c != '\t' {
			return false
		}
	}
	return true
}

// Printable escapes what would move a terminal's cursor or break a comment.
func Printable(s string) string {
	q := strconv.Quote(s)
	// A quote and a backslash do neither, and may be part of what to type.
	return strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(q[1 : len(q)-1])
}

// ControlPicture is for strings.Map over what goes to a terminal, line by line:
// it shows a control character, which a terminal would obey, as a picture.
func ControlPicture(r rune) rune {
	switch {
	case r == '\n':
		return r
	case r < ' ':
		return '␀' + r
	case r >= 0x7f && r < 0xa0:
		return utf8.RuneError
	}
	return r
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
