package script

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-kit/log/level"

	"scriptbridge/record"
	"scriptbridge/script/process"
)

// Keeper is a Runner whose script stays alive and speaks when it likes. The
// pool prefers Keep to Turn, starts again what has ended, and never calls two
// of its methods at once.
type Keeper interface {
	Runner
	// Keep starts the script by means of run, an Invocation with a Message,
	// and hands a Turn to life whenever it has spoken. It returns when the
	// script has ended, with the Turn that tells why; soon after ctx has
	// ended.
	Keep(ctx context.Context, run Exec, life Session) *Result
	// Inspect starts the script, has it look at its configuration, and ends it
	// before it measures anything. The error is all that is wrong.
	Inspect(ctx context.Context, run Exec) error
}

// Session is what a kept script tells while it lives. Its functions must not be
// called twice at once, nor after Keep has returned.
type Session struct {
	Put func(*Result)
	// Log takes what the script itself logs; it is limited as standard error
	// is.
	Log func(at level.Value, text string, keyvals ...any)
}

// A kept script that has ended is started again after keepFirst, then after
// twice as long each time, up to keepMost; one that lived for keepWell begins
// anew. It holds a place among max_concurrent until it has spoken, but no
// longer than keepStart: starts are what costs, and who lives for ever would
// never give the place back.
const (
	keepFirst = time.Second
	keepMost  = 5 * time.Minute
	keepWell  = 10 * time.Minute
	keepStart = 10 * time.Second
)

// keep has the script alive until the unit is stopped.
func (u *unit) keep(k Keeper) {
	var backoff time.Duration
	due := time.Now()
	for u.sleep(due) && u.pool.runs.acquire(u.ctx) {
		started := time.Now()
		if disabled := u.liveOnce(k, started.Sub(due)); disabled {
			<-u.ctx.Done()
		}
		if u.ctx.Err() != nil {
			return
		}
		if time.Since(started) >= keepWell {
			backoff = 0
		}
		backoff = min(max(2*backoff, keepFirst), keepMost)
		due = time.Now().Add(backoff)
	}
}

// liveOnce is one life of the script, from start to end. The caller has taken a
// place, which it gives back. It tells whether the script wants no other.
func (u *unit) liveOnce(k Keeper, waited time.Duration) (disabled bool) {
	u.mu.Lock()
	u.view.State, u.view.Since = Running, time.Now()
	u.mu.Unlock()
	leave := sync.OnceFunc(u.pool.runs.release)
	defer leave()
	defer time.AfterFunc(keepStart, leave).Stop()
	hear := func(t *Result, next State) {
		u.stderr.flush()
		batch, verdict := u.judge.judge(t, u.source.Load(), waited)
		u.logVerdict(verdict, t)
		u.publish(t, batch, verdict, next)
		waited = 0
	}
	last := k.Keep(u.ctx, u.exec, Session{
		Put: func(t *Result) {
			leave()
			hear(t, Running) // it goes on
		},
		Log: u.stderr.say,
	})
	leave() // as play does
	switch {
	case u.ctx.Err() != nil: // an end that we wanted says nothing of the script
		return false
	case last.Disabled:
		u.rest(last)
		return true
	}
	hear(last, Idle)
	return false
}

// rest shows a script that does not run, since it has said so: why, and none of
// the series that would tell of its runs.
func (u *unit) rest(t *Result) {
	t.Warnings = append(t.Warnings, fmt.Sprintf("does not run: %v; it is started again when its configuration or its file has changed", t.Err))
	t.Failure, t.Err = "", nil
	u.stderr.flush()
	batch, verdict := u.judge.judge(t, u.source.Load(), 0)
	u.logVerdict(verdict, t)
	u.put(&record.Batch{Source: u.source.Load(), Time: time.Now(), Gone: true})
	u.put(u.judge.announce(u.source.Load()))
	u.mu.Lock()
	u.remember(t, batch, verdict)
	u.view.State = Disabled
	u.mu.Unlock()
	select {
	case u.ran <- struct{}{}:
	default:
	}
}

// nextRun waits for a turn that was not waited for yet.
func (u *unit) nextRun() {
	select {
	case <-u.ran:
	case <-u.ctx.Done():
	}
}

// Inspect has those of scripts that are kept alive look at their configuration,
// as many at once as there are places. It gives an error for each of scripts,
// nil for one that has nothing to object or is not of this kind.
func (p *Pool) Inspect(ctx context.Context, scripts []*Script) []error {
	errs := make([]error, len(scripts))
	var running sync.WaitGroup
	for i, s := range scripts {
		u := p.newUnit(ctx, s, forgetful{})
		k, kept := u.runner.(Keeper)
		if !kept {
			u.runner.Close()
			u.stop()
			continue
		}
		running.Go(func() {
			defer u.stop()
			defer k.Close()
			if !p.runs.acquire(ctx) {
				errs[i] = fmt.Errorf("was not looked at: %w", context.Cause(ctx))
				return
			}
			defer p.runs.release()
			errs[i] = k.Inspect(ctx, u.exec)
		})
	}
	running.Wait()
	return errs
}

// IsKept reports whether the script is one that stays alive.
func (s *Script) IsKept() bool { return s.kept }

// instant is the Outcome of a moment in the life of a process that goes on.
func instant(end time.Time, took time.Duration) *process.Outcome {
	return &process.Outcome{Result: record.OK, Start: end.Add(-took), End: end}
}
