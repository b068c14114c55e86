package coscale

import (
	"bytes"

	"scriptbridge/script/dialect/lines"
)

// cutID cuts the digits that text begins with off it. An id too large to be
// one is not ok.
func cutID(text []byte) (id uint64, rest []byte, ok bool) {
	i := 0
	for i < len(text) && '0' <= text[i] && text[i] <= '9' {
		if id > 1e18 {
			return 0, nil, false
		}
		id = 10*id + uint64(text[i]-'0')
		i++
	}
	return id, text[i:], i > 0
}

// looksGlued reports whether another metric or event begins within text:
// threads that print at once lose each other's line ends. In front of it stands the end of an event (a quote, or a quote and S
// or A) or, where text is a value, a digit.
func looksGlued(text []byte, value bool) bool {
	for i := 1; i < len(text); i++ {
		if !isData(text[i:]) {
			continue
		}
		before := text[:i]
		switch c := before[i-1]; {
		case value && '0' <= c && c <= '9':
			return true
		case c == 'S', c == 'A':
			before = lines.TrimBlanks(before[:i-1])
		}
		if bytes.HasSuffix(before, []byte(`"`)) {
			return true
		}
	}
	return false
}

// isData reports whether line begins as one of data does.
func isData(line []byte) bool {
	if len(line) == 0 || line[0] != 'M' && line[0] != 'E' {
		return false
	}
	_, rest, ok := cutID(line[1:])
	return ok && len(rest) > 0 && lines.IsBlank(rest[0])
}
