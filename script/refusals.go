package script

import (
	"errors"
	"fmt"
	"iter"

	"scriptbridge/record"
	"scriptbridge/script/process"
)

// Bounds on what is kept of the lines that one run's output is refused of.
const (
	maxRefused     = 10_000 // lines said one by one; the rest are one error
	maxRefusedText = 1024   // bytes kept of a line
)

// refusals collects the lines of one output that a parser cannot use. The zero
// value is ready.
type refusals struct {
	errs []error
	more int // beyond maxRefused
}

// add refuses a line, counted from 1, for a reason: a word for the label of
// that name. The text is copied, and cut.
func (r *refusals) add(line int, text []byte, reason string, err error) {
	if len(r.errs) == maxRefused {
		r.more++
		return
	}
	r.errs = append(r.errs, &record.LineError{Line: line, Text: string(text[:min(len(text), maxRefusedText)]), Reason: reason, Err: err})
}

// err joins a record.LineError for each line; nil when there are none.
func (r *refusals) err() error {
	if r.more > 0 {
		r.errs = append(r.errs, &record.LineError{
			Reason: "too_many", Err: fmt.Errorf("%d more lines were refused after the first %d", r.more, maxRefused), More: r.more - 1,
		})
	}
	return errors.Join(r.errs...)
}

// dropped refuses the lines that hold data of a run that failed: all in one,
// since there is one thing to say of them.
func dropped(o *process.Outcome, lines iter.Seq[[]byte], isData func(line []byte) bool) error {
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
			all = &record.LineError{Line: number, Text: string(line[:min(len(line), maxRefusedText)]), Reason: "failed_run", Err: why}
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
