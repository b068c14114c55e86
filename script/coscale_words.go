package script

import (
	"bytes"
	"strconv"
	"strings"
)

// parseDecimal reads a finite decimal number as scripts print it: no hex, no
// underscore, no Inf, no NaN; a leading zero means nothing.
func parseDecimal(word []byte) (float64, bool) {
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

// cutWord cuts the first word off text, which begins with none but it.
func cutWord(text []byte) (word, rest []byte) {
	for i, c := range text {
		if isBlank(c) {
			return text[:i], trimBlanks(text[i:])
		}
	}
	return text, nil
}

// looksGlued reports whether another metric or event begins within text:
// threads that print at once lose each other's line ends (coscale-scripts.md,
// 2.12). In front of it stands the end of an event (a quote, or a quote and S
// or A) or, where text is a value, a digit.
func looksGlued(text []byte, value bool) bool {
	for i := 1; i < len(text); i++ {
		if !isCoscaleData(text[i:]) {
			continue
		}
		before := text[:i]
		switch c := before[i-1]; {
		case value && '0' <= c && c <= '9':
			return true
		case c == 'S', c == 'A':
			before = trimBlanks(before[:i-1])
		}
		if bytes.HasSuffix(before, []byte(`"`)) {
			return true
		}
	}
	return false
}

// isCoscaleData reports whether line begins as one of data does.
func isCoscaleData(line []byte) bool {
	if len(line) == 0 || line[0] != 'M' && line[0] != 'E' {
		return false
	}
	_, rest, ok := cutID(line[1:])
	return ok && len(rest) > 0 && isBlank(rest[0])
}

// listIDs names some of what is declared.
func listIDs[T any](all []T, id func(T) string) string {
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

func isBlank(c byte) bool {
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f'
}

func trimBlanks(text []byte) []byte {
	text = trimLeftBlanks(text)
	for len(text) > 0 && isBlank(text[len(text)-1]) {
		text = text[:len(text)-1]
	}
	return text
}

func trimLeftBlanks(text []byte) []byte {
	for len(text) > 0 && isBlank(text[0]) {
		text = text[1:]
	}
	return text
}

// clip shortens a text for a message.
func clip(text []byte) []byte { return text[:min(len(text), 100)] }
