package script

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"scriptbridge/record"
)

// unit is one script at work in a Pool: its loop, and what people may see of
// it.
type unit struct {
	pool   *Pool
	script *Script
	source atomic.Pointer[record.Source]
	slots  schedule
	runner Runner
	judge  *judge
	logger log.Logger
	stderr *stderrLog

	ctx  context.Context
	stop context.CancelFunc
	done chan struct{} // closed when the loop has ended and nothing is left running
	gone atomic.Bool   // once stopped: its series end

	turning sync.Mutex // held for a turn that Once asked for

	mu   sync.Mutex
	view View
}

func (p *Pool) newUnit(s *Script) *unit {
	ctx, cancel := context.WithCancel(context.Background())
	u := &unit{
		pool:   p,
		script: s,
		slots:  newSchedule(p.base, s.Name),
		runner: s.newRunner(s, p.memory(s)),
		judge:  newJudge(s),
		logger: log.With(p.logger, "script", s.Name),
		ctx:    ctx,
		stop:   cancel,
		done:   make(chan struct{}),
	}
	u.slots.aligned = s.Dialect.Aligned
	u.source.Store(s.Source)
	u.stderr = newStderrLog(u.logger)
	u.view = View{Script: s, State: Waiting}
	u.view.Interval, u.view.Timeout = u.judge.terms(nil)
	return u
}

// loop runs the script until the unit is stopped. former, if not nil, is the
// unit of that name that must end first.
func (u *unit) loop(former *unit) {
	defer close(u.done)
	defer u.runner.Close()
	if former != nil {
		<-former.done
	}
	if u.ctx.Err() == nil {
		u.pool.put(u.judge.announce(u.source.Load()))
	}
	first := true
	due := u.slots.begin(time.Now(), u.judge.interval)
	for u.sleep(due) {
		if !u.pool.places.take(u.ctx) {
			break
		}
		started := time.Now()
		retry := u.turn(started.Sub(due))
		u.pool.places.leave()
		if u.ctx.Err() != nil {
			break
		}
		due = u.plan(due, retry, first)
		first = false
	}
	if u.gone.Load() {
		u.pool.put(&record.Batch{Source: u.source.Load(), Time: time.Now(), Gone: true})
	}
}

// sleep waits until due and reports whether the unit is still wanted.
func (u *unit) sleep(due time.Time) bool {
	u.mu.Lock()
	u.view.Next = due
	if u.view.State == Running {
		u.view.State = Idle
	}
	u.mu.Unlock()
	wait := time.NewTimer(time.Until(due))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-u.ctx.Done():
		return false
	}
	u.mu.Lock()
	u.view.State = Waiting
	u.mu.Unlock()
	return u.ctx.Err() == nil
}

// plan gives the moment of the next turn, and counts the slots that passed
// while the script ran.
func (u *unit) plan(due time.Time, retry time.Duration, first bool) time.Time {
	now := time.Now()
	interval := u.judge.interval
	next, skipped := u.slots.next(due, now, interval, first)
	if skipped > 0 {
		u.judge.overruns += skipped
		level.Warn(u.logger).Log("msg", "the script was due while it still ran", "skipped", skipped, "interval", interval)
	}
	if sooner := now.Add(retry); retry > 0 && sooner.Before(next) {
		next = sooner
	}
	return next
}

// turn runs the script once and puts what came of it. It returns the delay
// after which the dialect wants to try again; 0 for the schedule's own.
func (u *unit) turn(waited time.Duration) (retry time.Duration) {
	u.mu.Lock()
	u.view.State, u.view.Since = Running, time.Now()
	u.mu.Unlock()

	turn := u.runner.Turn(u.ctx, u.run)
	u.stderr.flush()
	if u.ctx.Err() != nil && u.interrupted(turn) {
		return 0 // a run cut short by a reload or the end says nothing of the script
	}
	batch, verdict := u.judge.judge(turn, u.source.Load(), waited)
	u.logVerdict(verdict, turn)
	u.pool.put(batch)
	u.remember(turn, batch, verdict)
	return turn.RetryAfter
}

func (u *unit) interrupted(t *Turn) bool {
	return !t.Answered && (len(t.Outcomes) == 0 || t.Outcomes[len(t.Outcomes)-1].Result != record.OK)
}

// run is the RunFunc that the dialects get: the script's command with the
// invocation's arguments behind it.
func (u *unit) run(ctx context.Context, in Invocation) *Outcome {
	now := time.Now()
	c, err := u.script.settle()
	if err != nil {
		return &Outcome{Result: record.Error, ExitCode: -1, Err: err, Start: now, End: now}
	}
	c.args = append(c.args, in.Args...)
	c.stdin = in.Stdin
	c.timeout = firstOf(in.Timeout, u.script.Timeout, u.script.FallbackTimeout)
	var stderr []byte
	c.stderr = func(line []byte) {
		if len(stderr) < maxLine {
			stderr = append(append(stderr, line...), '\n')
		}
		u.stderr.line(line)
	}
	o := u.pool.launcher.run(ctx, c)
	o.Stderr = stderr
	return o
}

// logVerdict says once what changed: a script that goes on failing in the same
// way is not said again each minute.
func (u *unit) logVerdict(v *Verdict, t *Turn) {
	text := v.text()
	if text != u.judge.lastText {
		switch {
		case v.Result != record.OK:
			level.Error(u.logger).Log("msg", "the run failed", "result", v.Result, "err", v.Err)
		case u.judge.lastFailed:
			level.Info(u.logger).Log("msg", "the script is well again")
		}
	}
	u.judge.lastText, u.judge.lastFailed = text, v.Result != record.OK
	for _, le := range v.Lines {
		if u.judge.news(le.Reason, lineKey(le.Text)) {
			level.Warn(u.logger).Log("msg", "a line was refused", "line", le.Line, "reason", le.Reason, "err", le.Err, "text", cutText(le.Text, 200))
		}
	}
	for _, line := range t.Log {
		level.Info(u.logger).Log("stream", "stdout", "msg", line)
	}
	for _, w := range t.Warnings {
		if u.judge.news("warning", w) {
			level.Warn(u.logger).Log("msg", w)
		}
	}
}

// remember keeps what the status page shows.
func (u *unit) remember(t *Turn, b *record.Batch, v *Verdict) {
	u.mu.Lock()
	defer u.mu.Unlock()
	w := &u.view
	w.Interval, w.Timeout = b.Run.Interval, b.Run.Timeout
	w.Last = v
	w.History = append([]*Verdict{v}, w.History[:min(len(w.History), historyMax-1)]...)
	w.Overruns += b.Run.Overruns
	if t.Output != nil || t.Heard {
		w.Output, w.OutputCut = cutBytes(t.Output, outputShown)
		w.Lines = v.Lines
		w.OutputOf = v
	}
	if t.Declared != nil {
		w.Declared = t.Declared
	}
	w.Warnings, w.Log = t.Warnings, t.Log
	w.Stderr = u.stderr.tail()
	for _, e := range b.Events {
		w.Events = slices.DeleteFunc(w.Events, func(have record.Event) bool { return have.ID == e.ID })
		w.Events = slices.Insert(w.Events, 0, e)
	}
	w.Events = w.Events[:min(len(w.Events), eventsShown)]
	w.State = Idle
}

func (u *unit) hadTurn() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.view.Last != nil
}

// ProgramName is what people call the script's own file.
func (s *Script) ProgramName() string {
	if s.File == "" {
		return s.Command[0]
	}
	return filepath.Base(s.File)
}
