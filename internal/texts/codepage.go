package texts

import (
	"bytes"
	"unicode/utf8"
)

// decodeLines gives a text in UTF-8 of which some lines are in the encoding that decode
// reads: those that are no UTF-8. A text may have been cut within a character.
func decodeLines(text []byte, decode func(line []byte) []byte) []byte {
	if utf8.Valid(text) || utf8.Valid(whole(text)) {
		return text
	}
	var out []byte
	for line := range bytes.Lines(text) {
		if !utf8.Valid(line) && !utf8.Valid(whole(line)) {
			line = decode(line)
		}
		out = append(out, line...)
	}
	return out
}

// whole is a text without a character of UTF-8 at its end of which a part is missing.
func whole(text []byte) []byte {
	for i := len(text) - 1; i >= 0 && i > len(text)-utf8.UTFMax; i-- {
		if utf8.RuneStart(text[i]) {
			if text[i] >= utf8.RuneSelf && !utf8.FullRune(text[i:]) {
				return text[:i]
			}
			break
		}
	}
	return text
}
