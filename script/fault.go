package script

import (
	"context"

	"scriptbridge/internal/panics"
	"scriptbridge/script/dialect"
	"scriptbridge/script/process"
)

// A panic of ours that some script's output leads to is that script's failed run: the
// bridge goes on, and so does the script. judge.go does the same for the verdict.

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
