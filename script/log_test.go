package script

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"

	"scriptbridge/config"
	"scriptbridge/internal/loglimit"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
	"scriptbridge/script/process"
)

// made gives a logger to what makes one each time.
func made(l log.Logger) func() log.Logger { return func() log.Logger { return l } }

// sharedLog is a log as the bridge has it.
func sharedLog(out io.Writer) log.Logger {
	own := log.NewLogfmtLogger(out)
	return loglimit.NewLog(own, own)
}

// The last lines of standard error are kept for the page, also those that the log
// does not take.
func TestStderrTail(t *testing.T) {
	var out textLog
	l := newStderrLog(made(sharedLog(&out)), config.ScriptLog{})
	for i := range 200 {
		l.line(fmt.Appendf(nil, "line %d\r\n", i))
	}
	if n := out.count("level=info stream=stderr msg=\"line "); n != 200 { // of no script
		t.Errorf("%d lines are in the log", n)
	}
	tail := l.tail()
	if len(tail) != stderrTail || tail[0].Text != "line 150" || tail[stderrTail-1].Text != "line 199" {
		t.Errorf("the tail is %+v", tail)
	}
}

// What of standard error is in the log the configuration says; all of it is kept for the
// page.
func TestStderrWords(t *testing.T) {
	for words, want := range map[string]string{
		"":      "level=info stream=stderr msg=a\nlevel=info stream=stderr msg=b\n",
		"info":  "level=info stream=stderr msg=a\nlevel=info stream=stderr msg=b\n",
		"debug": "level=debug stream=stderr msg=a\nlevel=debug stream=stderr msg=b\n",
		"warn":  "level=warn stream=stderr msg=a\nlevel=warn stream=stderr msg=b\n",
		"none":  "", "failed": "level=info stream=stderr msg=b\n",
	} {
		var out textLog
		l := newStderrLog(made(log.NewLogfmtLogger(&out)), config.ScriptLog{Stderr: words})
		l.begin()
		l.line([]byte("a"))
		l.judged(false)
		l.begin()
		l.line([]byte("b"))
		l.judged(true)
		l.judged(true) // of a fault of ours that followed
		if got := out.String(); got != want {
			t.Errorf("%q: %s", words, got)
		}
		if tail := l.tail(); len(tail) != 2 {
			t.Errorf("%q: the page has %v", words, tail)
		}
	}
	// What is held back is bounded, and what was cut short is nobody's.
	var out textLog
	l := newStderrLog(made(log.NewLogfmtLogger(&out)), config.ScriptLog{Stderr: "failed"})
	l.line([]byte("cut short"))
	l.begin()
	for i := range 1000 {
		l.line(fmt.Appendf(nil, "line %d", i))
	}
	l.judged(true)
	if n := out.count("level=info stream=stderr msg=\"line "); n != stderrTail || out.count("line 950\"") != 1 || out.count("cut") != 0 {
		t.Errorf("%d lines:\n%s", n, out.String())
	}
}

// What scripts do over and over is in the log now and then, for an hour of runs
// once a minute.
func TestLogRepeats(t *testing.T) {
	ends := func(result record.Result, err error, then func(*dialect.Result)) *dialect.Result {
		turn := &dialect.Result{Outcomes: []*process.Outcome{{Result: result, Err: err, Start: time.Now(), End: time.Now()}}}
		if then != nil {
			then(turn)
		}
		return turn
	}
	failed := errors.New("exited with code 1")
	refusing := func(n, lines int) func(*dialect.Result) {
		return func(turn *dialect.Result) {
			var errs []error
			for i := range lines {
				errs = append(errs, &record.LineError{Line: i + 1, Text: fmt.Sprintf("%d-%d: hello", n, i), Reason: "undeclared", Err: errors.New("it is not declared")})
			}
			turn.Err = errors.Join(errs...)
		}
	}
	words := loglimit.Log.Burst - loglimit.Log.Kept
	for _, c := range []struct {
		name     string
		play     func(ctx context.Context, n int) *dialect.Result
		word     string
		min, max int // lines with it
		most     int // lines of any kind
	}{
		{"always fails", func(_ context.Context, n int) *dialect.Result { return ends(record.Error, failed, nil) }, "the run failed", 1, 1, 1},
		{"is always well", func(_ context.Context, n int) *dialect.Result { return ends(record.OK, nil, nil) }, "", 0, 0, 0},
		{"flaps", func(_ context.Context, n int) *dialect.Result {
			if n%2 == 0 {
				return ends(record.OK, nil, nil)
			}
			return ends(record.Error, failed, nil)
		}, "the run failed", 5, 7, 14},
		{"fails in two ways", func(_ context.Context, n int) *dialect.Result {
			if n%2 == 0 {
				return ends(record.Timeout, errors.New("was ended after its timeout of 5s"), nil)
			}
			return ends(record.Error, failed, nil)
		}, "the run failed", 10, 14, 14},
		{"always fails otherwise", func(_ context.Context, n int) *dialect.Result {
			return ends(record.Error, fmt.Errorf("cannot read sensor at %d", n), nil)
		}, "the run failed", 55, 61, 61}, // a minute apart, these are not too many
		{"recovers at last", func(_ context.Context, n int) *dialect.Result {
			if n > 30 {
				return ends(record.OK, nil, nil)
			}
			return ends(record.Error, failed, nil)
		}, "the script is well again", 1, 1, 2},
		{"other lines are refused each time", func(_ context.Context, n int) *dialect.Result {
			return ends(record.OK, nil, refusing(n, 500))
		}, "a line was refused", loglimit.Log.Burst, loglimit.Log.Burst + 6*60, loglimit.Log.Burst + 6*60 + 7},
		{"the same lines are refused each time", func(_ context.Context, n int) *dialect.Result {
			return ends(record.OK, nil, refusing(1, 20))
		}, "a line was refused", 20, 20, 20},
		{"its dialect has much to tell", func(_ context.Context, n int) *dialect.Result {
			return ends(record.OK, nil, func(turn *dialect.Result) { turn.Log = make([]string, 51) })
		}, "stream=stdout", words, words + 6*60, words + 6*60 + 7},
		{"warns of something else each time", func(_ context.Context, n int) *dialect.Result {
			return ends(record.OK, nil, func(turn *dialect.Result) {
				for i := range 20 {
					turn.Warnings = append(turn.Warnings, fmt.Sprintf("warning %d of run %d", i, n))
				}
			})
		}, "msg=\"warning ", loglimit.Log.Burst, loglimit.Log.Burst + 6*60, loglimit.Log.Burst + 6*60 + 7},
		{"takes longer than its interval", lasting(90 * time.Second), "the script was due", 1, 1, 1},
		{"takes longer than its interval now and then", func(ctx context.Context, n int) *dialect.Result {
			return lasting(time.Duration(1+n%2*70)*time.Second)(ctx, n)
		}, "the script was due", 4, 7, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out textLog
				p := NewPool(&memory{}, sharedLog(&out), 1)
				defer p.Close()
				p.Reload(t.Context(), []*Script{newTestScript("a", time.Minute, &player{play: c.play})}, 1)
				time.Sleep(time.Hour)
				synctest.Wait()
				if n := out.count(c.word); n < c.min || n > c.max {
					t.Errorf("%q is told %d times in an hour, not %d to %d", c.word, n, c.min, c.max)
				}
				if n := out.count(""); n > c.most {
					t.Errorf("%d lines in an hour, more than %d", n, c.most)
				}
				if t.Failed() {
					t.Log(out.String()[:min(len(out.String()), 3000)])
				}
			})
		})
	}
}

// Lines of a run that had a log of its own are kept as one run's, and no more than
// some.
func TestStderrTake(t *testing.T) {
	l, other := newStderrLog(made(log.NewNopLogger()), config.ScriptLog{}), newStderrLog(made(log.NewNopLogger()), config.ScriptLog{})
	l.begin()
	l.line([]byte("before"))
	other.begin()
	for i := range stderrTail - 1 {
		other.line(fmt.Append(nil, i))
	}
	l.take(other.tail())
	l.take(nil)
	l.begin()
	l.line([]byte("after"))
	tail := l.tail()
	if n := len(tail); n != stderrTail || tail[0].Text != "0" || tail[n-1].Text != "after" || tail[0].Run != tail[n-2].Run || tail[n-1].Run == tail[n-2].Run {
		t.Errorf("%d: %+v", n, tail)
	}
}

// TestStderrGiven: what somebody has been given stays as it was, and is no copy.
func TestStderrGiven(t *testing.T) {
	l := newStderrLog(made(log.NewNopLogger()), config.ScriptLog{Stderr: "none"})
	var tails, copies [][]StderrLine
	for i := range 3 * stderrTail {
		for range 1 + i%3 {
			l.line([]byte(strconv.Itoa(i)))
		}
		tails, copies = append(tails, l.tail()), append(copies, slices.Clone(l.tail()))
		if i%7 == 0 {
			l.take(l.tail()[:1])
		}
	}
	if !reflect.DeepEqual(tails, copies) {
		t.Error("lines that somebody has were changed")
	}
	if last := l.tail(); len(last) != stderrTail || last[stderrTail-1].Text != strconv.Itoa(3*stderrTail-1) || cap(last) > stderrTail {
		t.Errorf("%d lines, with room for %d, end with %q", len(last), cap(last), last[len(last)-1].Text)
	}
	if n := testing.AllocsPerRun(10, func() { l.tail() }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
