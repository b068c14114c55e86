package coscale

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"scriptbridge/record"
)

// silence is the way to a peer that, from some time on, never answers requests
// of a kind: each ends with its time.
type silence struct {
	*peer
	of atomic.Pointer[string] // what their paths have
}

func (s *silence) RoundTrip(req *http.Request) (*http.Response, error) {
	if of := s.of.Load(); of != nil && strings.Contains(req.URL.Path, *of) {
		select {
		case <-time.After(30 * time.Second):
			return nil, context.DeadlineExceeded
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
	return s.peer.RoundTrip(req)
}

// TestUploadSilence: that nobody answers is told when the first request has had
// its time, and not when all have that a pass tries in vain.
func TestUploadSilence(t *testing.T) {
	for _, of := range []string{"/data/", "/events/", "/"} {
		t.Run(of, func(t *testing.T) {
			underTest(t, func(r *rig) {
				r.end()
				s := &silence{peer: r.peer}
				r.other = s
				r.start()
				put := func(i int) {
					b := &record.Batch{}
					for j := range 30 {
						b.Samples = append(b.Samples, sample(fmt.Sprint("m", j), float64(i)))
						b.Events = append(b.Events, event1(fmt.Sprint(i, j), fmt.Sprint(i, j)))
					}
					r.put(b)
				}
				put(0)
				r.pass(70 * time.Second)
				if stats := r.Stats(); stats.Sent != 60 || stats.Failing != "" {
					t.Fatalf("at first: %+v", stats)
				}
				s.of.Store(&of)
				put(1)
				r.pass(90 * time.Second) // the slot's rest, and a request's time
				if failing := r.Stats().Failing; !strings.HasSuffix(failing, "context deadline exceeded") {
					t.Errorf("what fails is told as %q", failing)
				}
				s.of.Store(nil)
				r.pass(20 * time.Minute)
				if stats := r.Stats(); stats.Sent != 120 || stats.Refused != 0 || stats.Failing != "" {
					t.Errorf("afterwards: %+v", stats)
				}
			})
		})
	}
}
