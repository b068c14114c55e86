package script

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"

	"scriptbridge/internal/supervise"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
	"scriptbridge/script/process"
)

// Pool runs a set of scripts, each on its own schedule, and puts what they say
// into one sink. Scrapes have no part in it.
type Pool struct {
	sink     record.Sink
	logger   log.Logger
	launcher *process.Launcher
	base     time.Time
	host     string // whose schedule is another one than that of other hosts
	runs     *semaphore

	// supervisor has those at work, in the order of the configuration.
	supervisor *supervise.Supervisor[*worker]
	closed     atomic.Bool

	sinkErrors atomic.Uint64

	memory   func(*Script) dialect.Memory
	unpacked unpacked
}

// NewPool makes a Pool without scripts; Reload gives it some. It owns the
// processes it starts, and on Linux makes this process adopt their
// descendants. The sink and the logger stay the caller's.
func NewPool(sink record.Sink, logger log.Logger, maxConcurrent int) *Pool {
	host, _ := os.Hostname() // without a name all hosts are one
	return &Pool{
		host:     host,
		sink:     sink,
		logger:   logger,
		launcher: process.NewLauncher(logger),
		base:     time.Now(),
		runs:     newSemaphore(maxConcurrent),
		// A script never fails in the supervisor's eyes: the worker itself starts it
		// again.
		supervisor: supervise.New[*worker](supervise.Options{}),
		memory:     func(*Script) dialect.Memory { return dialect.Forgetful{} },
	}
}

// UseMemory gives every script's Runner a Memory; without it none is kept. It
// belongs before the first Reload.
func (p *Pool) UseMemory(of func(*Script) dialect.Memory) { p.memory = of }

// Reload makes scripts the wanted set, by difference: an unchanged script goes
// on undisturbed, with its schedule, its last output and whatever its Runner
// keeps; a changed one is stopped and started anew; one that is gone is
// stopped and its series end. Reload returns when everything that had to stop
// has stopped, which takes a few seconds at most, or when ctx has ended.
func (p *Pool) Reload(ctx context.Context, scripts []*Script, maxConcurrent int) {
	var specs []supervise.Spec[*worker]
	for _, s := range scripts {
		if before, ok := p.supervisor.Get(s.Name); ok {
			s.inherit(before.script)
		}
		specs = append(specs, supervise.Spec[*worker]{Key: s.Name, Fingerprint: s.Fingerprint(), New: func(ctx context.Context) *worker {
			return p.newWorker(ctx, s, p.memory(s))
		}})
	}
	applied, err := p.supervisor.Apply(ctx, specs, func() {
		p.runs.resize(maxConcurrent)
		for i, u := range p.supervisor.All() {
			// Of one that goes on, its place may be another.
			u.source.Store(scripts[i].Source)
			u.disable(scripts[i])
		}
	})
	if err != nil { // a dialect's mistake, which the reload tells
		panic(err)
	}
	applied.Ended(ctx)
}

// Contain has every run end for sure, as far as this system lets us: see
// process.Launcher.Contain. It belongs before the first run, in a program that
// starts processes by this Pool alone.
func (p *Pool) Contain() { p.launcher.Contain() }

// Containment is what keeps the processes of a run together.
type Containment = process.Containment

// Containment says what that is here.
func (p *Pool) Containment() Containment { return p.launcher.Containment() }

// Left lists the processes that scripts left behind and that still live. It
// belongs after Close.
func (p *Pool) Left() []process.Leftover { return p.launcher.Left() }

// Close stops every script, kills whatever any of them left behind, and
// returns when that is done. Values stay in the sinks.
func (p *Pool) Close() {
	p.supervisor.Close(context.Background(), func() { p.closed.Store(true) })
	p.launcher.Close()
	p.unpacked.remove(p.logger)
}

// Kill ends at once what Close would end: whatever any script runs is killed,
// and none is started any more. Close may still be called, or be under way.
func (p *Pool) Kill() {
	p.launcher.Kill()
	p.unpacked.remove(p.logger)
}

// Late names the scripts that have not had their first run.
func (p *Pool) Late() (names []string) {
	for _, u := range p.supervisor.All() {
		if !u.hasRun() {
			names = append(names, u.script.Name)
		}
	}
	return names
}

// SinkErrors is how many batches a sink could not take since the start.
func (p *Pool) SinkErrors() uint64 { return p.sinkErrors.Load() }

// Stalled names a script that has been due for longer than patience, that there is
// a permit for, and that does not run: a fault of ours. It is "" where there
// is none.
func (p *Pool) Stalled(patience time.Duration) string {
	if p.closed.Load() || !p.runs.free() {
		return ""
	}
	for _, u := range p.supervisor.All() {
		v := u.snapshot()
		if (v.State == Idle || v.State == Waiting) && !v.Next.IsZero() && time.Since(v.Next) > patience {
			return u.script.Name
		}
	}
	return ""
}

// Size is how many scripts there are.
func (p *Pool) Size() int { return len(p.supervisor.All()) }

// Running is how many scripts run at this moment, and Waiting how many wait
// for a permit.
func (p *Pool) Running() int { running, _ := p.runs.count(); return running }

// Waiting is how many scripts are due and wait for a permit.
func (p *Pool) Waiting() int { _, waiting := p.runs.count(); return waiting }

// Once runs each of scripts one time, as many at once as max_concurrent allows, and
// gives what people may see of them, in order. Called again with the same
// scripts it goes on with what their Runners keep; of one that is kept alive it
// waits for the next run that has not been given. It is the way of `try`; a
// Pool is used either through Reload or through Once.
func (p *Pool) Once(ctx context.Context, scripts []*Script) []View {
	var specs []supervise.Spec[*worker]
	for _, s := range scripts {
		specs = append(specs, supervise.Spec[*worker]{Key: s.Name, New: func(ctx context.Context) *worker {
			ctx, stop := context.WithCancel(ctx) //nolint:gosec // it is called when the caller's context ends, and ctx ends with the unit
			u := p.newWorker(ctx, s, p.memory(s))
			u.demand = &demand{stop: stop, ran: make(chan struct{}, 1)}
			return u
		}})
	}
	if _, err := p.supervisor.Apply(ctx, specs, nil); err != nil {
		panic(err)
	}
	var running sync.WaitGroup
	views := make([]View, len(scripts))
	for i, u := range p.supervisor.All() {
		running.Go(func() {
			u.demand.once.Lock()
			defer u.demand.once.Unlock()
			stop := context.AfterFunc(ctx, u.demand.stop)
			defer stop()
			_, kept := u.runner.(dialect.Keeper)
			if kept {
				u.nextRun()
			} else if mine := p.runs.acquire(u.ctx); mine != nil {
				u.stderr = newStderrLog(u.logger, u.script.Log) // each round shows its own
				u.runOnce(mine, 0, nil)
			}
			if views[i] = u.snapshot(); kept {
				u.stderr.forget()
			}
		})
	}
	running.Wait()
	return views
}
