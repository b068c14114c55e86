package web

import (
	"math"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"scriptbridge/internal/texts"
)

// sentence makes one of a clause.
func sentence(clause string) string {
	r, n := utf8.DecodeRuneInString(clause)
	return string(unicode.ToUpper(r)) + clause[n:] + "."
}

// shownTime is a time for the template: how long ago or how soon, and exactly.
// The zero value shows as a dash.
type shownTime struct {
	Text  string // "12 s ago"
	Exact string // 2006-01-02 15:04:05 -0700
	ISO   string // for <time datetime>
}

func exactly(t time.Time, text string) shownTime {
	return shownTime{Text: text, Exact: t.Format("2006-01-02 15:04:05 -0700"), ISO: t.UTC().Format(time.RFC3339)}
}

func ago(t, now time.Time) shownTime {
	switch d := now.Sub(t); {
	case t.IsZero():
		return shownTime{}
	case d < 0:
		return exactly(t, "in "+roughly(-d))
	case d < time.Second:
		return exactly(t, "just now")
	default:
		return exactly(t, roughly(d)+" ago")
	}
}

func soon(t, now time.Time) shownTime {
	switch d := t.Sub(now); {
	case t.IsZero():
		return shownTime{}
	case d < time.Second:
		return exactly(t, "now")
	default:
		return exactly(t, "in "+roughly(d))
	}
}

// roughly gives the largest unit of a duration, which never shows less than
// one of it.
func roughly(d time.Duration) string {
	switch {
	case d < time.Second:
		return "1 s"
	case d < 2*time.Minute:
		return strconv.Itoa(int(d/time.Second)) + " s"
	case d < 2*time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + " min"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + " h"
	default:
		return strconv.Itoa(int(d/(24*time.Hour))) + " d"
	}
}

// took gives a duration as people read it, to about three digits.
func took(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return strconv.FormatInt(d.Microseconds(), 10) + " µs"
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	case d < 100*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	}
	return texts.Span(d.Round(time.Second))
}

// plainNumber gives a value exactly, as people write it: with an exponent only
// where the digits alone would be too many to read.
func plainNumber(v float64) string {
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// number groups thousands: 10,000.
func number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// count is a number with its noun, whose plural takes an s.
func count(n int, noun string) string {
	return number(n) + " " + texts.Plural(n, noun)
}
