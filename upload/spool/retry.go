package spool

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"time"

	"github.com/go-kit/log/level"
)

// The pauses between attempts: they double, and each is between three quarters
// and all of what it could be, so that many bridges do not come back at once.
// Who is asked to wait longer does so, up to a bound.
const (
	firstPause = time.Second
	mostPause  = 90 * time.Second
	mostAsked  = 10 * time.Minute
)

// failures are those in a row.
type failures struct {
	began time.Time
	tries int
	told  told
}

// told are the reasons that have been logged, so that each is logged once.
type told map[string]bool

// mostTold bounds them.
const mostTold = 20

// fresh says whether the reason of an error is to be logged now.
func (t *told) fresh(err error) bool {
	reason := ReasonOf(err)
	if (*t)[reason] || len(*t) == mostTold {
		return false
	}
	if *t == nil {
		*t = make(told)
	}
	(*t)[reason] = true
	return true
}

// Failed notes that an attempt to send failed. That is counted, and what fails
// at present is in Stats until Works. A reason that is new since then is logged.
func (s *Spool) Failed(err error) {
	s.mu.Lock()
	s.count.Retried++
	s.count.Failing = err.Error()
	r := &s.failing
	n := r.tries
	if r.tries++; n == 0 {
		r.began = time.Now()
		s.count.FailingSince = r.began
	}
	fresh, began := r.told.fresh(err), r.began
	s.mu.Unlock()
	switch {
	case n == 0:
		level.Error(s.logger).Log("msg", "sending fails; all is kept and tried again", "spool", s.path, "err", err)
	case fresh:
		level.Error(s.logger).Log("msg", "sending fails for another reason; all is kept and tried again", "spool", s.path, "tries", n+1,
			"after", time.Since(began).Round(time.Second), "err", err)
	}
}

// Works notes that nothing fails any more.
func (s *Spool) Works() {
	s.mu.Lock()
	r := s.failing
	s.failing = failures{}
	s.count.Failing, s.count.FailingSince = "", time.Time{}
	s.mu.Unlock()
	if r.tries > 0 {
		level.Info(s.logger).Log("msg", "sending works again", "spool", s.path, "tries", r.tries, "after", time.Since(r.began).Round(time.Second))
	}
}

// Retry calls attempt until it succeeds, with pauses between, or until ctx ends,
// whose error it gives then. A failure is Failed.
func (s *Spool) Retry(ctx context.Context, attempt func(context.Context) error) error {
	for n := 0; ; n++ {
		err := attempt(ctx)
		if err == nil { // also when the end came meanwhile: it has arrived
			s.Works()
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.Failed(err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(Pause(n, err)):
		}
	}
}

// ReasonOf is an error without what differs from one attempt to the next. It may
// say so itself, by a method Alike.
func ReasonOf(err error) string {
	var known interface{ Alike() string }
	if errors.As(err, &known) {
		return known.Alike()
	}
	if request, ok := errors.AsType[*url.Error](err); ok { // whose text has what was asked
		err = request.Err
	}
	if network, ok := errors.AsType[*net.OpError](err); ok { // whose text has our own port
		return fmt.Sprintf("%s %s: %v", network.Op, network.Net, network.Err)
	}
	return err.Error()
}

// Pause is how long to wait after the failure number n in a row, from 0. Who
// failed may ask for more time by a method Wait.
func Pause(n int, err error) time.Duration {
	most := mostPause
	if n < 10 {
		most = min(most, firstPause<<n)
	}
	pause := most*3/4 + rand.N(most/4) //nolint:gosec // nothing depends on who knows it
	var asked interface{ Wait() time.Duration }
	if errors.As(err, &asked) {
		pause = max(pause, min(asked.Wait(), mostAsked))
	}
	return pause
}
