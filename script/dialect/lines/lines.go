// Package lines has what dialects share in reading the lines of an output:
// words and decimal numbers (lines.go), lines of a name and a value (plain.go),
// the samples that are made of them (samples.go) and which of these is that of a
// series (index.go), and the lines that are refused (refusals.go).
package lines

import (
	"bytes"
	"strconv"
	"strings"
)

// ParseDecimal reads a finite decimal number as scripts print it: no hex, no
// underscore, no Inf, no NaN; a leading zero means nothing.
func ParseDecimal[T string | []byte](word T) (float64, bool) {
	if v, ok := ShortDecimal(word); ok {
		return v, true
	}
	for i := range len(word) {
		switch c := word[i]; {
		case '0' <= c && c <= '9', c == '.', c == '-', c == '+', c == 'e', c == 'E':
		default:
			return 0, false
		}
	}
	v, err := strconv.ParseFloat(string(word), 64)
	return v, err == nil
}

// ShortDecimal reads a decimal number without an exponent and with at most 15
// digits, as nearly all are: digits and power of ten are both exact as float64, so
// that their quotient is the nearest number. Of all else it is false.
func ShortDecimal[T string | []byte](word T) (float64, bool) {
	i := 0
	if len(word) > 0 && (word[0] == '-' || word[0] == '+') {
		i = 1
	}
	digits, point := uint64(0), -1
	first := i
	for ; i < len(word); i++ {
		c := word[i]
		switch {
		case '0' <= c && c <= '9':
			digits = 10*digits + uint64(c-'0')
		case c == '.' && point < 0:
			point = i
		default:
			return 0, false
		}
	}
	n, decimals := i-first, 0
	if point >= 0 {
		n, decimals = n-1, i-point-1
	}
	if n < 1 || n >= len(powers) {
		return 0, false
	}
	v := float64(digits) / powers[decimals]
	if word[0] == '-' {
		v = -v
	}
	return v, true
}

var powers = [16]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// CutWord cuts the first word off text, which begins with none but it.
func CutWord[T string | []byte](text T) (word, rest T) {
	for i := range len(text) {
		if IsBlank(text[i]) {
			return text[:i], TrimBlanks(text[i:])
		}
	}
	return text, rest
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
func TrimBlanks[T string | []byte](text T) T {
	text = TrimLeftBlanks(text)
	for len(text) > 0 && IsBlank(text[len(text)-1]) {
		text = text[:len(text)-1]
	}
	return text
}

// TrimLeftBlanks cuts white space off the beginning.
func TrimLeftBlanks[T string | []byte](text T) T {
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
