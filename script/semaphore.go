package script

import (
	"context"
	"slices"
	"sync"
	"time"
)

// semaphore bounds the runs that go on at once. Runs of the schedule are served in the
// order in which they came, and before every run that a request asked for. The latter may
// be half of the limit, or one where that is less. So nobody who probes, however much,
// keeps the schedule waiting for longer than one run. Of the scripts that are asked for,
// the one is next that was so the longest time ago: nobody who probes one of them, however
// much, keeps others from being probed for longer than one run.
type semaphore struct {
	mu        sync.Mutex
	limit     int
	taken     int
	probes    int            // of those taken, for requests
	given     int            // for requests in all
	last      map[string]int // given when a script had its last one, as long as there are requests
	scheduled []*permit      // who wait
	requested []*permit
}

// permit lets one run go on, or waits until it may.
type permit struct {
	of        *semaphore
	granted   chan struct{} // closed when it is given
	script    string
	forProbes bool
}

func newSemaphore(limit int) *semaphore {
	return &semaphore{limit: limit, last: make(map[string]int)}
}

// acquire waits for a permit for a run of the schedule. It gives nil when ctx ended
// first.
func (s *semaphore) acquire(ctx context.Context) *permit {
	return s.enter(ctx, &s.scheduled, &permit{}, nil)
}

// acquireForRequest waits for a permit for a run of a script that a request asked for. When due fires
// while it waits, it is a run of the schedule from then on; nil never does. It gives nil
// when ctx ended first.
func (s *semaphore) acquireForRequest(ctx context.Context, script string, due <-chan time.Time) *permit {
	return s.enter(ctx, &s.requested, &permit{script: script, forProbes: true}, due)
}

// enter waits in a queue for a permit.
func (s *semaphore) enter(ctx context.Context, queue *[]*permit, mine *permit, due <-chan time.Time) *permit {
	mine.of, mine.granted = s, make(chan struct{})
	s.mu.Lock()
	*queue = append(*queue, mine)
	s.grant()
	s.mu.Unlock()
	for {
		select {
		case <-mine.granted:
			return mine
		case <-due:
			mine.promote()
			due = nil
		case <-ctx.Done():
			mine.leave()
			return nil
		}
	}
}

// promote makes a turn of the schedule of a run that still waits.
func (mine *permit) promote() {
	s := mine.of
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.requested, mine); i >= 0 {
		s.requested = slices.Delete(s.requested, i, i+1)
		s.scheduled = append(s.scheduled, mine)
		mine.forProbes = false
		s.grant()
	}
}

// leave is for who waits no more.
func (mine *permit) leave() {
	s := mine.of
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-mine.granted: // at the same time
		mine.giveBack()
		return
	default:
	}
	isMine := func(one *permit) bool { return one == mine }
	s.scheduled, s.requested = slices.DeleteFunc(s.scheduled, isMine), slices.DeleteFunc(s.requested, isMine)
}

// release gives the permit back.
func (mine *permit) release() {
	mine.of.mu.Lock()
	defer mine.of.mu.Unlock()
	mine.giveBack()
}

// giveBack is release for who holds the lock.
func (mine *permit) giveBack() {
	s := mine.of
	s.taken--
	if mine.forProbes {
		s.probes--
	}
	s.grant()
}

func (s *semaphore) resize(limit int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = limit
	s.grant()
}

// count says how many permits are given out, and how many runs wait for one.
func (s *semaphore) count() (taken, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken, len(s.scheduled) + len(s.requested)
}

// free reports whether a run of the schedule need not wait.
func (s *semaphore) free() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken < s.limit
}

// grant gives permits to those who wait, as far as there are any. The caller holds s.mu.
func (s *semaphore) grant() {
	for s.taken < s.limit {
		from, next := &s.scheduled, 0
		if len(*from) == 0 {
			from = &s.requested
			if len(*from) == 0 || s.probes >= max(1, s.limit/2) {
				return
			}
			next = s.nextRequested()
			s.probes++
		}
		close((*from)[next].granted)
		*from = slices.Delete(*from, next, next+1)
		s.taken++
	}
}

// nextRequested gives the first of the requests that wait for the script whose turn it
// is. The caller holds s.mu.
func (s *semaphore) nextRequested() (next int) {
	for i, one := range s.requested {
		if s.last[one.script] < s.last[s.requested[next].script] {
			next = i
		}
	}
	if s.probes == 0 && len(s.requested) == 1 { // nobody is to be remembered
		clear(s.last)
	}
	s.given++
	s.last[s.requested[next].script] = s.given
	return next
}
