package script

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"scriptbridge/internal/panics"
	"scriptbridge/internal/repeat"
	"scriptbridge/internal/texts"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/lines"
	"scriptbridge/script/process"
)

// Verdict is the judgement on one run.
type Verdict struct {
	Start    time.Time
	Duration time.Duration
	Waited   time.Duration
	Retries  int // the tries after the first; the rest is of the last one
	Result   record.Result
	Limit    string // the one that was reached, where Result is record.Limit
	ExitCode int
	Err      error               // why it is not OK
	Lines    []*record.LineError // what could not be read, at most linesKept
	Refused  int                 // all that could not be read,
	Reasons  map[string]int      // and how many of them for which reason
	Samples  int
	Events   int
	Answer   *dialect.Answer // of a script that reports a state; nil where it did not
	Stderr   string          // the last line with anything on it that the run wrote to standard error
}

const linesKept = 1000

// count counts the lines that could not be read, and keeps some.
func (v *Verdict) count() {
	for _, le := range v.Lines {
		v.Refused += 1 + le.More
		if v.Reasons == nil {
			v.Reasons = make(map[string]int)
		}
		v.Reasons[le.Reason] += 1 + le.More
	}
	v.Lines = v.Lines[:min(len(v.Lines), linesKept)]
}

func (v *Verdict) text() string {
	if v.Err == nil {
		return string(v.Result)
	}
	return string(v.Result) + ": " + v.Err.Error()
}

// judge turns a dialect's Result into a batch: the one place that decides what a
// run was worth, for every dialect.
type judge struct {
	script    *Script
	interval  time.Duration // in force
	timeout   time.Duration
	turn      time.Time // the last slot, of a script with cron
	overrides *overrides

	overruns int
	verdicts repeat.State
	once     *onceLog

	understood bool // it has been understood, so that its dialect is the right one
	hinted     string
	advised    []string // for a run that ended as hinted says
	instead    string   // of what is missing: likewise
}

func newJudge(s *Script) *judge {
	j := &judge{script: s, overrides: newOverrides(s.Metrics), once: new(onceLog)}
	j.terms(nil)
	return j
}

// terms resolves interval and timeout: the configuration's, else the script's
// own, else the fallback.
func (j *judge) terms(t *dialect.Result) (interval, timeout time.Duration) {
	s := j.script
	j.interval, j.timeout = firstOf(s.Interval, j.interval), firstOf(s.Timeout, j.timeout)
	if t != nil {
		j.interval = firstOf(s.Interval, t.Interval, j.interval)
		j.timeout = firstOf(s.Timeout, t.Timeout, j.timeout)
	}
	j.interval = firstOf(j.interval, s.FallbackInterval)
	if s.cron != nil {
		j.interval, _ = j.gaps(time.Now())
	}
	j.timeout = firstOf(j.timeout, s.FallbackTimeout)
	return j.interval, j.timeout
}

// gaps gives, of a script with cron, the time from its last slot to the next one, and
// to the one after that. Before its first slot they count from now, and the first
// gap is between the two that come.
func (j *judge) gaps(now time.Time) (next, second time.Duration) {
	from := j.turn
	if from.IsZero() {
		from = now
	}
	one := j.script.cron.Next(from)
	two := j.script.cron.Next(one)
	if j.turn.IsZero() {
		return two.Sub(one), two.Sub(from)
	}
	return one.Sub(from), two.Sub(from)
}

// maxAge is how long values stay where nothing else is said: until the run after the
// next one should have ended.
func (j *judge) maxAge() time.Duration {
	if j.script.cron != nil {
		_, second := j.gaps(time.Now())
		return second + j.timeout
	}
	return 2*j.interval + j.timeout
}

// announce is the batch that makes a script known before its first run.
func (j *judge) announce(source *record.Source) *record.Batch {
	return &record.Batch{Source: source, Time: time.Now()}
}

// judge decides what a run was worth, for every dialect alike. A panic of ours in that
// is the verdict.
func (j *judge) judge(t *dialect.Result, source *record.Source, waited time.Duration) (b *record.Batch, v *Verdict) {
	fault := panics.Try(func() error {
		b, v = j.decide(t, source, waited)
		j.advise(t, v)
		return nil
	})
	if fault != nil {
		return j.judgeFault(fault, source, waited)
	}
	return b, v
}

// judgeFault decides on a run that led to a panic of ours: what it said is not looked
// at again.
func (j *judge) judgeFault(fault error, source *record.Source, waited time.Duration) (*record.Batch, *Verdict) {
	return j.decide(&dialect.Result{Err: fault}, source, waited)
}

// decide makes the batch and the verdict; advise adds what may be the reason.
func (j *judge) decide(t *dialect.Result, source *record.Source, waited time.Duration) (*record.Batch, *Verdict) {
	j.terms(t)
	run := &record.Run{
		Result: record.OK, Interval: j.interval, Timeout: j.timeout,
		Wait: waited, Overruns: j.overruns, Start: time.Now(),
	}
	j.overruns = 0
	var outcomeErr error
	var limit string
	end := time.Now()
	for _, o := range t.Outcomes {
		run.User += o.User
		run.System += o.System
		run.MaxRSS = max(run.MaxRSS, o.MaxRSS)
		run.Stdout += o.StdoutBytes
		run.Stderr += o.StderrBytes
		run.Result, run.ExitCode, outcomeErr, limit = o.Result, o.ExitCode, o.Err, o.Limit
		run.Start, run.Duration, end = o.Start, o.End.Sub(o.Start), o.End
	}
	if t.ExitCodeIsValue && run.Result == record.Error && run.ExitCode > 0 {
		run.Result, outcomeErr = record.OK, nil
	}
	if run.Result == record.OK && t.Failure != "" {
		run.Result = t.Failure
	}
	v := &Verdict{
		Limit: limit, Start: run.Start, Duration: run.Duration, Waited: waited, ExitCode: run.ExitCode,
		Lines: record.LineErrors(t.Err), Samples: len(t.Samples), Events: len(t.Events), Answer: t.Answer,
	}
	for _, o := range t.Outcomes {
		v.Stderr = cmp.Or(o.LastStderr, v.Stderr)
	}
	v.count()
	failed := record.WithoutLines(t.Err)
	if run.Result == record.OK && failed != nil {
		run.Result = record.Invalid
	}
	v.Result = run.Result
	if v.Err = outcomeErr; v.Err == nil {
		v.Err = failed
	} else if failed != nil {
		v.Err = fmt.Errorf("%w; %w", outcomeErr, failed)
	}
	b := &record.Batch{
		Source: source, Time: end, Declared: j.overrides.declared(t.Declared),
		Samples: j.overrides.samples(t.Samples), Events: t.Events,
		Files: t.Files, Complete: t.Complete, MaxAge: firstOf(j.script.MaxAge, t.MaxAge, j.maxAge()),
		Run: run, Err: errors.Join(outcomeErr, t.Err),
	}
	if j.overrides != nil {
		t.Warnings = slices.Concat(t.Warnings, j.overrides.warnings)
	}
	for i := range b.Events {
		b.Events[i].ID = b.Events[i].Identify(source)
	}
	return b, v
}

// advise adds what may be the reason to a run that went wrong: to its error,
// or where it has none, to its warnings.
func (j *judge) advise(t *dialect.Result, v *Verdict) {
	wrong := v.Result != record.OK || v.Refused > 0 || v.Samples+v.Events == 0
	if t.ExitCodeIsValue { // the exit code alone makes samples
		wrong = lines.IsEmpty(t.Output) || j.printsOther(t.Outcomes[len(t.Outcomes)-1])
	}
	j.understood = j.understood || t.Declared != nil || !wrong
	if !wrong {
		return
	}
	// Looked for once, not in each of a thousand runs that end in the same way.
	if key := fmt.Sprint(v.text(), v.Refused > 0); j.hinted != key {
		j.hinted = key
		j.advised, j.instead = j.script.hints(t, v.Err, !j.understood)
	}
	if v.Err != nil && j.instead != "" {
		v.Err = fmt.Errorf("%w%s", v.Err, j.instead)
	}
	for _, text := range j.advised {
		switch {
		case v.Err == nil:
			t.Warnings = append(slices.Clip(t.Warnings), text)
		case !strings.Contains(v.Err.Error(), text):
			v.Err = fmt.Errorf("%w; %s", v.Err, text)
		}
	}
}

// printsOther reports whether an output can be none of the script's dialect. It is
// asked of every run.
func (j *judge) printsOther(o *process.Outcome) bool {
	out := hintPart(o.Stdout)
	own := j.script.dialect.Name()
	other := slices.ContainsFunc(j.script.table, func(d dialect.Dialect) bool {
		r, ok := d.(dialect.Recognizer)
		if !ok || d.Name() == own {
			return false
		}
		is := r.Recognition().IsCertain
		return is != nil && is(out)
	})
	return other && j.script.guessPrinted(o).name != own
}

// onceLog is what the log has of a script's output already. Its memory is bounded:
// when it is full, everything is news again. It may be used by many goroutines.
type onceLog struct {
	mu    sync.Mutex
	texts map[[2]string]bool
}

// firstTime reports whether this was not said before.
func (s *onceLog) firstTime(kind, text string) bool {
	const most = 1000
	s.mu.Lock()
	defer s.mu.Unlock()
	key := [2]string{kind, text}
	if s.texts[key] {
		return false
	}
	if s.texts == nil || len(s.texts) >= most {
		s.texts = make(map[[2]string]bool)
	}
	s.texts[key] = true
	return true
}

// lineKey is what makes a refused line the same as yesterday's: its first
// word, up to an equals sign. The rest of it may hold a number that is another
// each time.
func lineKey(text string) string {
	for i, r := range text {
		if r == ' ' || r == '\t' || r == '=' {
			return texts.Shorten(text[:i], 100)
		}
	}
	return texts.Shorten(text, 100)
}
