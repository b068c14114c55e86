package lines

import (
	"errors"
	"fmt"
	"iter"

	"scriptbridge/record"
	"scriptbridge/script/process"
)

// Bounds on what is kept of the lines that one run's output is refused of.
const (
	MaxRefused = 10_000 // lines said one by one; the rest are one error
	MaxText    = 1024   // bytes kept of a line
)

// Refusals collects the lines of one output that a parser cannot use. The zero
// value is ready.
type Refusals struct {
	errs []error
	more int // beyond maxRefused
}

// Add refuses a line, counted from 1, for a reason: a word for the label of
// that name. The text is copied, and cut.
func (r *Refusals) Add(line int, text []byte, reason string, err error) {
	if len(r.errs) == MaxRefused {
		r.more++
		return
	}
	r.errs = append(r.errs, &record.LineError{Line: line, Text: string(text[:min(len(text), MaxText)]), Reason: reason, Err: err})
}

// Err joins a record.LineError for each line; nil when there are none.
func (r *Refusals) Err() error {
	if r.more > 0 {
		r.errs = append(r.errs, &record.LineError{
			Reason: "too_many", Err: fmt.Errorf("%d more lines were refused after the first %d", r.more, MaxRefused), More: r.more - 1,
		})
	}
	return errors.Join(r.errs...)
}

// Dropped refuses the lines that hold data of a run that failed: all in one,
// since there is one thing to say of them.
func Dropped(o *process.Outcome, lines iter.Seq[[]byte], isData func(line []byte) bool) error {
	why := errNotEnded
	if o.Result == record.Error && o.ExitCode > 0 {
		why = errFailedRun
	}
	var all *record.LineError
	number := 0
	for line := range lines {
		number++
		switch {
		case !isData(line):
		case all == nil:
			all = &record.LineError{Line: number, Text: string(line[:min(len(line), MaxText)]), Reason: "failed_run", Err: why}
		default:
			all.More++
		}
	}
	if all == nil {
		return nil
	}
	return all
}

var (
	errFailedRun = errors.New("the run failed, so its output is not used (options: {use_failed_output: true} takes that of a run that exits with a code other than 0)")
	errNotEnded  = errors.New("the run did not end by itself, so its output is not used")
)
