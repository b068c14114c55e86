package script

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/go-kit/log/level"

	"scriptbridge/internal/panics"
	"scriptbridge/internal/texts"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
	"scriptbridge/script/process"
)

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
	u.sinks.Log(u.logger(), err, "a sink could not take what the script said", "all sinks take what the script says again")
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
	u.ranOnce()
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
		level.Debug(u.logger()).Log("msg", "the run failed, and is tried again", "in", pause, "result", last.verdict.Result, "err", last.verdict.Err)
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
