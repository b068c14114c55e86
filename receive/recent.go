package receive

import (
	"slices"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"scriptbridge/record"
)

const (
	// recentMost is how many events, and how many faults, are kept for people.
	recentMost = 20
	// toldAgain is how long it is before something like what was logged is
	// logged again: others decide how often it happens.
	toldAgain = 10 * time.Minute
	// toldMost bounds what a teller remembers.
	toldMost = 100
)

// Fault is something that came and could not be used, or a number of such.
type Fault struct {
	At     time.Time
	Reason string // as in the label reason
	Text   string // what came, where it is known; its beginning
	Why    string
	More   int // how many others of this reason it stands for
}

// recent is what came of late that is worth a look, the newest first.
type recent struct {
	events []record.Event
	faults []Fault
}

// take takes in a batch, of which it keeps no slice.
func (r *recent) take(b *record.Batch) {
	r.events = record.Latest(r.events, b.Events, recentMost)
	for _, e := range record.LineErrors(b.Err) {
		r.faults = slices.Insert(r.faults, 0, Fault{b.Time, e.Reason, e.Text, e.Error(), e.More})
		r.faults = r.faults[:min(len(r.faults), recentMost)]
	}
}

// teller logs warnings, each kind of them once in a while. It is not safe for
// concurrent use.
type teller struct {
	logger log.Logger
	last   map[string]time.Time // by what it is
}

func newTeller(logger log.Logger) *teller { return &teller{logger, make(map[string]time.Time)} }

// tell logs what happens, unless something like it was logged within toldAgain.
func (t *teller) tell(what string, keyvals ...any) {
	now := time.Now()
	if last, ok := t.last[what]; ok && now.Sub(last) < toldAgain {
		return
	}
	if len(t.last) >= toldMost {
		clear(t.last)
	}
	t.last[what] = now
	_ = level.Warn(t.logger).Log(keyvals...)
}

// tellFaults tells of what could not be used in a batch.
func (t *teller) tellFaults(b *record.Batch) {
	for _, e := range record.LineErrors(b.Err) {
		keyvals := []any{"msg", "not all that came can be used; what is like it is counted, and not logged for a while", "reason", e.Reason, "err", e}
		if e.Text != "" {
			keyvals = append(keyvals, "text", e.Text)
		}
		t.tell(e.Reason, keyvals...)
	}
}
