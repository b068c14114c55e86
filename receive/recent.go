package receive

import (
	"slices"
	"time"

	"scriptbridge/receive/receiver"
	"scriptbridge/record"
)

// maxRecent is how many events, and how many faults, are kept for people.
const maxRecent = 20

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

// add takes in a batch, of which it keeps no slice.
func (r *recent) add(b *record.Batch) {
	r.events = record.Latest(r.events, b.Events, maxRecent)
	for _, e := range record.LineErrors(b.Err) {
		r.faults = slices.Insert(r.faults, 0, Fault{b.Time, e.Reason, e.Text, e.Error(), e.More})
		r.faults = r.faults[:min(len(r.faults), maxRecent)]
	}
}

// logFaults logs what could not be used in a batch.
func logFaults(logger *receiver.LimitedLogger, b *record.Batch) {
	for _, e := range record.LineErrors(b.Err) {
		keyvals := []any{"msg", "not all that came can be used; what is like it is counted, and not logged for a while", "reason", e.Reason, "err", e}
		if e.Text != "" {
			keyvals = append(keyvals, "text", e.Text)
		}
		logger.Warn(e.Reason, keyvals...)
	}
}
