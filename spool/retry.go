package spool

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/go-kit/log/level"
)

// The pauses between attempts: they double, and each is between three quarters
// and all of what it could be, so that many bridges do not come back at once.
const (
	firstPause = time.Second
	mostPause  = 90 * time.Second
)

// Retry calls attempt until it succeeds, with pauses between. Two things end
// it besides: ctx, whose error it gives then, and an error that is Final, which
// is given as it came. Every other failure is counted as retried; the first of
// a row is logged, and so is the end of the row.
func (s *Spool) Retry(ctx context.Context, attempt func(context.Context) error) error {
	var began time.Time
	for n := 0; ; n++ {
		err := attempt(ctx)
		var final *Final
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil || errors.As(err, &final):
			s.failing("")
			if n > 0 {
				level.Info(s.logger).Log("msg", "sending works again", "spool", s.path, "after", time.Since(began).Round(time.Second))
			}
			return err
		}
		if n == 0 {
			began = time.Now()
			level.Warn(s.logger).Log("msg", "sending fails; all is kept and tried again", "spool", s.path, "err", err)
		}
		s.failing(err.Error())
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause(n)):
		}
	}
}

// failing notes how the last attempt went.
func (s *Spool) failing(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count.Failing = why
	if why != "" {
		s.count.Retried++
	}
}

// pause is how long to wait after the failure number n, from 0.
func pause(n int) time.Duration {
	most := mostPause
	if n < 10 {
		most = min(most, firstPause<<n)
	}
	return most*3/4 + rand.N(most/4)
}

// Final is an error that trying again does not mend.
type Final struct{ Err error }

// Error is that of Err.
func (f *Final) Error() string { return f.Err.Error() }

// Unwrap gives Err.
func (f *Final) Unwrap() error { return f.Err }
