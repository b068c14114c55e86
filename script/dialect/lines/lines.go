// Package lines has what dialects share in reading the lines of an output:
// words and decimal numbers (lines.go), lines of a name and a value (plain.go),
// and the lines that are refused (refusals.go).
package lines

import (
	"bytes"
	"strconv"
	"strings"
)

// ParseDecimal reads a finite decimal number as scripts print it: no hex, no
// underscore, no Inf, no NaN; a leading zero means nothing.
func ParseDecimal(word []byte) (float64, bool) {
	for _, c := range word {
		switch {
		case '0' <= c && c <= '9', c == '.', c == '-', c == '+', c == 'e', c == 'E':
		default:
			return 0, false
		}
	}
	v, err := strconv.ParseFloat(string(word), 64)
	return v, err == nil
}

// CutWord cuts the first word off text, which begins with none but it.
func CutWord(text []byte) (word, rest []byte) {
	for i, c := range text {
		if IsBlank(c) {
			return text[:i], TrimBlanks(text[i:])
		}
	}
	return text, nil
}

// ListIDs names some of what is declared.
func ListIDs[T any](all []T, id func(T) string) string {
	const most = 10
	ids := make([]string, 0, most)
	for _, one := range all[:min(len(all), most)] {
		ids = append(ids, id(one))
	}
	switch {
	case len(all) == 0:
		return "none"
	case len(all) > most:
		ids = append(ids, "…")
	}
	return strings.Join(ids, ", ")
}

// IsBlank reports whether c is white space in ASCII.
func IsBlank(c byte) bool {
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f'
}

// TrimBlanks cuts white space off both ends.
func TrimBlanks(text []byte) []byte {
	text = TrimLeftBlanks(text)
	for len(text) > 0 && IsBlank(text[len(text)-1]) {
		text = text[:len(text)-1]
	}
	return text
}

// TrimLeftBlanks cuts white space off the beginning.
func TrimLeftBlanks(text []byte) []byte {
	for len(text) > 0 && IsBlank(text[0]) {
		text = text[1:]
	}
	return text
}

// Clip shortens a text for a message.
func Clip(text []byte) []byte { return text[:min(len(text), 100)] }

// Trimmed gives every line of out, without the blanks around it.
func Trimmed(out []byte) func(func([]byte) bool) {
	out = bytes.TrimPrefix(out, []byte("\ufeff"))
	return func(yield func([]byte) bool) {
		for line := range bytes.Lines(out) {
			if !yield(TrimBlanks(line)) {
				return
			}
		}
	}
}

// IsEmpty reports whether there is nothing to see in text.
func IsEmpty(text []byte) bool { return len(bytes.TrimSpace(text)) == 0 }
