package coscale

import (
	"fmt"
	"regexp"
	"strconv"

	"scriptbridge/internal/texts"
)

// StoredAnswer is the answer to a call with points; first is why the first of those
// that were refused was, and parts are those refused.
func StoredAnswer(points, refused int, first error, parts []Refusal) any {
	return insertAnswer{Msg: storedText(points, refused, first), Refused: parts}
}

func storedText(points, refused int, first error) string {
	text := texts.Count(points, "point") + " stored"
	if refused > 0 {
		text += fmt.Sprintf(", %d refused: %v", refused, first)
	}
	return text
}

var storedForm = regexp.MustCompile(`(?s)^(\d+) points? stored, (\d+) refused: (.*)$`)

// refusedOf reads the answer to a call with points: nil unless it is a StoredAnswer,
// and says that some were refused.
func (a *insertAnswer) refusedOf() error {
	m := storedForm.FindStringSubmatch(a.Msg)
	if m == nil {
		return nil
	}
	stored, err := strconv.Atoi(m[1])
	refused, err2 := strconv.Atoi(m[2])
	if err != nil || err2 != nil || refused == 0 {
		return nil
	}
	return &RefusedError{Stored: stored, Refused: refused, Reason: cut(withoutSecrets(m[3], a.secrets)), Points: a.Refused}
}

// RefusedError says that a call with points was taken, but not all of them.
type RefusedError struct {
	Stored, Refused int
	Reason          string // of the first, in so far as it may be told
	// Points are those that the server named of them: all, none, or some.
	Points []Refusal
}

// Alike is the error without what differs from one time to the next.
func (e *RefusedError) Alike() string { return numbers.ReplaceAllString(e.Reason, "#") }

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%d of %s refused: %s", e.Refused, texts.Count(e.Stored+e.Refused, "point"), e.Reason)
}
