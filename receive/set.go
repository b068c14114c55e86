package receive

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"

	"scriptbridge/config"
	"scriptbridge/internal/access"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/joined"
	"scriptbridge/internal/supervise"
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
	// Storage gives a receiver its folder on Disk; nil without --storage.path.
	Storage func(receiver string) (string, error)
	Disk    fsx.FS // nil: the real one
	// Hidden says why a request may not see what is private; empty when it
	// may. Nil: nobody may.
	Hidden func(*http.Request) string
	// Prefix is in front of the paths of the web port, as clients see them.
	Prefix string
	// Guard keeps out who may not push; nil: access.Guard's.
	Guard *access.Guard
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

	// supervisor has those at work, in the order of the table.
	supervisor *supervise.Supervisor[*worker]

	mu sync.Mutex // guards what follows; requests and scrapes take it
	// paths are those of the web port that receivers answer, or are about to,
	// or did before Close.
	paths  []string
	begun  bool                        // by a Reload
	counts map[string]*receiver.Counts // which outlive a reload
	closed bool

	sinkErrors atomic.Uint64
}

// NewSet makes a Set without receivers; Reload gives it some.
func NewSet(o SetOptions) *Set {
	s := &Set{
		SetOptions: o, types: types, counts: make(map[string]*receiver.Counts),
		supervisor: supervise.New[*worker](supervise.Options{First: retryFirst, Most: retryMost}),
	}
	if o.First != nil {
		s.paths = s.pathsOf(o.First)
	}
	return s
}

// pathsOf are those of the web port that the receivers of r answer.
func (s *Set) pathsOf(r *config.Receive) (paths []string) {
	for _, t := range s.types {
		if p := t.Section(r); p != nil {
			paths = append(paths, p.Paths...)
		}
	}
	return paths
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
	specs, err := fsx.Do(ctx, func() ([]supervise.Spec[*worker], error) { return s.specs(r), nil })
	var applied supervise.Applied
	if err == nil {
		applied, err = s.supervisor.Apply(ctx, specs, func() { s.begin(r) })
	}
	switch {
	case ctx.Err() != nil:
		return
	case err != nil: // a fault of ours, and whoever asked for this knows whom to tell
		panic(err)
	}
	applied.Ended(ctx)
	ctx, cancel := context.WithTimeout(ctx, openingMost)
	defer cancel()
	applied.Tried(ctx)
}

// specs are those of the receivers of r. It reads their files.
func (s *Set) specs(r *config.Receive) []supervise.Spec[*worker] {
	var specs []supervise.Spec[*worker]
	for i, t := range s.types {
		if p := t.Section(r); p != nil {
			specs = append(specs, supervise.Spec[*worker]{Key: t.Name, Fingerprint: p.Fingerprint(r), New: func(context.Context) *worker {
				return s.newWorker(t, sourceOf(t, i, p, r), r)
			}})
		}
	}
	return specs
}

// begin is called when the receivers of r are about to begin.
func (s *Set) begin(r *config.Receive) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun, s.paths = true, s.pathsOf(r)
}

// Close stops every receiver, and returns when each has put what it had taken.
// Values stay in the sinks.
func (s *Set) Close() {
	s.supervisor.Close(context.Background(), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.closed = true
	})
}

// Views gives every receiver that is configured, in the order of the table.
func (s *Set) Views() []View {
	var views []View
	for _, w := range s.present() {
		views = append(views, w.snapshot())
	}
	return views
}

// Late names the receivers that are not up.
func (s *Set) Late() (names []string) {
	for _, w := range s.present() {
		if !w.isUp() {
			names = append(names, w.typ.Name)
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

// present gives those at work; none once they are to end.
func (s *Set) present() []*worker {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	return s.supervisor.All()
}

// countsOf gives the counts of a receiver.
func (s *Set) countsOf(name string) *receiver.Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts[name]
	if c == nil {
		c = new(receiver.Counts)
		s.counts[name] = c
	}
	return c
}

// sourceOf makes a receiver's source; line is its kind's in the table.
func sourceOf(t receiver.Type, line int, p *receiver.Section, r *config.Receive) *record.Source {
	return &record.Source{
		Kind: record.Receiver, Name: t.Name, Rank: firstRank + line,
		Prefix: t.Prefix, Verbatim: t.Verbatim, WholeNames: t.WholeNames, Acknowledged: t.Acknowledges, MaxSeries: p.MaxSeries, DropTexts: r.DropTexts,
		Labels: record.LabelsOf(p.Labels),
	}
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
		for _, err := range joined.Split(trial(t, sourceOf(t, i, p, r), r)) {
			problems = append(problems, Problem{t.Name, err})
		}
	}
	return problems
}

// trial makes a receiver that is put to no work.
func trial(t receiver.Type, src *record.Source, r *config.Receive) error {
	_, err := t.New(r, receiver.Env{
		Source: src, Sink: record.Tee{}, Logger: log.NewNopLogger(),
		Counts: new(receiver.Counts), Opened: func() {},
	})
	return err
}

// Fingerprint tells apart what the receivers of r would be made of. It reads
// their files.
func Fingerprint(r *config.Receive) string {
	var all []any
	for _, t := range types {
		if p := t.Section(r); p != nil {
			all = append(all, t.Name, p.Fingerprint(r))
		}
	}
	return config.Fingerprint(nil, all...)
}
