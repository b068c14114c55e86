package script

import (
	"context"
	"slices"
	"sync"
	"time"
)

// places bounds the runs that go on at once. Turns of the schedule are served in
// the order in which they came, and before every run that a request asked for: of
// those there are at most half as many as there are places, but one. So nobody who
// probes, however much, keeps the schedule waiting for longer than one run.
type places struct {
	mu      sync.Mutex
	limit   int
	taken   int
	probes  int      // of those taken, for requests
	turns   []*place // who wait
	request []*place
}

// place is one of the places, or the wait for it.
type place struct {
	of        *places
	granted   chan struct{} // closed when it is given
	forProbes bool
}

func newPlaces(limit int) *places { return &places{limit: limit} }

// forTurn waits for a place for a turn of the schedule. It gives nil when ctx ended
// first.
func (p *places) forTurn(ctx context.Context) *place {
	mine := &place{of: p, granted: make(chan struct{})}
	p.mu.Lock()
	p.turns = append(p.turns, mine)
	p.grant()
	p.mu.Unlock()
	return mine.wait(ctx, nil)
}

// forRequest waits for a place for a run that a request asked for. When due fires
// while it waits, it is a turn of the schedule from then on; nil never does. It
// gives nil when ctx ended first.
func (p *places) forRequest(ctx context.Context, due <-chan time.Time) *place {
	mine := &place{of: p, granted: make(chan struct{}), forProbes: true}
	p.mu.Lock()
	p.request = append(p.request, mine)
	p.grant()
	p.mu.Unlock()
	return mine.wait(ctx, due)
}

func (mine *place) wait(ctx context.Context, due <-chan time.Time) *place {
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
func (mine *place) promote() {
	p := mine.of
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.request, mine); i >= 0 {
		p.request = slices.Delete(p.request, i, i+1)
		p.turns = append(p.turns, mine)
		mine.forProbes = false
		p.grant()
	}
}

// leave is for who waits no more.
func (mine *place) leave() {
	p := mine.of
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-mine.granted: // at the same time
		mine.giveBack()
		return
	default:
	}
	isMine := func(one *place) bool { return one == mine }
	p.turns, p.request = slices.DeleteFunc(p.turns, isMine), slices.DeleteFunc(p.request, isMine)
}

// release gives the place back.
func (mine *place) release() {
	mine.of.mu.Lock()
	defer mine.of.mu.Unlock()
	mine.giveBack()
}

// giveBack is release for who holds the lock.
func (mine *place) giveBack() {
	p := mine.of
	p.taken--
	if mine.forProbes {
		p.probes--
	}
	p.grant()
}

func (p *places) resize(limit int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limit = limit
	p.grant()
}

// count says how many places are taken, and how many wait for one.
func (p *places) count() (taken, waiting int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken, len(p.turns) + len(p.request)
}

// free reports whether there is a place for a turn of the schedule.
func (p *places) free() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken < p.limit
}

// grant hands free places to those who wait. The caller holds p.mu.
func (p *places) grant() {
	for p.taken < p.limit {
		from := &p.turns
		if len(*from) == 0 {
			from = &p.request
			if len(*from) == 0 || p.probes >= max(1, p.limit/2) {
				return
			}
			p.probes++
		}
		close((*from)[0].granted)
		*from = slices.Delete(*from, 0, 1)
		p.taken++
	}
}
