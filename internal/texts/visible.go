package texts

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// obeyed reports whether a terminal or a reader's screen would do something other
// than show a character: a control character, one that has no shape or turns the
// reading direction, or a line break of Unicode's own. Newlines and tabs are not
// among them.
func obeyed(r rune) bool {
	return r != '\n' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// Visible makes a text safe to look at, on a page and on a terminal: control
// characters become their pictures (␛), other characters that are obeyed and not
// shown become their number, and what is not UTF-8 becomes U+FFFD. Newlines and
// tabs stay.
func Visible(s string) string {
	return rewritten(s, func(b *strings.Builder, r rune) {
		switch {
		case r < ' ':
			b.WriteRune('␀' + r)
		case r == 0x7f:
			b.WriteRune('␡')
		default:
			fmt.Fprintf(b, "⟨U+%04X⟩", r)
		}
	})
}

// escaped has each character that Visible would change written as JSON and logfmt
// escape it (\u001b), so that a program that reads a line of these gets the text
// itself.
func escaped(s string) string {
	return rewritten(s, func(b *strings.Builder, r rune) {
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(b, `\u%04x`, unit)
		}
	})
}

// rewritten has each character that is obeyed written in another way; what is not
// UTF-8 becomes U+FFFD.
func rewritten(s string, write func(b *strings.Builder, obeyed rune)) string {
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	for _, r := range s {
		if obeyed(r) {
			write(&b, r)
		} else {
			b.WriteRune(r)
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

// Terminal is a writer for what people read on a terminal: all that is written to
// it becomes Visible. It is safe for concurrent use.
func Terminal(w io.Writer) io.Writer { return &safeWriter{w: w, safe: Visible} }

// LogLines is a writer for whole lines of JSON or logfmt, in which others' texts
// stand: what a terminal would obey is escaped. It is safe for concurrent use.
func LogLines(w io.Writer) io.Writer { return &safeWriter{w: w, safe: escaped} }

type safeWriter struct {
	w    io.Writer
	safe func(string) string

	mu   sync.Mutex
	part []byte // the beginning of a character, whose end is in the next Write
}

// Write writes all but the beginning of a character that p ends with.
func (t *safeWriter) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := append(t.part, p...)
	end := len(text)
	for i := len(text) - 1; i >= max(0, len(text)-utf8.UTFMax); i-- {
		if utf8.RuneStart(text[i]) {
			if !utf8.FullRune(text[i:]) {
				end = i
			}
			break
		}
	}
	t.part = append([]byte(nil), text[end:]...)
	if end == 0 {
		return len(p), nil
	}
	if _, err := io.WriteString(t.w, t.safe(string(text[:end]))); err != nil {
		return 0, err
	}
	return len(p), nil
}
