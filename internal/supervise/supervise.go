// Package supervise keeps units of work running, and exchanges them by
// difference: a unit whose fingerprint is the same goes on untouched, another
// one is told to end, waited for, and followed by its successor.
package supervise

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"scriptbridge/internal/fsx"
	"scriptbridge/internal/panics"
)

// Spec is a unit that is wanted.
type Spec[U Unit] struct {
	Key string // unique in a set
	// Fingerprint tells whether what New would make is the same as what is at
	// work under this key. All that it depends on has been read, so that nothing
	// slow is left to do.
	Fingerprint string
	// New makes the unit, which is to end when ctx does, and opens nothing: of two
	// that are made, one may be dropped.
	New func(ctx context.Context) U
}

// Unit is something that works until it is told to end. It may be a Changer and
// a Remover, too.
type Unit interface {
	// Run works until ctx ends, and returns when nothing of it is left. One that
	// returns before has failed, and is run again, ever more rarely; up says that
	// it did work, so that the waits begin anew. It is run once at least, even
	// where ctx has ended already.
	Run(ctx context.Context, up func())
}

// Changer is a Unit that is asked before another one takes its place.
type Changer[U Unit] interface {
	// Change makes the unit what next would be, if it can: then it goes on, and
	// next is dropped. An error says that it goes on as it was, since next would
	// not work. Otherwise next takes its place. Change may be slow; it is left
	// behind when ctx ends.
	Change(ctx context.Context, next U) (changed bool, err error)
}

// Remover is a Unit that has something to do where no other one takes its place.
type Remover interface {
	// Removed is called after Run, when the unit is wanted no more. It is not
	// called at the end of the program.
	Removed()
}

// Starter is a Unit that needs no goroutine while it waits for something.
type Starter interface {
	// Start begins what Run does, and calls ended when Run would return: once, from
	// whatever goroutine, and not before ctx has ended. Where it reports false, it has
	// done nothing, and the unit is run.
	Start(ctx context.Context, ended func()) bool
	// Wake is called when ctx has ended. It must be quick, and may come before Start and
	// after the end.
	Wake()
}

// Options are what a Supervisor needs to know.
type Options struct {
	// A unit that has failed is run again after First, and then after twice as
	// long each time, Most at most.
	First, Most time.Duration
}

// Supervisor keeps a set of units at work. All methods may be called at the
// same time; those that give units wait for nothing.
type Supervisor[U Unit] struct {
	o Options

	applying sync.Mutex // held for a whole Apply, which may wait for files
	at       atomic.Pointer[units[U]]

	mu      sync.Mutex            // guards what follows; never held while anything slow is done
	working map[string]*worker[U] // by key; never changed, only replaced
	// retiring are those that were told to end, and have not yet, by key: one that
	// follows must wait for what they hold, such as a port or a file.
	retiring map[string]*worker[U]
	closed   bool
}

// units are those at work. They are never changed, only replaced.
type units[U Unit] struct {
	all   []U
	byKey map[string]*worker[U] // never changed, as the whole
}

// New makes a Supervisor without units; Apply gives it some.
func New[U Unit](o Options) *Supervisor[U] {
	s := &Supervisor[U]{o: o, retiring: make(map[string]*worker[U])}
	s.at.Store(new(units[U]))
	return s
}

// All gives the units at work in the order of their specs; after Close, the last
// ones. The slice must not be changed.
func (s *Supervisor[U]) All() []U { return s.at.Load().all }

// Get gives the unit of a key.
func (s *Supervisor[U]) Get(key string) (u U, ok bool) {
	w, ok := s.at.Load().byKey[key]
	if !ok {
		return u, false
	}
	return w.unit, true
}

// Applied is what an Apply has begun.
type Applied struct{ ended, tried []<-chan struct{} }

// Ended waits until all that was told to end has, or ctx does.
func (a Applied) Ended(ctx context.Context) { await(ctx, a.ended) }

// Tried waits until each unit that was begun is up or has failed, or ctx ends.
func (a Applied) Tried(ctx context.Context) { await(ctx, a.tried) }

func await(ctx context.Context, all []<-chan struct{}) {
	for _, done := range all {
		select {
		case <-done:
		case <-ctx.Done():
			return
		}
	}
}

// Apply makes specs the set at work, by difference. It waits for Changers alone.
// exchanged, if not nil, is called when All gives the new set, before any unit is
// told to end, and before any begins: it must be quick. An error is a panic of a
// New or a Change, or that ctx ended: then the set stays.
func (s *Supervisor[U]) Apply(ctx context.Context, specs []Spec[U], exchanged func()) (Applied, error) {
	s.applying.Lock()
	defer s.applying.Unlock()
	before := s.workers() // which Apply alone changes, and Close
	next, err := prepare(ctx, specs, before)
	if err == nil {
		if a, ok := s.exchange(before, next, exchanged); ok {
			return a, nil
		}
	}
	for _, w := range next { // they are dropped
		if before[w.key] != w {
			w.stop()
		}
	}
	return Applied{}, err
}

// workers gives those at work, by key.
func (s *Supervisor[U]) workers() map[string]*worker[U] {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.working
}

// prepare gives the workers of specs in their order: those of before that go on,
// and new ones, all of which are made before any is asked to change.
func prepare[U Unit](ctx context.Context, specs []Spec[U], before map[string]*worker[U]) (next []*worker[U], err error) {
	err = panics.Try(func() error {
		for _, spec := range specs {
			w := before[spec.Key]
			if w == nil || w.fingerprint != spec.Fingerprint {
				w = newWorker(spec)
			}
			next = append(next, w)
		}
		return nil
	})
	for i, w := range next {
		if old := before[w.key]; err == nil && old != nil && old != w {
			next[i], err = old.follow(ctx, w)
		}
	}
	return next, err
}

// exchange puts next to work in the place of before, unless Close has been
// called.
func (s *Supervisor[U]) exchange(before map[string]*worker[U], next []*worker[U], exchanged func()) (a Applied, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return a, false
	}
	at := &units[U]{all: make([]U, 0, len(next)), byKey: make(map[string]*worker[U], len(next))}
	for _, w := range next {
		at.all, at.byKey[w.key] = append(at.all, w.unit), w
	}
	s.at.Store(at)
	s.working = at.byKey
	if exchanged != nil {
		exchanged()
	}
	for key, w := range before {
		if now := s.working[key]; now != w {
			s.retire(w, now == nil)
		}
	}
	for _, w := range s.retiring {
		a.ended = append(a.ended, w.done)
	}
	for _, w := range next {
		if before[w.key] != w {
			tried := make(chan struct{})
			a.tried = append(a.tried, tried)
			go s.run(w, s.retiring[w.key], sync.OnceFunc(func() { close(tried) }))
		}
	}
	return a, true
}

// retire tells a worker to end; removed says that its unit is wanted no more. The
// caller holds s.mu.
func (s *Supervisor[U]) retire(w *worker[U], removed bool) {
	w.removed, w.done = removed, make(chan struct{})
	w.stop()
	s.retiring[w.key] = w
	if sleeps, ok := any(w.unit).(Starter); ok {
		sleeps.Wake()
	}
}

// Close tells all units to end, waits until they have, or ctx does, and gives
// those that have not. None begins any more. ending, if not nil, is called before
// any unit is told so: it must be quick.
func (s *Supervisor[U]) Close(ctx context.Context, ending func()) (left []U) {
	s.mu.Lock()
	s.closed = true
	if ending != nil {
		ending()
	}
	for _, w := range s.working {
		s.retire(w, false)
	}
	s.working = nil
	retiring := slices.Collect(maps.Values(s.retiring))
	s.mu.Unlock()
	for _, w := range retiring {
		select {
		case <-w.done:
		case <-ctx.Done():
			select {
			case <-w.done:
			default:
				left = append(left, w.unit)
			}
		}
	}
	return left
}

// worker runs a unit.
type worker[U Unit] struct {
	key, fingerprint string // the latter is Apply's
	unit             U

	ctx     context.Context
	stop    context.CancelFunc
	changed chan struct{} // of a Changer: holds something when the unit has become another

	// Since it was told to end; set before ctx ends.
	removed bool          // the unit is wanted no more
	done    chan struct{} // closed when it has ended
}

func newWorker[U Unit](spec Spec[U]) *worker[U] {
	// Not a context of the program's or of an Apply: a unit ends when it is told
	// to, in its turn.
	ctx, cancel := context.WithCancel(context.Background()) //nolint:gosec // it is called when the worker is retired or dropped
	w := &worker[U]{key: spec.Key, fingerprint: spec.Fingerprint, ctx: ctx, stop: cancel}
	w.unit = spec.New(ctx)
	if _, ok := any(w.unit).(Changer[U]); ok {
		w.changed = make(chan struct{}, 1)
	}
	return w
}

// follow gives the one of two that is to work on. An error is Apply's.
func (w *worker[U]) follow(ctx context.Context, next *worker[U]) (*worker[U], error) {
	c, ok := any(w.unit).(Changer[U])
	if !ok {
		return next, nil
	}
	type answer struct {
		changed bool
		stays   error
	}
	a, err := fsx.Do(ctx, func() (a answer, _ error) {
		a.changed, a.stays = c.Change(ctx, next.unit)
		return a, nil
	})
	switch {
	case ctx.Err() != nil:
		return next, ctx.Err()
	case err != nil || a.stays == nil && !a.changed:
		return next, err
	case a.changed:
		w.fingerprint = next.fingerprint
		select {
		case w.changed <- struct{}{}:
		default:
		}
	}
	next.stop()
	return w, nil
}

// run runs a worker's unit until it is told to end. predecessor, if not nil, must
// end first. wasTried is called when the unit was up, or has returned, for the first time,
// and may be called again.
func (s *Supervisor[U]) run(w, predecessor *worker[U], wasTried func()) {
	if predecessor != nil {
		<-predecessor.done
	}
	if starts, ok := any(w.unit).(Starter); ok && starts.Start(w.ctx, func() { s.finish(w) }) {
		wasTried()
		return
	}
	for delay := time.Duration(0); ; {
		var up atomic.Bool
		w.unit.Run(w.ctx, func() {
			up.Store(true)
			wasTried()
		})
		wasTried()
		if delay = min(max(2*delay, s.o.First), s.o.Most); up.Load() {
			delay = s.o.First
		}
		select {
		case <-time.After(delay):
		case <-w.changed:
			delay = 0
		case <-w.ctx.Done():
		}
		if w.ctx.Err() != nil {
			break
		}
	}
	s.finish(w)
}

// finish is the end of a worker, nothing of whose unit is left.
func (s *Supervisor[U]) finish(w *worker[U]) {
	if r, ok := any(w.unit).(Remover); ok && w.removed {
		r.Removed()
	}
	s.mu.Lock()
	if s.retiring[w.key] == w {
		delete(s.retiring, w.key)
	}
	s.mu.Unlock()
	close(w.done)
}
