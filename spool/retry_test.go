package spool

import (
	"context"
	"errors"
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
	if lines := said.lines(); len(lines) != 2 || lines[0] != `level=warn msg="sending fails; all is kept and tried again" spool=`+s.path+` err="no answer"` {
		t.Errorf("log: %q", lines)
	}
}

func TestRetryEnds(t *testing.T) {
	s := open(t, Options{Path: file(t)})
	synctest.Test(t, func(t *testing.T) {
		final := &Final{errors.New("refused")}
		if err := s.Retry(t.Context(), func(context.Context) error { return final }); err != final {
			t.Errorf("a final error: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		err := s.Retry(ctx, func(context.Context) error { return errors.New("no answer") })
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}
