package receive

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"scriptbridge/config"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/panics"
	"scriptbridge/internal/repeat"
	"scriptbridge/receive/receiver"
	"scriptbridge/record"
)

// worker has one receiver at work in a Set: it makes it, runs it, and makes
// another one when that went down. It is a unit of the supervisor.
type worker struct {
	set    *Set
	typ    receiver.Type
	config *config.Receive
	env    receiver.Env
	logger log.Logger

	putting sync.Mutex   // held for a Put: a source speaks once at a time
	over    bool         // no batch is taken any more
	sinks   repeat.State // what sinks could not take
	limited *receiver.LimitedLogger

	mu       sync.Mutex
	wentUp   func()            // tells the supervisor
	receiver receiver.Receiver // nil while there is none
	door     *receiver.Door    // of the receiver
	up       bool
	down     string // why it is down
	logged   string // the last reason that was logged
	last     time.Time
	bad      string // what was wrong with the last batch
	recent   recent
}

// errOver is what a batch is answered with that comes after its receiver's end.
var errOver = errors.New("the receiver has ended")

func (s *Set) newWorker(t receiver.Type, src *record.Source, r *config.Receive) *worker {
	w := &worker{set: s, typ: t, config: r, door: receiver.NewDoor(), logger: log.With(s.Logger, "receiver", t.Name)}
	w.limited = receiver.NewLimitedLogger(w.logger)
	w.env = receiver.Env{Source: src, Sink: w, Logger: w.logger, Own: s.Own, Guard: s.Guard, Fatal: s.Fatal, Counts: s.countsOf(t.Name), Opened: w.opened}
	return w
}

// Run runs the receiver until it fails or ctx ends.
func (w *worker) Run(ctx context.Context, up func()) {
	w.mu.Lock()
	w.wentUp = up
	w.mu.Unlock()
	if ctx.Err() == nil {
		if err := w.once(ctx); ctx.Err() == nil {
			w.fail(err)
			return
		}
	}
	w.takeNoMore()
}

// takeNoMore refuses what comes from now on.
func (w *worker) takeNoMore() {
	w.putting.Lock()
	defer w.putting.Unlock()
	w.over = true
}

// Change lets next take the place of w, unless w is up, and next cannot be made,
// since a file that it reads has an error.
func (w *worker) Change(_ context.Context, next *worker) (changed bool, err error) {
	if !w.isUp() {
		return false, nil
	}
	if err = trial(next.typ, next.env.Source, next.config); err != nil {
		level.Error(w.logger).Log("msg", "the receiver goes on as it was: the new one cannot be made", "err", err)
	}
	return false, err
}

// Removed ends the series of a receiver that is configured no more.
func (w *worker) Removed() {
	w.takeNoMore()
	err := w.set.Sink.Put(&record.Batch{Source: w.env.Source, Time: time.Now(), Gone: true})
	w.note(err)
}

// once makes the receiver and runs it until it fails or ctx ends.
func (w *worker) once(ctx context.Context) error {
	// Nothing is open before it runs: one that waits for a file is left behind.
	r, err := fsx.Do(ctx, w.make)
	if err != nil {
		return err
	}
	d := receiver.NewDoor()
	w.mu.Lock()
	w.receiver, w.door = r, d
	w.mu.Unlock()
	// Requests that are inside are answered first, then their receiver ends.
	running, cancel := context.WithCancel(context.Background())
	defer cancel()
	ending := context.AfterFunc(ctx, func() {
		d.Shut()
		cancel()
	})
	err = panics.Try(func() error { return r.Run(running) })
	ending()
	d.Shut()
	if err == nil && ctx.Err() == nil {
		err = errors.New("it ended by itself")
	}
	if err != nil && ctx.Err() != nil {
		level.Error(w.logger).Log(append([]any{"msg", "the receiver did not end well", "err", err}, panics.Place(err)...)...)
	}
	return err
}

// make makes the receiver.
func (w *worker) make() (receiver.Receiver, error) {
	env := w.env
	env.Disk = w.set.Disk
	if w.set.Storage != nil {
		var err error
		if env.Storage, err = w.set.Storage(w.typ.Name); err != nil {
			return nil, err
		}
	}
	return w.typ.New(w.config, env)
}

// opened is Env.Opened.
func (w *worker) opened() {
	w.mu.Lock()
	w.up, w.down, w.logged = true, "", ""
	d, endpoints, addresses, wentUp := w.door, w.receiver.Endpoints(), w.addresses(), w.wentUp
	w.mu.Unlock()
	d.Open(endpoints)
	level.Info(w.logger).Log("msg", "the receiver is open", "addresses", strings.Join(addresses, ", "))
	wentUp()
}

// fail notes why the receiver is down, and logs it unless that is known.
func (w *worker) fail(err error) {
	if remedy := config.ListenRemedy(err, "receive: "+w.typ.Name); remedy != "" {
		err = fmt.Errorf("%w (%s)", err, remedy)
	}
	w.mu.Lock()
	w.up, w.receiver, w.door, w.down = false, nil, receiver.NewDoor(), err.Error()
	known := w.logged == w.down
	w.logged = w.down
	w.mu.Unlock()
	if !known {
		level.Error(w.logger).Log(append([]any{"msg", "the receiver is down, and tries again", "err", err}, panics.Place(err)...)...)
	}
}

// Put is the receiver's sink.
func (w *worker) Put(b *record.Batch) error {
	w.putting.Lock()
	defer w.putting.Unlock()
	if w.over {
		return errOver
	}
	err := w.set.Sink.Put(b)
	w.note(err)
	logFaults(w.limited, b)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.recent.add(b)
	if len(b.Samples)+len(b.Events) > 0 || b.Err != nil { // or else it only declares something, at the start
		w.last = b.Time
	}
	w.bad = ""
	if whole := record.WithoutLines(b.Err); whole != nil {
		w.bad = whole.Error()
	}
	return err
}

// note counts what a sink could not take, and tells it once. The caller holds
// w.putting, or is the last.
func (w *worker) note(err error) {
	if err != nil {
		w.set.sinkErrors.Add(1)
	}
	w.sinks.Log(w.logger, err, "a sink could not take what was received", "all sinks take what is received again")
}

// enter is door.enter.
func (w *worker) enter(path string, to http.ResponseWriter) (e receiver.Endpoint, leave func(), ok bool) {
	w.mu.Lock()
	d := w.door
	w.mu.Unlock()
	return d.Enter(path, to)
}

func (w *worker) isUp() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.up
}

func (w *worker) snapshot() View {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := View{Name: w.typ.Name, Up: w.up, Error: w.down, Addresses: w.addresses(), Last: w.last, Counts: w.env.Counts.View()}
	v.Events, v.Faults = slices.Clone(w.recent.events), slices.Clone(w.recent.faults)
	if w.up {
		v.Error = w.bad
	}
	return v
}

// addresses are the receiver's, and its paths on the web port. The caller
// holds w.mu.
func (w *worker) addresses() []string {
	if !w.up {
		return nil
	}
	all := w.receiver.Addresses()
	for _, e := range w.receiver.Endpoints() {
		all = append(all[:len(all):len(all)], fmt.Sprintf("web %s%s", w.set.Prefix, e.Path))
	}
	return all
}
