package script

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"scriptbridge/internal/texts"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
)

const (
	// probeFresh is how long after its end a run still answers those who ask.
	probeFresh = time.Second
	// ownEvery is how long it is at least from the start of one of the script's own
	// runs to the next that a request may begin: who has no login decides how often
	// that is asked for.
	ownEvery = 5 * time.Second
	// probesMax bounds the runs with parameters of one script that are under
	// way, waiting for a permit included.
	probesMax = 64
)

// Why a probe has no answer; a *config.ParameterError is another reason.
var (
	// ErrNoProbe is the same for a script that is not there and for one
	// without probe: true, so that nobody learns the names of others.
	ErrNoProbe = errors.New("there is no script of this name that may be probed")
	// ErrDisabled is of one that may be probed.
	ErrDisabled = errors.New("the script is disabled: its configuration says enabled: false")
	ErrBusy     = errors.New("too many runs of this script were asked for at once: try again later")
	ErrStopped  = errors.New("scriptbridge is stopping")
)

// errCutShort is a run that a reload or the end took away from those who
// waited.
var errCutShort = errors.New("the run was cut short")

// Answer is what a run said that a request asked for. Nobody may change it.
type Answer struct {
	Batch *record.Batch
	// View has that run as its last one: what it printed, and what is wrong with it.
	View View
}

// Probe is a request that was answered with a run of a script, or was refused.
type Probe struct {
	At         time.Time
	From       string // who asked
	Parameters string // NAME=VALUE, those that the script has and the request gave
	// Run is the run that was the answer. Without one, Err says why there was none.
	Run *Verdict
	Err error
}

// What is kept of probes.
const (
	probesShown   = 20
	probeShown    = 500 // bytes of Probe.Parameters
	probeFromMost = 100
)

// probeRun is a run that any number of people wait for.
type probeRun struct {
	done   chan struct{}
	answer *Answer // set before done is closed; nil: the run was cut short

	// Of a run with parameters, under the worker's mu:
	waiting int
	cancel  context.CancelFunc
}

func newProbeRun() *probeRun { return &probeRun{done: make(chan struct{})} }

// finish gives a to those who wait; nil says that there is none.
func (f *probeRun) finish(a *Answer) {
	f.answer = a
	close(f.done)
}

// wait gives what the run said when there is something, or ctx's error.
func (f *probeRun) wait(ctx context.Context) (*Answer, error) {
	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if f.answer == nil {
		return nil, errCutShort
	}
	return f.answer, nil
}

// Probe gives what a run of the script said that ended less than a second ago,
// or else runs it now and waits for the end: through the pool like any other
// run, but behind the turns of the schedule, and once for all who ask meanwhile. query is what a request says; of it the
// script's parameters are taken and the rest is left. from says who asks, for the page.
//
// A run with no value but defaults is one of the script's own: a run under way
// is waited for, its batch goes to the sink, and the schedule stays as it was. It
// answers for five seconds from its start, too. It goes on when ctx ends. A run with other values has a Runner of its own
// and is for those who asked alone: its batch goes to no sink, and it is ended
// when nobody waits for it any more.
//
// The answer is shared: nobody may change it. The error is ctx's, one of those
// above, or joined *config.ParameterErrors.
func (p *Pool) Probe(ctx context.Context, name, from string, query map[string][]string) (*Answer, error) {
	asked := time.Now()
	for {
		if p.closed.Load() {
			return nil, ErrStopped
		}
		u, ok := p.supervisor.Get(name)
		if !ok || !u.script.Probe {
			return nil, ErrNoProbe
		}
		if u.script.Disabled() {
			return nil, ErrDisabled
		}
		a, err := u.probe(ctx, query)
		if !errors.Is(err, errCutShort) {
			u.wasProbed(Probe{At: asked, From: texts.Shorten(from, probeFromMost), Parameters: u.given(query), Err: err}, a)
			return a, err
		}
		// A reload has put another worker in its place, or an abandoned run has
		// made room.
	}
}

// given are the parameters of the script's that a request gives.
func (u *worker) given(query map[string][]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(u.script.Parameters)) {
		for _, value := range query[name] {
			all = append(all, name+"="+texts.Shorten(value, probeShown))
		}
	}
	return texts.Shorten(strings.Join(all, " "), probeShown)
}

// wasProbed keeps a probe for people; a is what it was answered with.
func (u *worker) wasProbed(p Probe, a *Answer) {
	if a != nil {
		p.Run = a.View.Last
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	old := u.view.Probes
	u.view.Probes = append([]Probe{p}, old[:min(len(old), probesShown-1)]...) // a View has the old ones
}

// probe is Probe for the script as it is now; it gives errCutShort when it may
// be another one by then.
func (u *worker) probe(ctx context.Context, query map[string][]string) (*Answer, error) {
	s, err := u.script.With(query)
	if err != nil {
		return nil, err
	}
	if own, err := u.script.Words(nil); err == nil && slices.Equal(own, s.Command) {
		return u.askRun(ctx)
	}
	f, err := u.join(s)
	if err != nil {
		return nil, err
	}
	defer u.leave(f)
	return f.wait(ctx)
}

// Why a script is not run now.
var (
	ErrNoScript = errors.New("there is no script of this name")
	ErrRunning  = errors.New("the script is running already")
	ErrWaiting  = errors.New("the script is waiting for a free place already, since max_concurrent others run")
	ErrAskOnly  = errors.New("the script runs only when it is probed, since it has a parameter without a default")
	ErrAtRest   = errors.New("the script has said itself that it does not run; it is started again when its configuration or its file has changed")
)

// RunNow has a script take its next run now, and does not wait for it. The schedule stays
// as it was. The error is one of those above, ErrDisabled or ErrStopped.
func (p *Pool) RunNow(name string) error {
	u, ok := p.supervisor.Get(name)
	switch {
	case p.closed.Load():
		return ErrStopped
	case !ok:
		return ErrNoScript
	case u.script.Disabled():
		return ErrDisabled
	case u.script.ProbeOnly():
		return ErrAskOnly
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	switch u.view.State {
	case Running:
		return ErrRunning
	case Waiting:
		return ErrWaiting
	case Disabled:
		return ErrAtRest
	}
	u.wake()
	return nil
}

// wake has the loop of an idle script go on. The caller holds u.mu.
func (u *worker) wake() {
	u.asked = true
	u.rouse()
}

// askRun gives the last run if it is fresh, waits for one that is under way
// or due, or has the loop take the next one now.
func (u *worker) askRun(ctx context.Context) (*Answer, error) {
	u.mu.Lock()
	if u.last != nil && (time.Since(u.last.Batch.Time) < probeFresh || time.Since(u.last.Batch.Run.Start) < ownEvery) {
		defer u.mu.Unlock()
		return u.last, nil
	}
	if u.view.State == Idle {
		u.wake()
	}
	if u.next == nil {
		u.next = newProbeRun()
	}
	f := u.next
	if u.closed { // nothing comes next
		f.finish(nil)
		u.next = nil
	}
	u.mu.Unlock()
	return f.wait(ctx)
}

// finished gives what a run said to those who wait for it, as they may for one that is
// probed. The caller holds u.mu.
func (u *worker) finished(b *record.Batch) {
	if !u.script.Probe {
		return
	}
	a := &Answer{b, u.seen()}
	u.last = a
	if u.next != nil {
		u.next.finish(a)
		u.next = nil
	}
}

// join gives the run of a command that is under way or has just ended, and
// starts one if there is none. One that is being ended is given too: it is cut
// short, and then there is room for another. Who joins must leave.
func (u *worker) join(s *Script) (*probeRun, error) {
	key := strings.Join(s.Command, "\x00")
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return nil, errCutShort
	}
	f := u.probeRuns[key]
	if f == nil {
		if u.inFlight >= probesMax {
			return nil, ErrBusy
		}
		ctx, cancel := context.WithCancel(u.life)
		f = newProbeRun()
		f.cancel = cancel
		if u.probeRuns == nil {
			u.probeRuns = make(map[string]*probeRun)
		}
		u.probeRuns[key] = f
		u.inFlight++
		u.probes.Go(func() { u.executeProbe(ctx, f, key, s) })
	}
	f.waiting++
	return f, nil
}

// leave is for who waits no more; the last one ends the run.
func (u *worker) leave(f *probeRun) {
	u.mu.Lock()
	defer u.mu.Unlock()
	f.waiting--
	if f.waiting == 0 {
		f.cancel() // nothing, once it has finished
	}
}

// executeProbe runs a command that a request asked for, and keeps what came of it for
// as long as it is fresh. It may be ended by anybody: see leave.
func (u *worker) executeProbe(ctx context.Context, f *probeRun, key string, s *Script) {
	defer f.cancel()
	asked := time.Now()
	var (
		result  *dialect.Result
		answer  *Answer
		verdict *Verdict
	)
	if mine := u.pool.runs.acquireForRequest(ctx, s.Name, nil); mine != nil {
		g := u.newProbeWorker(ctx, s)
		var batch *record.Batch
		t := g.tryOnce(mine, time.Since(asked))
		if result, batch, verdict = t.result, t.batch, t.verdict; batch != nil {
			g.logVerdict(verdict, result)
			g.remember(result, batch, verdict)
			answer = &Answer{batch, g.seen()}
		}
		g.runner.Close()
		u.stderr.take(g.stderr.tail())
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if answer != nil && u.script.ProbeOnly() {
		// Not its output: of a line whose series is on no page, the status
		// page would say that nothing came of it.
		u.remember(&dialect.Result{Warnings: result.Warnings}, answer.Batch, verdict)
	}
	u.inFlight--
	f.finish(answer)
	if answer == nil || len(u.probeRuns) > probesMax {
		delete(u.probeRuns, key)
		return
	}
	time.AfterFunc(time.Until(answer.Batch.Time.Add(probeFresh)), func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.probeRuns, key)
	})
}

// waitProbes tells all who wait that there is no run any more, and returns when
// the last one has ended. u.life must have ended.
func (u *worker) waitProbes() {
	u.mu.Lock()
	u.closed = true
	if u.next != nil {
		u.next.finish(nil)
		u.next = nil
	}
	u.mu.Unlock()
	u.probes.Wait()
}

// newProbeWorker makes a worker for one run with parameters. It shares the script's
// part of the log, which is bounded and does not repeat itself.
func (u *worker) newProbeWorker(ctx context.Context, s *Script) *worker {
	g := u.pool.newWorker(ctx, s, dialect.Forgetful{})
	g.source.Store(u.source.Load())
	g.forProbe = true
	g.judge.once = u.judge.once
	g.stderr = newStderrLog(u.stderr.logger, s.Log)
	return g
}

// With gives the script with the values of query in its command, and without
// parameters. The error joins *config.ParameterErrors.
func (s *Script) With(query map[string][]string) (*Script, error) {
	words, err := s.Words(query)
	if err != nil {
		return nil, err
	}
	filled, c := *s, *s.Script.Script
	c.Command, c.Parameters = words, nil
	filled.Script.Script = &c
	return &filled, nil
}
