package record

import (
	"strconv"
	"strings"
	"unicode"
)

// This file has what the StatsD daemon made of what it handed to its backends,
// whose histories uploads continue.

// IsStatsD says whether a source is the receiver for StatsD. The Meta.ID of its
// samples is the name that the client sent, without tags.
func (s *Source) IsStatsD() bool { return s.Kind == Receiver && s.Name == "statsd" }

// StatsDName is a client's name as the daemon had it: blanks and slashes
// replaced, and all other than letters, digits, _ - and . left out. Of some
// names nothing is left.
func StatsDName(id string) string {
	blank := false
	return strings.Map(func(r rune) rune {
		again := blank
		blank = unicode.IsSpace(r)
		switch {
		case blank && !again:
			return '_'
		case r == '/':
			return '-'
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-', r == '.':
			return r
		}
		return -1
	}, id)
}

// StatsDMilliseconds gives the milliseconds that a timer's number of seconds was
// made of: 1001 and not 1000.9999999999999.
func StatsDMilliseconds(seconds float64) float64 {
	v := seconds * 1000
	if short, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 15, 64), 64); err == nil {
		return short
	}
	return v
}
