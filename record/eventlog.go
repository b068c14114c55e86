package record

import (
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/go-kit/log"
)

// EventLog is the Sink that makes the log stream: one line an event, with all
// its attributes and the whole message. A repeated event is not logged again, but one
// that was open is, when it has ended.
type EventLog struct {
	logger log.Logger

	mu   sync.Mutex
	seen map[sourceKey]*Seen
}

type sourceKey struct {
	kind Kind
	name string
}

// NewEventLog makes an EventLog that writes to logger, whose format and
// destination are the caller's business. It adds no time of its own: ts is the
// event's start, or of the line that tells its end that.
func NewEventLog(logger log.Logger) *EventLog {
	return &EventLog{logger: logger, seen: make(map[sourceKey]*Seen)}
}

// Put writes the batch's new events. It never fails: a log only tells, and that
// it cannot is no reason to refuse what the other sinks have taken. What was not
// written is tried again when the source repeats the event. It must not block
// either, so the logger's writer must not.
func (l *EventLog) Put(b *Batch) error {
	if len(b.Events) == 0 && !b.Gone {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	key := sourceKey{b.Source.Kind, b.Source.Name}
	if b.Gone {
		delete(l.seen, key)
		return nil
	}
	seen := l.seen[key]
	if seen == nil {
		seen = new(Seen)
		l.seen[key] = seen
	}
	for i := range b.Events {
		e := &b.Events[i]
		id, at := e.ID, e.Start
		told, ended := seen.Again(id, b.Time), !e.Stop.IsZero()
		endTold := ended && seen.Again(id+"\x00end", b.Time)
		if told && (!ended || endTold) {
			continue
		}
		if told {
			id, at = id+"\x00end", e.Stop
		}
		if err := l.logger.Log(eventLine(b.Source, e, at)...); err != nil {
			seen.unsee(id)
		}
	}
	return nil
}

// eventLine lists the fixed keys first and the attributes after them, each
// behind "attr_", so that no attribute can pose as one of ours.
func eventLine(s *Source, e *Event, at time.Time) []any {
	line := []any{
		"ts", at.UTC().Format(time.RFC3339),
		string(s.Kind), s.Name,
		"event", e.Name,
		"event_id", e.ID,
		"subject", e.Subject.Kind.String(),
	}
	if e.Subject.Name != "" {
		line = append(line, "subject_name", e.Subject.Name)
	}
	line = append(line, "start", e.Start.Unix())
	if !e.Stop.IsZero() {
		line = append(line, "stop", e.Stop.Unix())
	}
	line = append(line, "message", e.Message)
	for _, a := range e.Attributes {
		line = append(line, "attr_"+strings.Map(keyRune, a.Name), a.Value)
	}
	return line
}

// keyRune replaces what logfmt cannot have in a key, which it would leave out.
func keyRune(r rune) rune {
	if r <= ' ' || r == '=' || r == '"' || r == utf8.RuneError {
		return '_'
	}
	return r
}
