package record

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"time"
)

// Event is something that happened. The same ID again is the same event: it
// replaces the former one and is neither counted nor sent twice, and logged again only
// when it has ended in the meantime.
type Event struct {
	ID      string // see Identify
	Name    string // the declared name of its kind
	Message string
	Start   time.Time
	Stop    time.Time // zero: still open
	Subject Subject
	// Attributes in the order of the source; values as text.
	Attributes []Label
	Meta       *EventMeta
	Line       int // as in Sample
}

// Identify gives the event's identity: 16 hex digits of SHA-256 over the
// source, the event, absolute start and stop, subject, message and attributes.
func (e *Event) Identify(s *Source) string {
	h := sha256.New()
	var n [8]byte
	number := func(v int64) {
		binary.BigEndian.PutUint64(n[:], uint64(v))
		h.Write(n[:])
	}
	text := func(v string) { // its length first, so that no two lists read alike
		number(int64(len(v)))
		h.Write([]byte(v))
	}
	unixTime := func(t time.Time) {
		if t.IsZero() {
			number(0)
			return
		}
		number(t.Unix())
	}
	text(string(s.Kind))
	text(s.Name)
	text(e.Name)
	unixTime(e.Start)
	unixTime(e.Stop)
	number(int64(e.Subject.Kind))
	text(e.Subject.Name)
	text(e.Message)
	for _, a := range e.Attributes {
		text(a.Name)
		text(a.Value)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Latest gives the newest n events of have, which has the newest first, and of
// come, which came after them in its order. Of those with the same ID only the
// newest is there. What it gives shares nothing with come.
func Latest(have, come []Event, n int) []Event {
	if len(come) == 0 {
		return have
	}
	latest := make([]Event, 0, min(n, len(have)+len(come)))
	seen := make(map[string]bool, cap(latest))
	add := func(e *Event) bool {
		if len(latest) < n && !seen[e.ID] {
			seen[e.ID] = true
			latest = append(latest, *e)
			return true
		}
		return false
	}
	for i := len(come) - 1; i >= 0 && len(latest) < n; i-- {
		if add(&come[i]) {
			e := &latest[len(latest)-1]
			e.Attributes = slices.Clone(e.Attributes)
		}
	}
	for i := range have {
		add(&have[i])
	}
	return latest
}

// Seen remembers event IDs, so that an event that a source repeats run after
// run counts once. An ID is forgotten a day after it was last repeated. The
// zero value is ready; it is not safe for concurrent use.
type Seen struct {
	last map[string]time.Time
	next time.Time // when to look for forgotten ones
}

const (
	seenFor = 24 * time.Hour
	// seenMax bounds the memory of one source's events; past it the oldest
	// half is forgotten.
	seenMax = 16384
)

// Again reports whether id was there before, and remembers it as of now.
func (s *Seen) Again(id string, now time.Time) bool {
	if s.last == nil {
		s.last = make(map[string]time.Time)
	}
	if now.After(s.next) || len(s.last) >= seenMax {
		s.forget(now)
	}
	_, again := s.last[id]
	s.last[id] = now
	return again
}

func (s *Seen) forget(now time.Time) {
	s.next = now.Add(time.Hour)
	limit := now.Add(-seenFor)
	for id, t := range s.last {
		if t.Before(limit) {
			delete(s.last, id)
		}
	}
	if len(s.last) < seenMax {
		return
	}
	oldest := slices.SortedFunc(maps.Keys(s.last), func(a, b string) int {
		return s.last[a].Compare(s.last[b])
	})
	for _, id := range oldest[:len(oldest)/2] {
		delete(s.last, id)
	}
}

// unsee makes id new again.
func (s *Seen) unsee(id string) { delete(s.last, id) }
