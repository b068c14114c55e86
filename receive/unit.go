package receive

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"scriptbridge/config"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/repeat"
	"scriptbridge/receive/receiver"
	"scriptbridge/record"
)

// unit is one receiver at work in a Set: it is made, run, and made again when
// it went down.
type unit struct {
	set    *Set
	typ    receiver.Type
	config *config.Receive
	inputs config.Inputs
	env    receiver.Env
	logger log.Logger

	ctx   context.Context
	stop  context.CancelFunc
	done  chan struct{} // closed when it has ended, and all it took is put
	tried chan struct{} // closed when it was up or down for the first time
	gone  atomic.Bool   // once stopped: its series end

	putting sync.Mutex   // held for a Put: a source speaks once at a time
	over    bool         // no batch is taken any more
	sinks   repeat.State // what sinks could not take
	limited *receiver.LimitedLogger

	mu       sync.Mutex
	receiver receiver.Receiver // nil while there is none
	door     *receiver.Door    // of the receiver
	up       bool
	down     string // why it is down
	told     string // the last reason that was logged
	last     time.Time
	bad      string // what was wrong with the last batch
	recent   recent
}

// errOver is what a batch is answered with that comes after its receiver's end.
var errOver = errors.New("the receiver has ended")

// newUnit makes a unit as the plan says. The caller holds s.mu.
func (s *Set) newUnit(t receiver.Type, p plan, r *config.Receive) *unit {
	ctx, cancel := context.WithCancel(context.Background())
	u := &unit{
		set: s, typ: t, config: r, inputs: p.inputs, door: receiver.NewDoor(),
		logger: log.With(s.Logger, "receiver", t.Name),
		ctx:    ctx, stop: cancel, done: make(chan struct{}), tried: make(chan struct{}),
	}
	u.limited = receiver.NewLimitedLogger(u.logger)
	u.env = receiver.Env{
		Source: sourceOf(t, p.line, p.section), Sink: u, Logger: u.logger, Own: s.Own, Fatal: s.Fatal,
		Counts: s.countsOf(t.Name), Opened: u.opened,
	}
	return u
}

// loop runs the receiver until the unit is stopped. former, if not nil, is the
// unit of that name that must end first.
func (u *unit) loop(former *unit) {
	defer close(u.done)
	if former != nil {
		<-former.done
	}
	for delay := retryFirst; u.ctx.Err() == nil; delay = min(2*delay, retryMost) {
		err := u.once()
		if u.ctx.Err() != nil {
			break
		}
		if u.fail(err) {
			delay = retryFirst
		}
		wait := time.NewTimer(delay)
		select {
		case <-wait.C:
		case <-u.ctx.Done():
		}
		wait.Stop()
	}
	u.putting.Lock()
	u.over = true
	u.putting.Unlock()
	if u.gone.Load() {
		err := u.set.Sink.Put(&record.Batch{Source: u.env.Source, Time: time.Now(), Gone: true})
		u.note(err)
	}
}

// once makes the receiver and runs it until it fails or the unit is stopped.
func (u *unit) once() error {
	// Nothing is open before it runs: one that waits for a file is left behind.
	r, err := fsx.Do(u.ctx, u.make)
	if err != nil {
		return err
	}
	d := receiver.NewDoor()
	u.mu.Lock()
	u.receiver, u.door = r, d
	u.mu.Unlock()
	// Requests that are inside are answered first, then their receiver ends.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ending := context.AfterFunc(u.ctx, func() {
		d.Shut()
		cancel()
	})
	err = r.Run(ctx)
	ending()
	d.Shut()
	if err == nil && u.ctx.Err() == nil {
		err = errors.New("it ended by itself")
	}
	if err != nil && u.ctx.Err() != nil {
		level.Error(u.logger).Log("msg", "the receiver did not end well", "err", err)
	}
	return err
}

// make makes the receiver.
func (u *unit) make() (receiver.Receiver, error) {
	env := u.env
	if u.set.Storage != nil {
		var err error
		if env.Storage, err = u.set.Storage(u.typ.Name); err != nil {
			return nil, err
		}
	}
	return u.typ.New(u.config, env)
}

// opened is Env.Opened.
func (u *unit) opened() {
	u.mu.Lock()
	u.up, u.down, u.told = true, "", ""
	d, endpoints, addresses := u.door, u.receiver.Endpoints(), u.addresses()
	u.mu.Unlock()
	d.Open(endpoints)
	level.Info(u.logger).Log("msg", "the receiver is open", "addresses", strings.Join(addresses, ", "))
	u.wasTried()
}

// fail notes why the receiver is down, and says so unless that is known. It
// reports whether it was up before.
func (u *unit) fail(err error) (wasUp bool) {
	if remedy := config.ListenRemedy(err, "receive: "+u.typ.Name); remedy != "" {
		err = fmt.Errorf("%w (%s)", err, remedy)
	}
	u.mu.Lock()
	wasUp = u.up
	u.up, u.receiver, u.door, u.down = false, nil, receiver.NewDoor(), err.Error()
	news := u.told != u.down
	u.told = u.down
	u.mu.Unlock()
	if news {
		level.Error(u.logger).Log("msg", "the receiver is down, and tries again", "err", err)
	}
	u.wasTried()
	return wasUp
}

func (u *unit) wasTried() {
	select {
	case <-u.tried:
	default:
		close(u.tried)
	}
}

// Put is the receiver's sink.
func (u *unit) Put(b *record.Batch) error {
	u.putting.Lock()
	defer u.putting.Unlock()
	if u.over {
		return errOver
	}
	err := u.set.Sink.Put(b)
	u.note(err)
	logFaults(u.limited, b)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.recent.add(b)
	if len(b.Samples)+len(b.Events) > 0 || b.Err != nil { // or else it only declares something, at the start
		u.last = b.Time
	}
	u.bad = ""
	if whole := record.WithoutLines(b.Err); whole != nil {
		u.bad = whole.Error()
	}
	return err
}

// note counts what a sink could not take, and tells it once. The caller holds
// u.putting, or is the last.
func (u *unit) note(err error) {
	if err != nil {
		u.set.sinkErrors.Add(1)
	}
	u.sinks.Log(u.logger, err, "a sink could not take what was received", "all sinks take what is received again")
}

// enter is door.enter.
func (u *unit) enter(path string, w http.ResponseWriter) (e receiver.Endpoint, leave func(), ok bool) {
	u.mu.Lock()
	d := u.door
	u.mu.Unlock()
	return d.Enter(path, w)
}

func (u *unit) isUp() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.up
}

func (u *unit) snapshot() View {
	u.mu.Lock()
	defer u.mu.Unlock()
	v := View{Name: u.typ.Name, Up: u.up, Error: u.down, Addresses: u.addresses(), Last: u.last, Counts: u.env.Counts.View()}
	v.Events, v.Faults = slices.Clone(u.recent.events), slices.Clone(u.recent.faults)
	if u.up {
		v.Error = u.bad
	}
	return v
}

// addresses are the receiver's, and its paths on the web port. The caller
// holds u.mu.
func (u *unit) addresses() []string {
	if !u.up {
		return nil
	}
	all := u.receiver.Addresses()
	for _, e := range u.receiver.Endpoints() {
		all = append(all[:len(all):len(all)], fmt.Sprintf("web %s", e.Path))
	}
	return all
}
