package script

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"scriptbridge/internal/repeat"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
)

// worker has one script at work in a Pool: its loop, and what people may see of
// it.
type worker struct {
	pool   *Pool
	script *Script
	source atomic.Pointer[record.Source]
	slots  schedule
	runner dialect.Runner
	judge  *judge
	stderr *stderrLog
	// What the log knows of what goes on.
	sinks    repeat.State // what sinks could not take
	overruns repeat.State

	life context.Context // ends when the worker is to
	// ctx ends with life. But for a worker of Once, there is another one
	// each time that the loop goes on: what has once been derived from a context, or waited for
	// it, is memory as long as the context lives.
	ctx       context.Context
	interrupt context.CancelFunc // ends such a ctx; nil: there is none

	demand *demand // of a worker of Once; else nil

	// The loop, of one goroutine at a time.
	due       time.Time // when it runs next
	scheduled bool      // it runs by itself; else it waits for its end alone
	begun     bool      // it has had its first turn
	forProbe  bool      // it is no loop: it is for one run that a request asked for (probe.go)
	step      func(mine *permit, due, wanted time.Time) (next time.Time)
	ended     func() // called when nothing is left of it

	probes sync.WaitGroup // the probe runs in flight

	mu     sync.Mutex
	view   View
	asleep bool        // no goroutine is in the loop
	asked  bool        // a run is wanted before it is due
	closed bool        // the loop has ended, and no run begins any more
	alarm  *time.Timer // that calls Wake; nil: it has not slept yet
	// For who asks for a run (probe.go).
	last      *Answer              // of the last run, if the script may be probed
	next      *probeRun            // the run that is under way or comes next, if somebody waits for it
	probeRuns map[string]*probeRun // runs with parameters, by command; finished ones while they are fresh
	inFlight  int                  // those that have not finished
}

// newWorker makes a worker that ends with ctx.
func (p *Pool) newWorker(ctx context.Context, s *Script, m dialect.Memory) *worker {
	u := &worker{
		pool:   p,
		script: s,
		slots:  newSchedule(p.base, p.host, s.Name),
		runner: s.newRunner(&s.Script, m),
		judge:  newJudge(s),
		life:   ctx,
		ctx:    ctx,
	}
	u.slots.aligned, u.slots.cron = s.aligned, s.cron
	u.source.Store(s.Source)
	u.stderr = newStderrLog(u.logger, s.Log)
	u.view = View{Script: s, State: Waiting}
	if s.ProbeOnly() {
		u.view.State = Idle
	}
	u.disable(s)
	u.view.Interval, u.view.Timeout = u.judge.terms(nil)
	return u
}

// logger gives the logger for what goes on with the script, which is not kept: of most scripts there
// is nothing to tell.
func (u *worker) logger() log.Logger {
	logger := log.With(u.pool.logger, "script", u.script.Name)
	if u.forProbe {
		logger = log.With(logger, "command", strings.Join(u.script.Command, " "))
	}
	return logger
}

// Run runs the script until the worker is stopped.
func (u *worker) Run(ctx context.Context, _ func()) {
	ended := make(chan struct{})
	u.start(func() { close(ended) })
	<-u.life.Done()
	u.Wake()
	<-ended
	<-ctx.Done() // u.life may have ended before: see Once
}

// Start runs the script until the worker is stopped. Between its runs there is no
// goroutine for it, whose stack would be what most of its memory is for.
func (u *worker) Start(_ context.Context, ended func()) bool {
	if u.demand != nil {
		return false
	}
	u.start(ended)
	return true
}

// start is Start for every worker.
func (u *worker) start(ended func()) {
	u.ended = ended
	u.step = u.turn
	keeper, kept := u.runner.(dialect.Keeper)
	switch {
	case u.demand != nil && !kept:
	case u.script.Disabled() && u.demand == nil:
		u.putDisabled()
	case u.script.ProbeOnly():
		// What a predecessor had is no more brought up to date.
		u.putGone()
	case u.life.Err() == nil:
		u.put(u.judge.announce(u.source.Load()))
		u.scheduled = true
		u.due = u.slots.begin(time.Now(), u.judge.interval)
		if kept {
			u.due, u.step = time.Now(), u.lives(keeper)
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.goOn()
}

// goOn begins a goroutine for the loop. The caller holds u.mu.
func (u *worker) goOn() {
	if u.demand == nil {
		u.ctx, u.interrupt = context.WithCancel(context.Background())
		u.endWithLife()
	}
	go u.repeat()
}

// endWithLife ends ctx if life has ended. The caller holds u.mu.
func (u *worker) endWithLife() {
	if u.interrupt != nil && u.life.Err() != nil {
		u.interrupt()
	}
}

// finish is the end of a worker that was stopped.
func (u *worker) finish() {
	if u.demand != nil { // for the last one that was asked for
		u.demand.once.Lock()
		defer u.demand.once.Unlock()
	}
	u.waitProbes()
	u.runner.Close()
	u.ended()
}

// Removed ends the series of a script that is configured no more.
func (u *worker) Removed() {
	if !u.script.ProbeOnly() {
		u.putGone()
	}
}

// disable shows a script as one that does not run, if the configuration says so; s
// is the script as it stands there now.
func (u *worker) disable(s *Script) {
	if !s.Disabled() {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.view.State = Disabled
	u.view.Warnings = []string{"does not run: " + s.whyDisabled()}
}

// whyDisabled says where the configuration keeps the script from running.
func (s *Script) whyDisabled() string {
	return fmt.Sprintf("enabled: false (%s)", s.DisabledAt)
}

// putDisabled ends what a script has said, of which the sinks are told no more than
// that it does not run.
func (u *worker) putDisabled() {
	u.putGone()
	b := u.judge.announce(u.source.Load())
	b.Disabled = true
	u.put(b)
}

func (u *worker) putGone() {
	u.put(&record.Batch{Source: u.source.Load(), Time: time.Now(), Gone: true})
}

// repeat runs the script if it is due, or somebody asks for it, and sleeps then: until Wake,
// which has it go on. Only one goroutine at a time does so.
func (u *worker) repeat() {
	for u.life.Err() == nil {
		if !u.isWanted() {
			if u.sleep() {
				return
			}
			continue
		}
		wanted, mine := u.begin(u.due)
		if mine == nil {
			break
		}
		u.due = u.step(mine, u.due, wanted)
	}
	u.finish()
}

// turn runs the script, whose permit is mine, and gives when it is due next.
func (u *worker) turn(mine *permit, due, wanted time.Time) time.Time {
	first := !u.begun
	u.begun = true
	var until func() time.Time
	if !time.Now().Before(due) { // else somebody waits for an answer
		u.judge.turn = due
		until = func() time.Time {
			next, _ := u.slots.next(due, due, u.judge.interval, first)
			return next
		}
	}
	retry := u.runOnce(mine, time.Since(wanted), until)
	if u.ctx.Err() != nil {
		return due
	}
	return u.plan(due, wanted, retry, first)
}

// begin waits for a permit for a run, and says from when on it was wanted: its slot, or
// when somebody asked for it before that. The permit is nil when the worker is to
// end.
func (u *worker) begin(due time.Time) (wanted time.Time, mine *permit) {
	now := time.Now()
	if !now.Before(due) {
		return due, u.pool.runs.acquire(u.ctx)
	}
	mine = u.pool.runs.acquireForRequest(u.ctx, u.script.Name, time.After(due.Sub(now)))
	if !time.Now().Before(due) {
		return due, mine // it waited until then
	}
	return now, mine
}

// isWanted reports whether the script is due, or somebody asks for a run. A clock that was
// set meanwhile may change what is due.
func (u *worker) isWanted() bool {
	if !u.scheduled {
		return false
	}
	now := time.Now()
	u.due = u.slots.corrected(u.due, now)
	u.idle(u.due)
	u.mu.Lock()
	defer u.mu.Unlock()
	wanted := u.asked || !now.Before(u.due)
	if wanted {
		u.view.State, u.asked = Waiting, false
	}
	return wanted
}

// sleep has Wake be called when the script is due, and reports whether nothing has come up
// in the meantime that it must go on for.
func (u *worker) sleep() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.scheduled && u.asked || u.life.Err() != nil {
		return false
	}
	u.asleep = true
	if u.interrupt != nil {
		u.interrupt()
		u.ctx, u.interrupt = nil, nil
	}
	switch nap := u.slots.nap(u.due); {
	case !u.scheduled:
	case u.alarm == nil:
		u.alarm = time.AfterFunc(nap, u.Wake)
	default:
		u.alarm.Reset(nap)
	}
	return true
}

// Wake has a script that sleeps look whether there is something to do.
func (u *worker) Wake() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.endWithLife()
	u.rouse()
}

// rouse is Wake for one who holds u.mu.
func (u *worker) rouse() {
	if !u.asleep {
		return
	}
	u.asleep = false
	if u.alarm != nil {
		u.alarm.Stop()
	}
	u.goOn()
}

// idle shows when the script is due next.
func (u *worker) idle(due time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.view.Next = due
	if u.slots.cron != nil { // how late it is, is not for the wall clock to say
		now := time.Now() // the same for both, or it would not be the very minute
		u.view.Next = now.Add(due.Sub(now))
	}
	if u.view.State == Running || time.Now().Before(due) {
		u.view.State = Idle
	}
}

// plan gives the time of the next run, and counts the slots that passed
// while the script ran. A run that was wanted before it was due changes
// nothing, unless it went on until then.
func (u *worker) plan(due, wanted time.Time, retry time.Duration, first bool) time.Time {
	now := time.Now()
	next := due
	if !now.Before(due) {
		var skipped int
		next, skipped = u.slots.next(wanted, now, u.judge.interval, first)
		u.overran(now, skipped)
	}
	if sooner := now.Add(retry); retry > 0 && sooner.Before(next) {
		next = sooner
	}
	return next
}

// overran counts the slots that passed while the script ran, and tells when
// that begins.
func (u *worker) overran(now time.Time, skipped int) {
	u.judge.overruns += skipped
	var wrong []string
	if skipped > 0 {
		wrong = append(wrong, "overrun")
	}
	news, _ := u.overruns.Update(now, wrong...)
	for _, n := range news {
		level.Warn(u.logger()).Log(n.With("msg", "the script was due while it still ran", "skipped", skipped, "interval", u.judge.interval)...)
	}
}

// remember keeps what the status page shows. The caller holds u.mu.
func (u *worker) remember(t *dialect.Result, b *record.Batch, v *Verdict) {
	w := &u.view
	w.Interval, w.Timeout = b.Run.Interval, b.Run.Timeout
	w.Last = v
	w.History = w.History.with(v)
	w.Overruns += b.Run.Overruns
	if !u.script.ProbeOnly() { // of such a script each run may speak of something else
		w.Trends = trendsOf(w.Trends, b.Samples)
	}
	if t.Output != nil || t.Complete {
		w.Output, w.OutputCut = cutBytes(t.Output, dialect.OutputShown)
		w.Lines, w.Files = v.Lines, t.Files
		w.OutputOf = v
	}
	if t.Declared != nil {
		w.Declared = t.Declared
	}
	w.Warnings, w.Log = t.Warnings, t.Log
	w.Stderr = u.stderr.tail()
	w.Events = record.Latest(w.Events, b.Events, eventsShown)
}

// hasRun reports whether the script has had its first run, if it takes any by
// itself at the start.
func (u *worker) hasRun() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.view.Last != nil || u.script.ProbeOnly() || u.script.Disabled() || u.script.cron != nil
}
