package web

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"scriptbridge/internal/texts"
	"scriptbridge/status"
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

func roughly(d time.Duration) string { return texts.Roughly(d) }

func took(d time.Duration) string { return texts.Took(d) }

// plainNumber gives a value exactly, as people write it: with an exponent only
// where the digits alone would be too many to read.
func plainNumber(v float64) string {
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

func number(n int) string { return texts.Number(n) }

// count is a number with its noun, whose plural takes an s.
func count(n int, noun string) string {
	return number(n) + " " + texts.Plural(n, noun)
}

// tabTitle has what a tab in the background has to tell.
func tabTitle(rows []*scriptRow, others []other) string {
	var bad []string
	for _, s := range []status.State{status.Failing, status.Critical} {
		n := 0
		for _, r := range rows {
			if r.state == s {
				n++
			}
		}
		if n > 0 {
			bad = append(bad, number(n)+" "+s.Words())
		}
	}
	for _, o := range others {
		if o.Tab != "" {
			bad = append(bad, o.Tab)
		}
	}
	if len(bad) == 0 {
		return "scriptbridge"
	}
	return "(" + strings.Join(bad, ", ") + ") scriptbridge"
}
