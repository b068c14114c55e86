package receive

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"scriptbridge/config"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/joined"
	"scriptbridge/receive/coscaleapi"
	"scriptbridge/receive/receiver"
	"scriptbridge/record"
)

const (
	// A receiver that is down tries again after retryFirst, and then after
	// twice as long each time, retryMost at most.
	retryFirst = 5 * time.Second
	retryMost  = time.Minute
	// openingMost is how long Reload waits for receivers to open.
	openingMost = 5 * time.Second
	// firstRank is behind those of all scripts.
	firstRank = 1 << 20
)

// SetOptions are what a Set needs from outside.
type SetOptions struct {
	// First is what the first Reload will be given. Until then requests for its
	// receivers are asked to come back. May be nil.
	First  *config.Receive
	Sink   record.Sink
	Logger log.Logger
	// Storage gives a receiver its folder; nil without --storage.path.
	Storage func(receiver string) (string, error)
	// Hidden says why a request may not see what is private; empty when it
	// may. Nil: nobody may.
	Hidden func(*http.Request) string
	// Own is this bridge's name in what it uploads, which must not come back to
	// where it is from; empty where it has none.
	Own string
	// Fatal ends the program, with the reason; nil: a panic does.
	Fatal func(error)
}

// Set is the receivers at work. All methods are safe for concurrent use.
type Set struct {
	SetOptions
	types []receiver.Type

	// reloading is held for a Reload, which waits for files. Nothing else does
	// while it holds mu: requests and scrapes take that.
	reloading sync.Mutex

	mu    sync.Mutex
	units []*unit // at work, in the order of the table
	// paths are those of the web port that receivers answer, or are about to,
	// or did before Close.
	paths []string
	begun bool // by a Reload
	// leaving are the units that have been stopped and have not ended yet, by
	// name: one that follows must wait for its ports.
	leaving map[string]*unit
	counts  map[string]*receiver.Counts // which outlive a reload
	closed  bool

	sinkErrors atomic.Uint64
}

// NewSet makes a Set without receivers; Reload gives it some.
func NewSet(o SetOptions) *Set {
	s := &Set{SetOptions: o, types: types, leaving: make(map[string]*unit), counts: make(map[string]*receiver.Counts)}
	if o.First != nil {
		for _, t := range s.types {
			if p := t.Section(o.First); p != nil {
				s.paths = append(s.paths, p.Paths...)
			}
		}
	}
	return s
}

// View is what people may see of a receiver.
type View struct {
	Name string
	// Up says that all that it listens on is open.
	Up bool
	// Error is why it is down; of one that is up, what was wrong with its last
	// batch as a whole. Empty for nothing, and while it opens.
	Error string
	// Addresses are where it listens, paths of the web port among them.
	Addresses []string
	Last      time.Time // of the last batch; zero before the first
	Counts    receiver.CountsView
	// Events and Faults are those of late, the newest first.
	Events []record.Event
	Faults []Fault
}

// Reload makes the receivers of r the wanted set, by difference: an unchanged
// one keeps its sockets, its clients and its series, one that is changed (or
// whose files are) is stopped and started anew, one that is gone is stopped and
// its series end. Reload returns when everything that had to stop has stopped,
// and what was started is open or down, or when ctx has ended. It takes
// seconds at most. It keeps r.
func (s *Set) Reload(ctx context.Context, r *config.Receive) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	plans, err := fsx.Do(ctx, func() ([]plan, error) { return s.plan(r), nil })
	switch {
	case ctx.Err() != nil:
		return
	case err != nil: // a fault of ours, and whoever asked for this knows whom to tell
		panic(err)
	}
	ending, started := s.apply(plans, r)
	for _, u := range ending {
		await(ctx, u.done)
	}
	ctx, cancel := context.WithTimeout(ctx, openingMost)
	defer cancel()
	for _, u := range started {
		await(ctx, u.tried)
	}
}

// plan is what a reload is to make of one kind of receiver.
type plan struct {
	line    int // in the table
	section *receiver.Section
	inputs  config.Inputs
	old     *unit // at work now; nil for none
	stays   bool  // and is to go on
}

// plan finds out what is to be done. It reads files, and changes nothing.
func (s *Set) plan(r *config.Receive) []plan {
	var plans []plan
	units := s.present()
	for i, t := range s.types {
		p := plan{line: i, section: t.Section(r)}
		if at := slices.IndexFunc(units, func(u *unit) bool { return u.typ.Name == t.Name }); at >= 0 {
			p.old = units[at]
		}
		if p.section != nil {
			p.inputs = p.section.Inputs()
			p.stays = p.old != nil && (p.old.inputs.Equal(p.inputs) || s.holds(p.old, t, r, p))
		}
		plans = append(plans, p)
	}
	return plans
}

// holds says, and logs, that a receiver at work stays although another is
// wanted: one that cannot be made, since a file that it reads has an error.
func (s *Set) holds(old *unit, t receiver.Type, r *config.Receive, p plan) bool {
	if !old.isUp() {
		return false
	}
	err := trial(t, p.line, r, p.section)
	if err != nil {
		level.Error(old.logger).Log("msg", "the receiver goes on as it was: the new one cannot be made", "err", err)
	}
	return err != nil
}

// apply stops and starts what the plans say, and gives the units that are to
// end and those that have begun.
func (s *Set) apply(plans []plan, r *config.Receive) (ending, started []*unit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil
	}
	s.begun = true
	var now []*unit
	s.paths = nil
	for _, p := range plans {
		if p.section != nil {
			s.paths = append(s.paths, p.section.Paths...)
		}
		switch {
		case p.stays:
			now = append(now, p.old)
			continue
		case p.old != nil:
			s.leave(p.old, p.section == nil)
		}
		if p.section != nil {
			u := s.newUnit(s.types[p.line], p, r)
			now, started = append(now, u), append(started, u)
		}
	}
	s.units = now
	for _, u := range started {
		go u.loop(s.leaving[u.typ.Name])
	}
	return slices.Collect(maps.Values(s.leaving)), started
}

func await(ctx context.Context, done <-chan struct{}) {
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// leave stops a unit; gone says that it is no longer configured. The caller
// holds s.mu.
func (s *Set) leave(u *unit, gone bool) {
	u.gone.Store(gone)
	u.stop()
	s.leaving[u.typ.Name] = u
	go func() {
		<-u.done
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.leaving[u.typ.Name] == u {
			delete(s.leaving, u.typ.Name)
		}
	}()
}

// Close stops every receiver, and returns when each has put what it had taken.
// Values stay in the sinks.
func (s *Set) Close() {
	s.mu.Lock()
	s.closed = true
	for _, u := range s.units {
		s.leave(u, false)
	}
	ending := slices.Collect(maps.Values(s.leaving))
	s.units = nil
	s.mu.Unlock()
	for _, u := range ending {
		<-u.done
	}
}

// Views gives every receiver that is configured, in the order of the table.
func (s *Set) Views() []View {
	var views []View
	for _, u := range s.present() {
		views = append(views, u.snapshot())
	}
	return views
}

// Ready reports whether every receiver is up.
func (s *Set) Ready() bool { return len(s.Late()) == 0 }

// Late names the receivers that are not up.
func (s *Set) Late() (names []string) {
	for _, u := range s.present() {
		if !u.isUp() {
			names = append(names, u.typ.Name)
		}
	}
	return names
}

// SinkErrors is how many batches a sink could not take since the start.
func (s *Set) SinkErrors() uint64 { return s.sinkErrors.Load() }

// comesBack reports whether a path that nobody answers is one to ask again for:
// a receiver that is down has it, or none has it yet, or any more, since the
// bridge starts or ends.
func (s *Set) comesBack(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(s.paths, func(of string) bool { return receiver.Endpoint{Path: of}.Has(path) }) {
		return true
	}
	return coscaleapi.Owns(path) && (s.closed || !s.begun)
}

func (s *Set) present() []*unit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.units // which is never changed, only replaced
}

// countsOf gives the counts of a receiver. The caller holds s.mu.
func (s *Set) countsOf(name string) *receiver.Counts {
	c := s.counts[name]
	if c == nil {
		c = new(receiver.Counts)
		s.counts[name] = c
	}
	return c
}

// sourceOf makes a receiver's source; line is its kind's in the table.
func sourceOf(t receiver.Type, line int, p *receiver.Section) *record.Source {
	src := &record.Source{
		Kind: record.Receiver, Name: t.Name, Rank: firstRank + line,
		Prefix: t.Prefix, Verbatim: t.Verbatim, WholeNames: t.WholeNames, Acknowledged: t.Acknowledges, MaxSeries: p.MaxSeries,
	}
	for _, name := range slices.Sorted(maps.Keys(p.Labels)) {
		src.Labels = append(src.Labels, record.Label{Name: name, Value: p.Labels[name]})
	}
	return src
}

// Names gives the receivers that are configured, in the order of the table.
func Names(r *config.Receive) []string {
	var names []string
	for _, t := range types {
		if t.Section(r) != nil {
			names = append(names, t.Name)
		}
	}
	return names
}

// Problem is what keeps a receiver from being made.
type Problem struct {
	Receiver string
	Err      error
}

// Check makes every receiver that is configured, and binds nothing.
func Check(r *config.Receive) []Problem {
	var problems []Problem
	for i, t := range types {
		p := t.Section(r)
		if p == nil {
			continue
		}
		for _, err := range joined.Split(trial(t, i, r, p)) {
			problems = append(problems, Problem{t.Name, err})
		}
	}
	return problems
}

// trial makes a receiver that is put to no work.
func trial(t receiver.Type, line int, r *config.Receive, p *receiver.Section) error {
	_, err := t.New(r, receiver.Env{
		Source: sourceOf(t, line, p), Sink: record.Tee{}, Logger: log.NewNopLogger(),
		Counts: new(receiver.Counts), Opened: func() {},
	})
	return err
}

// InputsOf is what the receivers of r would be made of, in the order of the
// table. It reads their files.
func InputsOf(r *config.Receive) []config.Inputs {
	var all []config.Inputs
	for _, t := range types {
		if p := t.Section(r); p != nil {
			all = append(all, p.Inputs())
		}
	}
	return all
}
