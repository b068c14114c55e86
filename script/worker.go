package script

import (
	"context"
	"fmt"
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
	logger log.Logger
	stderr *stderrLog
	// What the log knows of what goes on.
	sinks    repeat.State // what sinks could not take
	overruns repeat.State

	ctx  context.Context
	stop context.CancelFunc // of a worker of Once; else ctx's owner ends it

	onDemand bool          // it runs when Once asks for it, and if it is kept alive in between as well
	once     sync.Mutex    // held for a run that Once asked for
	ran      chan struct{} // has one when there was a run that nextRun has not seen
	alarm    *time.Timer   // what the loop sleeps by; nil: it has not slept yet

	forProbe bool           // it is for one run that a request asked for (probe.go)
	asked    chan struct{}  // holds something when a run is wanted before it is due
	probes   sync.WaitGroup // the probe runs in flight

	mu   sync.Mutex
	view View
	// For who asks for a run (probe.go).
	last      *Answer              // of the last run, if the script may be probed
	next      *probeRun            // the run that is under way or comes next, if somebody waits for it
	probeRuns map[string]*probeRun // runs with parameters, by command; finished ones while they are fresh
	inFlight  int                  // those that have not finished
	closed    bool                 // the loop has ended, and no run begins any more
}

// newWorker makes a worker that ends with ctx.
func (p *Pool) newWorker(ctx context.Context, s *Script, m dialect.Memory) *worker {
	u := &worker{
		pool:   p,
		script: s,
		slots:  newSchedule(p.base, p.host, s.Name),
		runner: s.newRunner(&s.Script, m),
		judge:  newJudge(s),
		logger: log.With(p.logger, "script", s.Name),
		ctx:    ctx,
		ran:    make(chan struct{}, 1),

		asked: make(chan struct{}, 1),
	}
	u.slots.aligned, u.slots.cron = s.traits.Aligned, s.cron
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

// Run runs the script until the worker is stopped.
func (u *worker) Run(ctx context.Context, _ func()) {
	defer func() { <-ctx.Done() }() // u.ctx may have ended before: see Once
	defer u.runner.Close()
	defer u.waitProbes()
	keeper, kept := u.runner.(dialect.Keeper)
	switch {
	case u.onDemand && !kept:
		<-u.ctx.Done()
		u.once.Lock() // for the last one that was asked for
		u.once.Unlock()
		return
	case u.script.Disabled() && !u.onDemand:
		u.putDisabled()
		<-u.ctx.Done()
		return
	case u.script.ProbeOnly():
		// What a predecessor had is no more brought up to date.
		u.putGone()
		<-u.ctx.Done()
		return
	}
	if u.ctx.Err() == nil {
		aside(func() { u.put(u.judge.announce(u.source.Load())) })
	}
	if kept {
		u.keep(keeper)
	} else {
		u.repeat()
	}
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

// repeat runs the script at its slots, until the worker is stopped.
func (u *worker) repeat() {
	first := true
	due := u.slots.begin(time.Now(), u.judge.interval)
	for u.sleep(&due) {
		wanted, mine := u.begin(due)
		if mine == nil {
			return
		}
		aside(func() { due = u.turn(mine, due, wanted, first) })
		if u.ctx.Err() != nil {
			return
		}
		first = false
	}
}

// turn runs the script, whose permit is mine, and gives when it is due next.
func (u *worker) turn(mine *permit, due, wanted time.Time, first bool) time.Time {
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

// aside calls f on a stack of its own, which goes with it. A stack that f has made
// large would stay so while its goroutine sleeps, which is nearly always, and for each script.
func aside(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
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

// sleep waits until due, or until somebody asks for a run, and reports whether
// the worker is still wanted. A clock that is set meanwhile may change what is due.
func (u *worker) sleep(due *time.Time) bool {
	for {
		u.idle(*due)
		if nap := u.slots.nap(*due); u.alarm == nil {
			u.alarm = time.NewTimer(nap)
		} else {
			u.alarm.Reset(nap)
		}
		select {
		case <-u.alarm.C:
			now := time.Now()
			if *due = u.slots.corrected(*due, now); now.Before(*due) {
				continue
			}
		case <-u.asked:
		case <-u.ctx.Done():
			u.alarm.Stop()
			return false
		}
		break
	}
	u.mu.Lock()
	u.view.State = Waiting
	select {
	case <-u.asked: // just when it was due
	default:
	}
	u.mu.Unlock()
	return u.ctx.Err() == nil
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
		level.Warn(u.logger).Log(n.With("msg", "the script was due while it still ran", "skipped", skipped, "interval", u.judge.interval)...)
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
