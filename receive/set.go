package receive

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"scriptbridge/config"
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
}

// Set is the receivers at work. All methods are safe for concurrent use.
type Set struct {
	SetOptions
	kinds []kind

	mu    sync.Mutex
	units []*unit // at work, in the order of the table
	// leaving are the units that have been stopped and have not ended yet, by
	// name: one that follows must wait for its ports.
	leaving map[string]*unit
	counts  map[string]*Counts // which outlive a reload
	closed  bool

	sinkErrors atomic.Uint64
}

// NewSet makes a Set without receivers; Reload gives it some.
func NewSet(o SetOptions) *Set {
	return &Set{SetOptions: o, kinds: kinds, leaving: make(map[string]*unit), counts: make(map[string]*Counts)}
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
	Counts    CountsView
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
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	var now, started []*unit
	for i, k := range s.kinds {
		p := k.part(r)
		old := s.find(k.name)
		switch {
		case p == nil && old != nil:
			s.leave(old, true)
		case p != nil:
			digest := p.digest()
			if (old == nil || !reflect.DeepEqual(old.part.config, p.config) || old.digest != digest) && !s.holds(old, k, i, r, p) {
				if old != nil {
					s.leave(old, false)
				}
				old = s.newUnit(k, i, r, p)
				old.digest = digest
				started = append(started, old)
			}
			now = append(now, old)
		}
	}
	s.units = now
	ending := slices.Collect(maps.Values(s.leaving))
	for _, u := range started {
		go u.loop(s.leaving[u.kind.name])
	}
	s.mu.Unlock()

	for _, u := range ending {
		await(ctx, u.done)
	}
	ctx, cancel := context.WithTimeout(ctx, openingMost)
	defer cancel()
	for _, u := range started {
		await(ctx, u.tried)
	}
}

// holds says, and logs, that a receiver at work stays although another is
// wanted: one that cannot be made, since a file that it reads has an error.
func (s *Set) holds(old *unit, k kind, line int, r *config.Receive, p *part) bool {
	if old == nil || !old.isUp() {
		return false
	}
	err := trial(k, line, r, p)
	if err != nil {
		level.Error(old.logger).Log("msg", "the receiver goes on as it was: the new one cannot be made", "err", err)
	}
	return err != nil
}

func await(ctx context.Context, done <-chan struct{}) {
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// find gives the unit of a name, nil when there is none. The caller holds s.mu.
func (s *Set) find(name string) *unit {
	for _, u := range s.units {
		if u.kind.name == name {
			return u
		}
	}
	return nil
}

// leave stops a unit; gone says that it is no longer configured. The caller
// holds s.mu.
func (s *Set) leave(u *unit, gone bool) {
	u.gone.Store(gone)
	u.stop()
	s.leaving[u.kind.name] = u
	go func() {
		<-u.done
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.leaving[u.kind.name] == u {
			delete(s.leaving, u.kind.name)
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
func (s *Set) Ready() bool {
	return !slices.ContainsFunc(s.present(), func(u *unit) bool { return !u.isUp() })
}

// SinkErrors is how many batches a sink could not take since the start.
func (s *Set) SinkErrors() uint64 { return s.sinkErrors.Load() }

func (s *Set) present() []*unit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.units // which is never changed, only replaced
}

// countsOf gives the counts of a receiver. The caller holds s.mu.
func (s *Set) countsOf(name string) *Counts {
	c := s.counts[name]
	if c == nil {
		c = new(Counts)
		s.counts[name] = c
	}
	return c
}

// sourceOf makes a receiver's source; line is its kind's in the table.
func sourceOf(k kind, line int, p *part) *record.Source {
	src := &record.Source{
		Kind: record.Receiver, Name: k.name, Rank: firstRank + line,
		Prefix: k.prefix, Verbatim: k.verbatim, MaxSeries: p.maxSeries,
	}
	for _, name := range slices.Sorted(maps.Keys(p.labels)) {
		src.Labels = append(src.Labels, record.Label{Name: name, Value: p.labels[name]})
	}
	return src
}

// Names gives the receivers that are configured, in the order of the table.
func Names(r *config.Receive) []string {
	var names []string
	for _, k := range kinds {
		if k.part(r) != nil {
			names = append(names, k.name)
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
	for i, k := range kinds {
		p := k.part(r)
		if p == nil {
			continue
		}
		for _, err := range each(trial(k, i, r, p)) {
			problems = append(problems, Problem{k.name, err})
		}
	}
	return problems
}

// each gives the errors that are joined in one; none of nil.
func each(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	switch {
	case err == nil:
		return nil
	case !ok:
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, each(e)...)
	}
	return all
}

// trial makes a receiver that is put to no work.
func trial(k kind, line int, r *config.Receive, p *part) error {
	_, err := k.make(r, Env{
		Source: sourceOf(k, line, p), Sink: record.Tee{}, Logger: log.NewNopLogger(),
		Counts: new(Counts), Opened: func() {},
	})
	return err
}

// Fingerprint changes whenever the contents of a file change that a receiver
// of r reads.
func Fingerprint(r *config.Receive) string {
	h := sha256.New()
	for _, k := range kinds {
		if p := k.part(r); p != nil {
			fmt.Fprintf(h, "%s %x\n", k.name, p.digest())
		}
	}
	return string(h.Sum(nil))
}

// largestFile bounds what is read to see whether a file has changed.
const largestFile = 16 << 20

// digest adds up the contents of the part's files. What cannot be read counts
// by its error.
func (p *part) digest() [sha256.Size]byte {
	h := sha256.New()
	for _, name := range p.files {
		if name == "" {
			continue
		}
		one := sha256.New()
		err := copyFile(one, name)
		fmt.Fprintf(h, "%q %x %v\n", name, one.Sum(nil), err)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func copyFile(w io.Writer, name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is not a regular file") // and might never end
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, io.LimitReader(f, largestFile))
	return err
}
