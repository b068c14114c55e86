package script

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"

	"scriptbridge/config"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/all"
	"scriptbridge/script/process"
)

// memory is a sink that keeps what it is given.
type memory struct {
	mu      sync.Mutex
	batches []*record.Batch
	err     error
}

func (m *memory) Put(b *record.Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.batches = append(m.batches, b)
	return m.err
}

// runs gives the batches of a script's runs.
func (m *memory) runs(name string) (runs []*record.Batch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.batches {
		if b.Source.Name == name && b.Run != nil {
			runs = append(runs, b)
		}
	}
	return runs
}

func (m *memory) has(name string, what func(*record.Batch) bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.ContainsFunc(m.batches, func(b *record.Batch) bool { return b.Source.Name == name && what(b) })
}

// player is a Runner whose runs are functions.
type player struct {
	mu     sync.Mutex
	starts []time.Time
	play   func(ctx context.Context, n int) *dialect.Result // n counts from 1
	closed bool
}

func (p *player) Run(ctx context.Context, _ dialect.Exec) *dialect.Result {
	p.mu.Lock()
	p.starts = append(p.starts, time.Now())
	n := len(p.starts)
	p.mu.Unlock()
	return p.play(ctx, n)
}

func (p *player) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
}

func (p *player) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.starts)
}

// last is when the last run began.
func (p *player) last() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.starts[len(p.starts)-1]
}

// lasting makes a play whose every run takes d and goes well.
func lasting(d time.Duration) func(context.Context, int) *dialect.Result {
	return func(ctx context.Context, n int) *dialect.Result {
		start := time.Now()
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return &dialect.Result{Outcomes: []*process.Outcome{{Result: record.Killed, Err: ctx.Err(), Start: start, End: time.Now()}}}
		}
		return &dialect.Result{
			Complete: true,
			Outcomes: []*process.Outcome{{Result: record.OK, Start: start, End: time.Now()}},
			Samples:  []record.Sample{{Name: "n", Value: float64(n)}},
		}
	}
}

// fakeDialect is one of no name, which leaves what a script is asked to check.
type fakeDialect struct{ check func() error }

func (fakeDialect) Name() string           { return "" }
func (fakeDialect) Traits() dialect.Traits { return dialect.Traits{} }

func (fakeDialect) Prepare(config.Options) (dialect.New, error) { return nil, nil }

func (d fakeDialect) CheckPermissions(*dialect.Script, *process.Guard) error {
	if d.check == nil {
		return nil
	}
	return d.check()
}

func newTestScript(name string, interval time.Duration, p *player) *Script {
	return &Script{
		Script: dialect.Script{
			Script:           &config.Script{Name: name, Command: []string{"/bin/" + name}, Settings: config.Settings{Interval: interval}},
			FallbackInterval: time.Minute, FallbackTimeout: 5 * time.Second,
		},
		dialect:   fakeDialect{},
		table:     all.Dialects,
		Source:    &record.Source{Kind: record.Script, Name: name},
		newRunner: func(*dialect.Script, dialect.Memory) dialect.Runner { return p },
	}
}

// inPool runs a test on an empty pool, whose clock is synctest's.
func inPool(t *testing.T, places int, test func(t *testing.T, p *Pool, m *memory)) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		p := NewPool(m, log.NewNopLogger(), places)
		p.host = "host" // so that slots are the same wherever the tests run
		test(t, p, m)
		p.Close()
	})
}

func TestSchedule(t *testing.T) {
	inPool(t, 16, func(t *testing.T, p *Pool, m *memory) {
		players := map[string]*player{}
		var scripts []*Script
		for i := range 50 {
			name := fmt.Sprintf("s%02d", i)
			players[name] = &player{play: lasting(time.Second)}
			scripts = append(scripts, newTestScript(name, time.Minute, players[name]))
		}
		begin := time.Now()
		p.Reload(t.Context(), scripts, 50)
		time.Sleep(time.Hour)
		synctest.Wait()

		second := map[time.Duration]bool{}
		for name, pl := range players {
			if first := pl.starts[0].Sub(begin); first != 0 {
				t.Errorf("%s: the first run came after %s", name, first)
			}
			if gap := pl.starts[1].Sub(pl.starts[0]); gap < 30*time.Second || gap >= 90*time.Second {
				t.Errorf("%s: the second run came after %s", name, gap)
			}
			for i := 2; i < len(pl.starts); i++ {
				if gap := pl.starts[i].Sub(pl.starts[i-1]); gap != time.Minute {
					t.Fatalf("%s: run %d came %s after the one before", name, i, gap)
				}
			}
			if n := len(pl.starts); n < 59 || n > 61 {
				t.Errorf("%s ran %d times in an hour", name, n)
			}
			second[pl.starts[1].Sub(begin).Truncate(10*time.Second)] = true
		}
		if len(second) < 5 {
			t.Errorf("50 scripts use only %d tenths of a minute: %v", len(second), second)
		}
		for _, b := range m.runs("s07") {
			if b.MaxAge != 2*time.Minute+5*time.Second || b.Run.Overruns != 0 || b.Run.Duration != time.Second {
				t.Fatalf("a quiet run is told as %+v, max age %s", b.Run, b.MaxAge)
			}
		}
	})
}

// The slots of a name are the same after a restart.
func TestScheduleKeepsItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		phase := func() time.Duration {
			s := newSchedule(time.Now(), "host", "disks")
			return time.Duration(s.after(time.Now(), time.Minute).UnixNano() % int64(time.Minute))
		}
		before := phase()
		time.Sleep(17*time.Minute + 3*time.Second)
		if after := phase(); after != before {
			t.Errorf("the slot moved from %s to %s in the minute", before, after)
		}
	})
}

// TestScheduleSpreadsHosts: a script that a thousand hosts have asks its database
// all through the minute.
func TestScheduleSpreadsHosts(t *testing.T) {
	now := time.Now()
	seconds := make([]int, 60)
	for i := range 1000 {
		s := newSchedule(now, fmt.Sprintf("web%03d.example.org", i), "disks")
		seconds[s.after(now, time.Minute).Second()]++
	}
	for second, n := range seconds {
		if n == 0 || n > 50 {
			t.Errorf("%d of 1000 hosts run it in second %d", n, second)
		}
	}
}

func TestOverruns(t *testing.T) {
	inPool(t, 16, func(t *testing.T, p *Pool, m *memory) {
		slow := &player{play: lasting(25 * time.Second)}
		p.Reload(t.Context(), []*Script{newTestScript("slow", 10*time.Second, slow)}, 16)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		overruns := 0
		runs := m.runs("slow")
		for _, b := range runs {
			overruns += b.Run.Overruns
		}
		// Each run of 25 s passes over two slots of 10 s and starts at the third.
		if n := len(runs); n < 19 || n > 21 {
			t.Errorf("%d runs in 10 minutes", n)
		}
		if want := 2 * (len(runs) - 1); overruns < want-1 || overruns > want {
			t.Errorf("%d overruns in %d runs, want about %d", overruns, len(runs), want)
		}
	})
}

// Scripts that hang hold their places; those that wait for one say so, and
// come in the order in which they were due.
func TestWaitIsCounted(t *testing.T) {
	inPool(t, 2, func(t *testing.T, p *Pool, m *memory) {
		hang := &player{play: lasting(40 * time.Second)}
		good := &player{play: lasting(time.Second)}
		p.Reload(t.Context(), []*Script{
			newTestScript("hang1", time.Hour, hang), newTestScript("hang2", time.Hour, hang), newTestScript("good", time.Hour, good),
		}, 2)
		time.Sleep(time.Minute)
		synctest.Wait()
		total := time.Duration(0)
		for _, name := range []string{"hang1", "hang2", "good"} {
			total += m.runs(name)[0].Run.Wait
		}
		// Whoever came third waited: for the good one 1 s, for a hanging one 40 s.
		if total != time.Second && total != 40*time.Second {
			t.Errorf("the waits add up to %s", total)
		}
	})
}

func TestReloadByDifference(t *testing.T) {
	inPool(t, 16, func(t *testing.T, p *Pool, m *memory) {
		stays, changes, goes := &player{play: lasting(0)}, &player{play: lasting(0)}, &player{play: lasting(0)}
		p.Reload(t.Context(), []*Script{
			newTestScript("goes", time.Minute, goes), newTestScript("stays", time.Minute, stays), newTestScript("changes", time.Minute, changes),
		}, 16)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		before := stays.count()

		anew := &player{play: lasting(0)}
		p.Reload(t.Context(), []*Script{
			newTestScript("stays", time.Minute, &player{}), newTestScript("changes", 2*time.Minute, anew), newTestScript("comes", time.Minute, &player{play: lasting(0)}),
		}, 16)
		synctest.Wait()
		if !goes.closed || !changes.closed || stays.closed {
			t.Errorf("closed: goes %t, changes %t, stays %t", goes.closed, changes.closed, stays.closed)
		}
		gone := func(b *record.Batch) bool { return b.Gone }
		if !m.has("goes", gone) || m.has("changes", gone) || m.has("stays", gone) {
			t.Error("exactly the removed script must be told gone")
		}
		if stays.count() != before {
			t.Error("the unchanged script was run by the reload")
		}
		if anew.count() != 1 || len(m.runs("comes")) != 1 {
			t.Error("a changed and a new script run at once")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if stays.count() != before+1 {
			t.Errorf("the unchanged script ran %d times in the next minute", stays.count()-before)
		}
		var names []string
		for _, v := range p.Views() {
			names = append(names, v.Script.Name)
		}
		if got := fmt.Sprint(names); got != "[stays changes comes]" {
			t.Errorf("the views are %s", got)
		}
	})
}

// A run that a reload cuts short says nothing of the script, and its series
// end only after it.
func TestReloadCutsARunShort(t *testing.T) {
	inPool(t, 16, func(t *testing.T, p *Pool, m *memory) {
		hang := &player{play: lasting(time.Hour)}
		p.Reload(t.Context(), []*Script{newTestScript("hang", time.Minute, hang)}, 16)
		synctest.Wait()
		p.Reload(t.Context(), nil, 16)
		if len(m.runs("hang")) != 0 {
			t.Error("the cut run was judged")
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if last := m.batches[len(m.batches)-1]; !last.Gone {
			t.Errorf("the last word is %+v", last)
		}
	})
}

func TestRetry(t *testing.T) {
	inPool(t, 16, func(t *testing.T, p *Pool, m *memory) {
		bad := &player{play: func(_ context.Context, n int) *dialect.Result {
			if n > 3 {
				return lasting(0)(t.Context(), n)
			}
			return &dialect.Result{
				Outcomes:   []*process.Outcome{{Result: record.Error, ExitCode: 1, Err: errors.New("exited with code 1"), Start: time.Now(), End: time.Now()}},
				RetryAfter: 5 * time.Second << (n - 1),
			}
		}}
		begin := time.Now()
		p.Reload(t.Context(), []*Script{newTestScript("bad", time.Hour, bad)}, 16)
		time.Sleep(25 * time.Minute)
		synctest.Wait()
		for i, want := range []time.Duration{0, 5 * time.Second, 15 * time.Second, 35 * time.Second} {
			if got := bad.starts[i].Sub(begin); got != want {
				t.Errorf("try %d came after %s, want %s", i+1, got, want)
			}
		}
		runs := m.runs("bad")
		if runs[0].Run.Result != record.Error || runs[0].Complete || runs[3].Run.Result != record.OK || !runs[3].Complete {
			t.Errorf("the verdicts are %+v and %+v", runs[0].Run, runs[3].Run)
		}
	})
}

func TestJudge(t *testing.T) {
	line := &record.LineError{Line: 2, Text: "M9 1", Reason: "undeclared", Err: errors.New("line 2: no metric 9 is declared")}
	now := time.Now()
	ok := &process.Outcome{Result: record.OK, Start: now, End: now.Add(2 * time.Second), User: 1, System: 2, MaxRSS: 10, StdoutBytes: 100, StderrBytes: 7}
	failed := &process.Outcome{Result: record.Error, ExitCode: 3, Err: errors.New("exited with code 3"), Start: now, End: now, MaxRSS: 20, StdoutBytes: 1}
	for name, c := range map[string]struct {
		turn   dialect.Result
		result record.Result
		err    string
		lines  int
	}{
		"good":             {dialect.Result{Outcomes: []*process.Outcome{ok}}, record.OK, "", 0},
		"half readable":    {dialect.Result{Outcomes: []*process.Outcome{ok}, Err: errors.Join(line)}, record.OK, "", 1},
		"failed":           {dialect.Result{Outcomes: []*process.Outcome{ok, failed}}, record.Error, "exited with code 3", 0},
		"invalid":          {dialect.Result{Outcomes: []*process.Outcome{ok}, Failure: record.Invalid, Err: errors.New("no JSON")}, record.Invalid, "no JSON", 0},
		"failed and lines": {dialect.Result{Outcomes: []*process.Outcome{failed}, Err: errors.Join(line)}, record.Error, "exited with code 3", 1},
		"unreadable":       {dialect.Result{Outcomes: []*process.Outcome{ok}, Err: errors.New("no JSON")}, record.Invalid, "no JSON", 0},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJudge(newTestScript("s", time.Minute, nil))
			b, v := j.judge(&c.turn, &record.Source{Kind: record.Script, Name: "s"}, time.Second)
			if v.Result != c.result || b.Run.Result != c.result {
				t.Errorf("result %s and %s, want %s", v.Result, b.Run.Result, c.result)
			}
			text := ""
			if v.Err != nil {
				text = v.Err.Error()
			}
			if text != c.err {
				t.Errorf("error %q, want %q", text, c.err)
			}
			if len(v.Lines) != c.lines || len(record.LineErrors(b.Err)) != c.lines {
				t.Errorf("%d lines refused, %d in the batch, want %d", len(v.Lines), len(record.LineErrors(b.Err)), c.lines)
			}
		})
	}
	j := newJudge(newTestScript("s", 0, nil))
	b, _ := j.judge(&dialect.Result{Outcomes: []*process.Outcome{ok, failed}, Interval: 5 * time.Minute, Timeout: 20 * time.Second}, &record.Source{}, time.Second)
	r := b.Run
	if r.User != 1 || r.System != 2 || r.MaxRSS != 20 || r.Stdout != 101 || r.Stderr != 7 || r.ExitCode != 3 || r.Wait != time.Second {
		t.Errorf("the costs of a turn's processes: %+v", r)
	}
	if r.Interval != 5*time.Minute || r.Timeout != 20*time.Second || b.MaxAge != 10*time.Minute+20*time.Second {
		t.Errorf("the declared terms: %+v, max age %s", r, b.MaxAge)
	}
}

func TestOverrides(t *testing.T) {
	none := ""
	o := newOverrides(map[string]config.Override{
		"3":     {Type: "counter", Name: "renamed", Help: "of the operator", Unit: &none},
		"Third": {Type: "untyped"}, // the id wins
		"Loud":  {Drop: true},
		"bare":  {Type: "gauge"},
	})
	third := &record.Meta{ID: "3", Name: "Third", Unit: "ms", Help: "of the script", Type: record.Gauge}
	loud := &record.Meta{ID: "4", Name: "Loud"}
	plain := &record.Meta{ID: "5", Name: "Plain"}
	d := o.declared(&record.Declared{Metrics: []*record.Meta{third, loud, plain}})
	if len(d.Metrics) != 2 || d.Metrics[1] != plain {
		t.Fatalf("declared: %v", d.Metrics)
	}
	if m := d.Metrics[0]; m.Type != record.Counter || m.More().Rename != "renamed" || m.Name != "Third" || m.Help != "of the operator" || m.Unit != "" {
		t.Errorf("overridden: %+v", m)
	}
	if got := fmt.Sprint(o.warnings); got != `[metrics: the script declares no metric with the id or name "bare" (it declares "Loud", "Plain", "Third")]` {
		t.Errorf("warnings: %s", got)
	}
	if third.Type != record.Gauge {
		t.Error("the dialect's own Meta was changed")
	}
	got := o.samples([]record.Sample{{Name: "Third", Meta: third}, {Name: "Loud", Meta: loud}, {Name: "Plain", Meta: plain}, {Name: "bare"}, {Name: "other"}})
	if len(got) != 4 || got[0].Meta != d.Metrics[0] || got[1].Meta != plain || got[2].Meta.Type != record.Gauge || got[3].Meta != nil {
		t.Errorf("samples: %+v", got)
	}
	if len(o.warnings) != 0 { // it was not declared, but it is there
		t.Errorf("warnings: %s", o.warnings)
	}

	// A script that declares nothing: what it has given by then counts, and what
	// is said stays the same.
	o = newOverrides(map[string]config.Override{"Plane": {Help: "x"}, "later": {Help: "x"}})
	const plane, later = `metrics: the script gave no metric with the id or name "Plane" (did you mean "Plain"?)`,
		`metrics: the script gave no metric with the id or name "later" (it gave "Loud", "Plain")`
	for _, turn := range []struct {
		samples []record.Sample
		want    string
	}{
		{nil, "[]"},
		{[]record.Sample{{Name: "Plain", Meta: plain}, {Name: "Loud"}}, "[" + plane + " " + later + "]"},
		{[]record.Sample{{Name: "more"}}, "[" + plane + " " + later + "]"},
		{nil, "[" + plane + " " + later + "]"},
		{[]record.Sample{{Name: "later"}}, "[" + plane + "]"},
		{[]record.Sample{{Name: "Plain", Meta: plain}}, "[" + plane + "]"},
	} {
		o.samples(turn.samples)
		if got := fmt.Sprint(o.warnings); got != turn.want {
			t.Errorf("warnings %s\nwant %s", got, turn.want)
		}
	}
}

// Between the runs of scripts there is no goroutine for them, and Close ends them as
// well as one that waits for its first run, or that never runs.
func TestNoGoroutineBetweenRuns(t *testing.T) {
	for name, change := range map[string]func(*Script){
		"runs":        func(*Script) {},
		"aligned":     func(s *Script) { s.aligned = true },
		"probes only": func(s *Script) { s.Probe, s.Parameters = true, map[string]config.Parameter{"host": {}} },
		"asked for":   func(s *Script) { s.Probe = true },
	} {
		t.Run(name, func(t *testing.T) {
			inPool(t, 3, func(t *testing.T, p *Pool, _ *memory) {
				const n = 50
				var scripts []*Script
				for i := range n {
					s := newTestScript(fmt.Sprint("s", i), time.Hour, &player{play: func(context.Context, int) *dialect.Result { return &dialect.Result{} }})
					change(s)
					scripts = append(scripts, s)
				}
				before := runtime.NumGoroutine()
				p.Reload(t.Context(), scripts, 3)
				for range 3 {
					time.Sleep(90 * time.Minute)
					synctest.Wait()
					if more := runtime.NumGoroutine() - before; more > n/10 {
						t.Errorf("%d goroutines more with %d scripts", more, n)
					}
				}
				p.Close()
				for _, s := range scripts {
					if !s.newRunner(nil, nil).(*player).closed {
						t.Errorf("%s was not closed", s.Name)
					}
				}
			})
		})
	}
}
