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

	"scriptbridge/internal/panics"
	"scriptbridge/internal/repeat"
	"scriptbridge/internal/texts"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
	"scriptbridge/script/process"
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
	stop context.CancelFunc

	onDemand bool          // it runs when Once asks for it, and if it is kept alive in between as well
	once     sync.Mutex    // held for a run that Once asked for
	ran      chan struct{} // has one when there was a run that nextRun has not seen

	forProbe bool           // it is for one run that a request asked for (probe.go)
	asked    chan struct{}  // holds something when a run is wanted before it is due
	probes   sync.WaitGroup // the probe runs in flight

	mu   sync.Mutex
	view View
	// For who asks for a run (probe.go).
	last      *Answer              // of the last run, if the script may be probed
	next      *probeRun            // the run that is under way or comes next
	probeRuns map[string]*probeRun // runs with parameters, by command; finished ones while they are fresh
	inFlight  int                  // those that have not finished
	closed    bool                 // the loop has ended, and no run begins any more
}

// newWorker makes a worker that ends with ctx.
func (p *Pool) newWorker(ctx context.Context, s *Script, m dialect.Memory) *worker {
	ctx, cancel := context.WithCancel(ctx)
	u := &worker{
		pool:   p,
		script: s,
		slots:  newSchedule(p.base, p.host, s.Name),
		runner: s.newRunner(&s.Script, m),
		judge:  newJudge(s),
		logger: log.With(p.logger, "script", s.Name),
		ctx:    ctx,
		stop:   cancel,
		ran:    make(chan struct{}, 1),

		asked:     make(chan struct{}, 1),
		next:      newProbeRun(),
		probeRuns: make(map[string]*probeRun),
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
		u.put(u.judge.announce(u.source.Load()))
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
			break
		}
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
			break
		}
		due = u.plan(due, wanted, retry, first)
		first = false
	}
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
		select {
		case <-time.After(u.slots.nap(*due)):
			now := time.Now()
			if *due = u.slots.corrected(*due, now); now.Before(*due) {
				continue
			}
		case <-u.asked:
		case <-u.ctx.Done():
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
		u.view.Next = time.Now().Add(time.Until(due))
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

// runOnce runs the script once and puts what came of it. The caller has a
// permit, which tryOnce gives back: a sink that takes long is nobody else's wait. until
// gives when all tries of a run that fails must be over; nil: it is tried once. It
// returns the delay after which the dialect wants to try again; 0 for the
// schedule's own.
func (u *worker) runOnce(mine *permit, waited time.Duration, until func() time.Time) (retry time.Duration) {
	u.mu.Lock()
	u.view.State, u.view.Since = Running, time.Now()
	u.mu.Unlock()

	t := u.tryOnce(mine, waited)
	if t.batch == nil {
		return 0
	}
	if until != nil {
		t = u.retry(t, until())
	}
	result, batch, verdict := t.result, t.batch, t.verdict
	u.logVerdict(verdict, result)
	u.publish(result, batch, verdict, Idle)
	return result.RetryAfter
}

// put gives a batch to the sink.
func (u *worker) put(b *record.Batch) { _ = u.offer(b) } // an error has been told

// offer is put; what the sink could not take is counted, and told once.
func (u *worker) offer(b *record.Batch) error {
	err := u.pool.sink.Put(b)
	if err != nil {
		u.pool.sinkErrors.Add(1)
	}
	u.sinks.Log(u.logger, err, "a sink could not take what the script said", "all sinks take what the script says again")
	return err
}

// publish puts what came of a run, keeps it for people, and gives it to who
// waits for it. The script is then as next says. Who asks for a run finds it
// running, or has this one: in between, another one would be begun.
func (u *worker) publish(result *dialect.Result, batch *record.Batch, verdict *Verdict, next State) {
	if fault := u.offer(batch); panics.StackOf(fault) != "" {
		batch, verdict = u.judge.judgeFault(fault, u.source.Load(), verdict.Waited)
		u.logVerdict(verdict, result)
		u.put(batch)
	}
	u.show(result, batch, verdict, next)
	select {
	case u.ran <- struct{}{}:
	default:
	}
}

func (u *worker) show(result *dialect.Result, batch *record.Batch, verdict *Verdict, next State) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.remember(result, batch, verdict)
	u.view.State = next
	u.finished(batch)
}

// tried is a try and what it was worth. The batch is nil for one cut short by a reload
// or the end, which says nothing of the script.
type tried struct {
	result  *dialect.Result
	batch   *record.Batch
	verdict *Verdict
}

// tryOnce runs the script once and judges it. The permit that the
// caller has taken is given back before the judgement: what may be the reason
// of a failure is looked for in files, which may be slow.
func (u *worker) tryOnce(mine *permit, waited time.Duration) (t tried) {
	u.stderr.begin()
	t.result = attempt(u.exec, func(exec dialect.Exec) *dialect.Result { return u.runner.Run(u.ctx, exec) })
	mine.release()
	if u.ctx.Err() != nil && u.interrupted(t.result) {
		return t
	}
	t.batch, t.verdict = u.judge.judge(t.result, u.source.Load(), waited)
	return t
}

// retryFirst is the pause before a run is tried again; each further one is twice as
// long.
const retryFirst = time.Second

// retry tries a run again that has failed, as often as the configuration says, if each
// try can be over at until, though it take its whole timeout. It gives
// the last try, with what all have cost. No permit is held in the pauses. The end and
// a reload cut them short; the failure stands then.
func (u *worker) retry(last tried, until time.Time) tried {
	pause := retryFirst
	for n := 1; n <= u.script.Retries && last.verdict.Result != record.OK; n++ {
		if time.Now().Add(pause + u.judge.timeout).After(until) {
			break
		}
		level.Debug(u.logger).Log("msg", "the run failed, and is tried again", "in", pause, "result", last.verdict.Result, "err", last.verdict.Err)
		select {
		case <-time.After(pause):
		case <-u.ctx.Done():
			return last
		}
		asked := time.Now()
		mine := u.pool.runs.acquire(u.ctx)
		if mine == nil {
			break
		}
		if time.Now().Add(u.judge.timeout).After(until) {
			mine.release()
			break
		}
		next := u.tryOnce(mine, time.Since(asked))
		if next.batch == nil {
			break
		}
		next.batch.Run.Cost(last.batch.Run)
		next.batch.Run.Retries, next.verdict.Retries = n, n
		next.verdict.Waited += last.verdict.Waited
		last = next
		pause *= 2
	}
	return last
}

func (u *worker) interrupted(t *dialect.Result) bool {
	return !t.ExitCodeIsValue && (len(t.Outcomes) == 0 || t.Outcomes[len(t.Outcomes)-1].Result != record.OK)
}

// exec is the Exec that the dialects get: the script's command with the
// invocation's arguments behind it.
func (u *worker) exec(ctx context.Context, in dialect.Invocation) *process.Outcome {
	now := time.Now()
	c, err := u.script.resolveCommand()
	if err == nil {
		c.Args, err = u.script.Words(nil)
	}
	if err != nil {
		return &process.Outcome{Result: record.Error, ExitCode: -1, Err: err, Start: now, End: now}
	}
	if in.Program != "" {
		path, err := u.pool.unpacked.path(u.script.dialect, in.Program, c.Account)
		if err != nil {
			return &process.Outcome{Result: record.Error, ExitCode: -1, Err: err, Start: now, End: now}
		}
		c.Args = append(c.Args, path)
	}
	c.Args = append(c.Args, in.Args...)
	c.Stdin = in.Stdin
	c.Timeout = firstOf(in.Timeout, u.script.Timeout, u.script.FallbackTimeout)
	var stderr []byte
	var last string
	c.Stderr = func(line []byte) {
		if len(stderr) < process.MaxLine {
			stderr = append(append(stderr, line...), '\n')
		}
		if text := strings.TrimSpace(string(line)); text != "" {
			last = texts.Shorten(text, stderrKept)
		}
		u.stderr.line(line)
	}
	if in.Message != nil {
		c.Message, c.Stdout, c.Timeout = in.Message, u.stderr.printed, 0
	}
	o := u.pool.launcher.Run(ctx, c)
	o.Stderr, o.LastStderr = stderr, last
	if o.Result == record.Error && (o.ExitCode == process.NotExecutable || o.ExitCode == process.NotFound) { // what env, nice or a shell says
		if err := process.CheckStart(u.script.Script.Script, u.script.program(), &c); err != nil {
			o.Err = fmt.Errorf("%w: %w", o.Err, err)
		}
	}
	return o
}

// logVerdict says what changed: a script that goes on failing in the same way is
// not said again each minute, nor is each time that one fails and recovers.
func (u *worker) logVerdict(v *Verdict, t *dialect.Result) {
	u.stderr.judged(v.Result != record.OK)
	var wrong []string
	if v.Result != record.OK {
		wrong = append(wrong, v.text())
	}
	news, over := u.judge.verdicts.Update(time.Now(), wrong...)
	for _, n := range news {
		fail := level.Error(u.logger)
		if u.forProbe { // of which there are as many as others ask for
			if !u.judge.once.firstTime("probe", strings.Join(u.script.Command, " ")+": "+v.text()) {
				continue
			}
			fail = level.Warn(u.logger)
		}
		fail.Log(append(n.With("msg", "the run failed", "result", v.Result, "err", v.Err), panics.Place(v.Err)...)...)
	}
	if over {
		level.Info(u.logger).Log("msg", "the script is well again")
	}
	u.logRefused(v.Lines, t.Files)
	for _, line := range t.Log {
		level.Info(u.logger).Log("stream", "stdout", "msg", line)
	}
	for _, w := range t.Warnings {
		if u.judge.once.firstTime("warning", w) {
			level.Warn(u.logger).Log("msg", w)
		}
	}
}

// remember keeps what the status page shows. The caller holds u.mu.
func (u *worker) remember(t *dialect.Result, b *record.Batch, v *Verdict) {
	w := &u.view
	w.Interval, w.Timeout = b.Run.Interval, b.Run.Timeout
	w.Last = v
	w.History = append([]*Verdict{v}, w.History[:min(len(w.History), historyMax-1)]...)
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
