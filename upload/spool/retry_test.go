package spool

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
)

func TestRetry(t *testing.T) {
	var said buffer
	s := open(t, Options{Path: file(t), Logger: log.NewLogfmtLogger(&said)})
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var pauses []time.Duration
		last := start
		n := 0
		err := s.Retry(t.Context(), func(context.Context) error {
			pauses = append(pauses, time.Since(last))
			last = time.Now()
			if n++; n < 12 {
				return errors.New("no answer")
			}
			return nil
		})
		if err != nil || n != 12 {
			t.Fatalf("%d attempts, %v", n, err)
		}
		for i, p := range pauses[1:] {
			most := min(90*time.Second, time.Second<<i)
			if p < most*3/4 || p > most {
				t.Errorf("pause %d is %v, not within %v and %v", i, p, most*3/4, most)
			}
		}
	})
	if stats := s.Stats(); stats.Retried != 11 {
		t.Errorf("stats: %+v", stats)
	}
	want(t, "log", said.lasting(), []string{
		`level=error msg="sending fails; all is kept and tried again" err="no answer"`,
		`level=info msg="sending works again" tries=11`,
	})
}

// lasting are the lines without what is another at each run.
func (b *buffer) lasting() (lines []string) {
	for _, line := range b.lines() {
		lines = append(lines, passing.ReplaceAllString(line, ""))
	}
	return lines
}

var passing = regexp.MustCompile(` (after|spool|file)=\S+`)

// TestRetryReasons: each reason is told once, however often they take turns;
// what differs from one attempt to the next is none.
func TestRetryReasons(t *testing.T) {
	var said buffer
	s := open(t, Options{Path: file(t), Logger: log.NewLogfmtLogger(&said)})
	reset := func(port int) error {
		return &url.Error{Op: "Post", URL: fmt.Sprint("http://x/", port), Err: &net.OpError{
			Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: port}, Addr: &net.TCPAddr{Port: 80}, Err: errors.New("reset"),
		}}
	}
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			all := []error{errors.New("a"), reset(1), reset(2), errors.New("a"), errors.New("b"), reset(3), nil}
			n, began := 0, time.Now()
			err := s.Retry(t.Context(), func(context.Context) error {
				if n > 0 && (s.Stats().Failing != all[n-1].Error() || time.Since(s.Stats().FailingSince) != time.Since(began)) {
					t.Errorf("the last error is %q", s.Stats().Failing)
				}
				n++
				return all[n-1]
			})
			if err != nil || s.Stats().Failing != "" || !s.Stats().FailingSince.IsZero() {
				t.Errorf("%v, %+v", err, s.Stats())
			}
		})
	}
	one := []string{
		`level=error msg="sending fails; all is kept and tried again" err=a`,
		`level=error msg="sending fails for another reason; all is kept and tried again" tries=2 err="Post \"http://x/1\": read tcp :1->:80: reset"`,
		`level=error msg="sending fails for another reason; all is kept and tried again" tries=5 err=b`,
		`level=info msg="sending works again" tries=6`,
	}
	want(t, "log", said.lasting(), append(one, one...))
}

type waiting time.Duration

func (w waiting) Error() string       { return "busy" }
func (w waiting) Wait() time.Duration { return time.Duration(w) }

// TestRetryAfter: who asks to be left alone is, within bounds.
func TestRetryAfter(t *testing.T) {
	for _, c := range []struct{ asked, least, most time.Duration }{
		{0, 750 * time.Millisecond, time.Second},
		{30 * time.Second, 30 * time.Second, 30 * time.Second},
		{-time.Hour, 750 * time.Millisecond, time.Second},
		{1000 * time.Hour, 10 * time.Minute, 10 * time.Minute},
	} {
		if got := Pause(0, fmt.Errorf("wrapped: %w", waiting(c.asked))); got < c.least || got > c.most {
			t.Errorf("%v: %v", c.asked, got)
		}
	}
}

func TestRetryEnds(t *testing.T) {
	s := open(t, Options{Path: file(t)})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		err := s.Retry(ctx, func(context.Context) error { return errors.New("no answer") })
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

// What has arrived has arrived, also when the end comes in the same moment: it
// must not be sent again after the next start.
func TestRetryArrivedAtTheEnd(t *testing.T) {
	s := open(t, Options{Path: file(t)})
	ctx, cancel := context.WithCancel(t.Context())
	if err := s.Retry(ctx, func(context.Context) error { cancel(); return nil }); err != nil {
		t.Errorf("what arrived gives %v", err)
	}
	if err := s.Retry(ctx, func(context.Context) error { return errors.New("no") }); !errors.Is(err, context.Canceled) {
		t.Errorf("what was broken off gives %v", err)
	}
}

// However many different reasons there are, the log has some of them.
func TestRetryToldMost(t *testing.T) {
	var said buffer
	s := open(t, Options{Path: file(t), Logger: log.NewLogfmtLogger(&said)})
	for i := range 10 * mostTold {
		s.Failed(fmt.Errorf("reason %c%c", 'a'+i%26, 'a'+i/26))
	}
	if n := len(said.lines()); n != mostTold {
		t.Errorf("%d lines for %d reasons", n, 10*mostTold)
	}
}
