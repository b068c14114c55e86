package script

import (
	"context"
	"time"

	"scriptbridge/internal/panics"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
	"scriptbridge/script/process"
)

// A fault of ours that some script's output leads to is that script's failed run:
// the bridge goes on, and so does the script.

// attempt has a dialect run a script. Where that panics, the result says so; it has
// what the processes cost, and what the last one printed.
func attempt(exec dialect.Exec, run func(dialect.Exec) *dialect.Result) (t *dialect.Result) {
	var ran []*process.Outcome
	fault := panics.Try(func() error {
		t = run(func(ctx context.Context, in dialect.Invocation) *process.Outcome {
			o := exec(ctx, in)
			ran = append(ran, o)
			return o
		})
		_ = t.Err // none at all is a fault too
		return nil
	})
	if fault == nil {
		return t
	}
	t = &dialect.Result{Outcomes: ran, Err: fault}
	if len(ran) > 0 {
		t.Output = ran[len(ran)-1].Stdout
	}
	return t
}

// judge decides on a run, for every dialect. A fault in that is the verdict.
func (j *judge) judge(t *dialect.Result, source *record.Source, waited time.Duration) (b *record.Batch, v *Verdict) {
	fault := panics.Try(func() error {
		b, v = j.decide(t, source, waited)
		j.advise(t, v)
		return nil
	})
	if fault != nil {
		return j.judgeFault(fault, source, waited)
	}
	return b, v
}

// judgeFault decides on a run that has led to a fault: of what it said nothing is
// looked at any more.
func (j *judge) judgeFault(fault error, source *record.Source, waited time.Duration) (*record.Batch, *Verdict) {
	return j.decide(&dialect.Result{Err: fault}, source, waited)
}
