package script

import (
	"context"
	"fmt"
	"sync"
	"time"

	"scriptbridge/internal/panics"
	"scriptbridge/script/dialect"
)

// A kept script that has ended is started again after keepFirst, then after
// twice as long each time, up to keepMost; one that lived for keepWell begins
// anew. It holds a permit of max_concurrent until it has spoken, but no
// longer than keepStart: starts are what costs, and who lives for ever would
// never give the permit back.
const (
	keepFirst = time.Second
	keepMost  = 5 * time.Minute
	keepWell  = 10 * time.Minute
	keepStart = 10 * time.Second
)

// lives gives what has the script alive until it ends by itself, and says when it is to be
// started again.
func (u *worker) lives(k dialect.Keeper) func(mine *permit, due, wanted time.Time) time.Time {
	var backoff time.Duration
	return func(mine *permit, due, wanted time.Time) time.Time {
		started := time.Now()
		if disabled := u.liveOnce(k, mine, started.Sub(wanted)); disabled {
			<-u.ctx.Done()
		}
		if u.ctx.Err() != nil {
			return due
		}
		if time.Since(started) >= keepWell {
			backoff = 0
		}
		backoff = min(max(2*backoff, keepFirst), keepMost)
		return time.Now().Add(backoff)
	}
}

// liveOnce is one life of the script, from start to end. The caller has taken a
// permit, which it gives back. It tells whether the script wants no other.
func (u *worker) liveOnce(k dialect.Keeper, mine *permit, waited time.Duration) (disabled bool) {
	u.mu.Lock()
	u.view.State, u.view.Since = Running, time.Now()
	u.mu.Unlock()
	leave := sync.OnceFunc(mine.release)
	defer leave()
	defer time.AfterFunc(keepStart, leave).Stop()
	hear := func(t *dialect.Result, next State) {
		batch, verdict := u.judge.judge(t, u.source.Load(), waited)
		u.logVerdict(verdict, t)
		u.publish(t, batch, verdict, next)
		waited = 0
	}
	u.stderr.begin()
	last := attempt(u.exec, func(exec dialect.Exec) *dialect.Result {
		return k.Keep(u.ctx, exec, dialect.Session{
			Put: func(t *dialect.Result) {
				leave()
				hear(t, Running) // it goes on
			},
			Log: u.stderr.say,
		})
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
func (u *worker) rest(t *dialect.Result) {
	t.Warnings = append(t.Warnings, fmt.Sprintf("does not run: %v; it is started again when its configuration or its file has changed", t.Err))
	t.Failure, t.Err = "", nil
	batch, verdict := u.judge.judge(t, u.source.Load(), 0)
	u.logVerdict(verdict, t)
	u.putDisabled()
	u.mu.Lock()
	u.remember(t, batch, verdict)
	u.view.State = Disabled
	u.mu.Unlock()
	u.ranOnce()
}

// demand is what a worker has that runs when Once asks for it, and if it is kept alive in
// between as well.
type demand struct {
	once sync.Mutex         // held for a run that Once asked for
	ran  chan struct{}      // has one when there was a run that nextRun has not seen
	stop context.CancelFunc // ends the worker
}

// ranOnce tells nextRun that there was a run.
func (u *worker) ranOnce() {
	if u.demand == nil {
		return
	}
	select {
	case u.demand.ran <- struct{}{}:
	default:
	}
}

// nextRun waits for a run that was not waited for yet.
func (u *worker) nextRun() {
	select {
	case <-u.demand.ran:
	case <-u.ctx.Done():
	}
}

// Inspect has those of scripts that are kept alive look at their configuration,
// as many at once as max_concurrent allows. It gives an error for each of scripts,
// nil for one that has nothing to object or is not of this kind.
func (p *Pool) Inspect(ctx context.Context, scripts []*Script) []error {
	errs := make([]error, len(scripts))
	var running sync.WaitGroup
	for i, s := range scripts {
		u := p.newWorker(ctx, s, dialect.Forgetful{})
		k, kept := u.runner.(dialect.Keeper)
		if !kept {
			u.runner.Close()
			continue
		}
		running.Go(func() {
			defer k.Close()
			mine := p.runs.acquire(ctx)
			if mine == nil {
				errs[i] = fmt.Errorf("was not looked at: %w", context.Cause(ctx))
				return
			}
			defer mine.release()
			errs[i] = panics.Try(func() error { return k.Inspect(ctx, u.exec) })
		})
	}
	running.Wait()
	return errs
}

// IsKept reports whether the script is one that stays alive.
func (s *Script) IsKept() bool { return s.kept }
