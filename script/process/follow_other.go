//go:build !linux

package process

import (
	"context"
	"os"
	"sync"
	"time"
)

// outputs is nothing here: standard output and error are pumped.
type outputs struct{}

func (s *streams) openOutputs() error {
	for i := 1; i <= 2; i++ {
		var err error
		if s.ours[i], s.theirs[i], err = os.Pipe(); err != nil {
			return err
		}
	}
	return nil
}

func (s *streams) closeOutputs() {}

func (s *streams) pumpOutputs(pumps *sync.WaitGroup) (pumped bool) {
	for i, take := range s.takes() {
		pumps.Go(func() { s.pump(s.ours[i+1], take) })
	}
	return true
}

// follower follows one run.
type follower struct {
	c    *Command
	p    *process
	s    *streams
	end  time.Time // when the main process had ended; zero: it has not
	peak int64     // nobody can look at a process that still runs
}

func newFollower(_ context.Context, c *Command, p *process, s *streams) *follower {
	return &follower{c: c, p: p, s: s}
}

// close has nothing to do.
func (f *follower) close() {}

// run waits until the main process has ended, or may not go on: it then says why.
func (f *follower) run(ctx context.Context) *stop {
	select {
	case <-f.p.ended:
		f.end = time.Now()
		return nil
	case <-timer(f.c.Timeout):
		return expired(f.c)
	case <-ctx.Done():
		return cutShort(ctx)
	case why := <-f.p.over:
		return why
	case <-f.s.stdout.full:
		return tooMuch(f.c, f.s)
	case <-f.s.written.full:
		return tooMuch(f.c, f.s)
	case <-f.s.messages.broken:
		return f.s.messages.stop()
	}
}

// awaitEnd waits for the end of the main process, but not for longer than limit (0:
// for as long as that takes) nor than ctx goes on, and reports whether it has come.
func (f *follower) awaitEnd(ctx context.Context, limit time.Duration) bool {
	select {
	case <-f.p.ended:
		f.end = time.Now()
		return true
	case <-timer(limit):
	case <-ctx.Done():
	}
	return false
}

// timer fires after a limit; never where there is none.
func timer(limit time.Duration) <-chan time.Time {
	if limit <= 0 {
		return nil
	}
	return time.After(limit)
}

// drain waits for the end of the output, which a descendant may hold open, but no
// longer than drainTime.
func (f *follower) drain() {
	select {
	case <-f.s.idle:
	case <-time.After(drainTime):
	}
}
