package script

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"

	"scriptbridge/config"
	"scriptbridge/internal/panics"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/all"
	"scriptbridge/script/process"
)

// floods are the events of a run, n of them.
// eventsMost is how many events a run may give.
const eventsMost = 10_000

func floods(n int) *record.Batch {
	b := &record.Batch{Source: &record.Source{Kind: record.Script, Name: "a"}, Time: time.Now(), Run: &record.Run{}}
	for i := range n {
		b.Events = append(b.Events, record.Event{ID: fmt.Sprint(i), Name: "e"})
	}
	return b
}

// What people see of a run's events is worked out while the pages and the
// probes of the script wait. So the list never grows beyond what is shown,
// however many events there are: the work for each is bounded by its length.
func TestRememberFlood(t *testing.T) {
	p := NewPool(&memory{}, log.NewNopLogger(), 1)
	defer p.Close()
	for _, n := range []int{0, 1, eventsShown, eventsShown + 1, eventsMost} {
		u := p.newWorker(context.Background(), newTestScript("a", time.Minute, &player{}), dialect.Forgetful{})
		for range 3 { // the same events again
			u.mu.Lock()
			u.remember(&dialect.Result{}, floods(n), &Verdict{})
			u.mu.Unlock()
		}
		kept := u.view.Events
		if len(kept) != min(n, eventsShown) || n > 0 && kept[0].ID != fmt.Sprint(n-1) || n > eventsShown && kept[eventsShown-1].ID != fmt.Sprint(n-eventsShown) {
			t.Errorf("of %d events %d are shown", n, len(kept))
		}
		if cap(kept) > 2*eventsShown {
			t.Errorf("of %d events there were up to %d in the list at once", n, cap(kept))
		}
	}
}

// BenchmarkRemember keeps the events of a run, as many as a run may have.
func BenchmarkRemember(b *testing.B) {
	p := NewPool(&memory{}, log.NewNopLogger(), 1)
	defer p.Close()
	for _, n := range []int{100, 1000, eventsMost} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			u := p.newWorker(context.Background(), newTestScript("a", time.Minute, &player{}), dialect.Forgetful{})
			batch := floods(n)
			for b.Loop() {
				u.remember(&dialect.Result{}, batch, &Verdict{})
			}
		})
	}
}

// Who asks for a run while the last one is being put away is given that one,
// and has no other one begun.
func TestPublishAtOnce(t *testing.T) {
	p := NewPool(&memory{}, log.NewNopLogger(), 1)
	defer p.Close()
	s := newTestScript("a", time.Hour, &player{})
	s.Probe = true
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // nobody waits for a run
	for range 500 {
		u := p.newWorker(t.Context(), s, dialect.Forgetful{})
		u.view.State = Running
		var asked, over atomic.Bool
		var asking sync.WaitGroup
		for range 3 {
			asking.Go(func() {
				for !over.Load() {
					_, _ = u.askRun(ctx)
					asked.Store(true)
				}
			})
		}
		for !asked.Load() {
			runtime.Gosched()
		}
		fresh := time.Now().Add(time.Hour) // however slow this machine is
		u.publish(&dialect.Result{}, &record.Batch{Source: s.Source, Time: fresh, Run: &record.Run{}}, &Verdict{}, Idle)
		over.Store(true)
		asking.Wait()
		if u.asked {
			t.Fatal("another run was asked for")
		}
	}
}

// failing is a sink that fails as its function says.
type failing func(n int) error

func (f failing) Put(b *record.Batch) error { return f(int(b.Samples[0].Value)) }

// A sink that refuses every batch is told once for each script, one that comes
// and goes every ten minutes; each failure is counted.
func TestSinkFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out textLog
		always := failing(func(int) error { return errors.New("disk full") })
		flapping := failing(func(n int) error {
			if n%2 == 0 {
				return errors.New("upload x: gone")
			}
			return nil
		})
		runs := runsOnly{record.Tee{always, flapping}}
		p := NewPool(runs, log.NewLogfmtLogger(&out), 2)
		defer p.Close()
		p.Reload(t.Context(), []*Script{
			newTestScript("a", time.Minute, &player{play: lasting(time.Second)}),
			newTestScript("b", time.Minute, &player{play: lasting(time.Second)}),
		}, 2)
		time.Sleep(time.Hour)
		synctest.Wait()
		for _, name := range []string{"a", "b"} {
			if n := out.count("script="+name, "disk full"); n != 1 {
				t.Errorf("%s: the sink that always fails was told %d times", name, n)
			}
			if n := out.count("script="+name, "gone"); n < 5 || n > 7 {
				t.Errorf("%s: the sink that comes and goes was told %d times in an hour", name, n)
			}
		}
		if n := p.SinkErrors(); n < 118 || n > 124 {
			t.Errorf("%d of some 120 errors are counted", n)
		}
		if t.Failed() {
			t.Log(out.String())
		}
	})
}

// runsOnly leaves out the batches of no run.
type runsOnly struct{ record.Sink }

func (r runsOnly) Put(b *record.Batch) error {
	if b.Run == nil {
		return nil
	}
	return r.Sink.Put(b)
}

// textLog is a log in memory.
type textLog struct {
	mu sync.Mutex
	strings.Builder
}

func (l *textLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Builder.Write(p)
}

// count is how many lines have all of words.
func (l *textLog) count(words ...string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.Builder.String()) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			n++
		}
	}
	return n
}

// slowSink keeps what one script said for long.
type slowSink struct {
	memory
	slow string
	hold chan struct{} // closed when it is done with it
}

func (s *slowSink) Put(b *record.Batch) error {
	if b.Source.Name == s.slow && b.Run != nil {
		<-s.hold
	}
	return s.memory.Put(b)
}

// A sink that takes long costs the script whose batch it has, and no other one's
// place.
func TestSlowSinkHoldsNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &slowSink{slow: "slow", hold: make(chan struct{})}
		p := NewPool(sink, log.NewNopLogger(), 1)
		p.Reload(t.Context(), []*Script{
			newTestScript("slow", time.Minute, &player{play: lasting(time.Second)}),
			newTestScript("other", time.Minute, &player{play: lasting(time.Second)}),
		}, 1)
		time.Sleep(10 * time.Minute) // in the bubble
		synctest.Wait()
		if n := len(sink.runs("other")); n < 9 {
			t.Errorf("the other one ran %d times in ten minutes", n)
		}
		if p.Running() != 0 || p.Waiting() != 0 {
			t.Errorf("%d are running, %d wait", p.Running(), p.Waiting())
		}
		close(sink.hold)
		synctest.Wait()
		if n := len(sink.runs("slow")); n == 0 {
			t.Error("what the slow one said is not put")
		}
		p.Close()
	})
}

// A Runner that cannot be made, by a mistake of ours, changes nothing: the set at
// work goes on, and the next one is taken.
func TestReloadPanics(t *testing.T) {
	inPool(t, 4, func(t *testing.T, p *Pool, m *memory) {
		names := func() (names []string) {
			for _, v := range p.Views() {
				names = append(names, v.Script.Name)
			}
			return names
		}
		script := func(name string) *Script {
			return newTestScript(name, time.Minute, &player{play: lasting(time.Second)})
		}
		a, b := script("a"), script("b")
		p.Reload(t.Context(), []*Script{a, b}, 4)
		time.Sleep(5 * time.Minute)
		odd := script("odd")
		odd.newRunner = func(*dialect.Script, dialect.Memory) dialect.Runner { panic("odd") }
		changed := script("a")
		changed.Interval = time.Second
		before := len(m.runs("a"))
		if err := panics.Try(func() error { p.Reload(t.Context(), []*Script{changed, odd}, 4); return nil }); panics.StackOf(err) == "" {
			t.Fatalf("Reload gave %v", err)
		}
		if got := names(); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("at work are %v", got)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if n := len(m.runs("a")) - before; n < 4 || n > 6 {
			t.Errorf("%d runs in five minutes of the script that was to stay", n)
		}
		p.Reload(t.Context(), []*Script{b, script("c")}, 4)
		if got := names(); !slices.Equal(got, []string{"b", "c"}) {
			t.Errorf("at work are %v", got)
		}
	})
}

// What a script is started with has nothing of the bridge's own sockets and
// secrets, and all else that the bridge has itself.
func TestSettleEnvironment(t *testing.T) {
	for _, name := range []string{
		"LISTEN_OTHER", "WATCHDOG_OTHER", "MEMORY_PRESSURE_OTHER",
		"NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY", "INVOCATION_ID", "JOURNAL_STREAM", "SCRIPTBRIDGE_RUN",
	} {
		t.Setenv(name, "secret")
	}
	t.Setenv("LISTEN_FDS", "3")
	t.Setenv("ORDINARY", "value")
	cfg := &config.Config{Scripts: []*config.Script{{Name: "a", Command: []string{"/bin/sh"}, Settings: config.Settings{
		Dialect: "nagios", Env: map[string]config.Secret{"OWN": "mine"},
	}}}}
	scripts, _, err := Resolve(all.Dialects, cfg)
	if err != nil {
		t.Fatal(err)
	}
	c, err := scripts[0].resolveCommand()
	if err != nil {
		t.Skip(err) // no such program on this system
	}
	for _, e := range c.Env {
		if strings.HasSuffix(e, "=secret") || strings.HasPrefix(e, "LISTEN_FDS=") {
			t.Errorf("the script gets %s", e)
		}
	}
	if process.LastEnv(c.Env, "ORDINARY") != "value" || process.LastEnv(c.Env, "OWN") != "mine" {
		t.Errorf("the script gets %q", c.Env)
	}
}

// Who waits for a place that another has is not stalled, however long; who waits
// although there is one is.
func TestStalled(t *testing.T) {
	inPool(t, 1, func(t *testing.T, p *Pool, _ *memory) {
		long := &player{play: lasting(3 * time.Hour)}
		short := &player{play: lasting(time.Second)}
		p.Reload(t.Context(), []*Script{newTestScript("long", time.Hour, long)}, 1)
		synctest.Wait()
		p.Reload(t.Context(), []*Script{newTestScript("long", time.Hour, long), newTestScript("short", time.Minute, short)}, 1)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if name := p.Stalled(time.Minute); name != "" || short.count() != 0 {
			t.Errorf("%q is stalled, and short ran %d times", name, short.count())
		}
		p.Reload(t.Context(), []*Script{newTestScript("short", time.Minute, short)}, 1)
		for range 100 {
			time.Sleep(time.Minute)
			synctest.Wait()
			if name := p.Stalled(time.Minute); name != "" {
				t.Fatalf("%q is stalled, though it ran %d times", name, short.count())
			}
		}
		// A fault of ours: it is forgotten who waits.
		taken := p.runs.acquire(t.Context())
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		p.runs.scheduled = nil
		taken.release()
		if name := p.Stalled(time.Hour); name != "" {
			t.Errorf("%q is stalled after minutes", name)
		}
		if name := p.Stalled(time.Minute); name != "short" {
			t.Errorf("%q is stalled, not short", name)
		}
	})
}

// fails are runs of which the first n fail, each after a second.
func fails(n int) func(context.Context, int) *dialect.Result {
	return func(ctx context.Context, run int) *dialect.Result {
		r := lasting(time.Second)(ctx, run)
		if o := r.Outcomes[0]; run <= n && o.Result == record.OK {
			o.Result, o.ExitCode, o.Err = record.Error, 1, fmt.Errorf("run %d exited with code 1", run)
			o.User, o.MaxRSS, o.StderrBytes = time.Second, int64(1000-run), 10
			r.Samples, r.Complete = nil, false
		}
		return r
	}
}

func retrying(p *player, retries int) *Script {
	s := newTestScript("s", time.Minute, p)
	s.Retries = retries
	return s
}

// A run that fails is tried again, after ever longer pauses; what is told is the last
// try, with what all have cost.
func TestRetries(t *testing.T) {
	for _, c := range []struct {
		name           string
		retries, fails int
		starts         []time.Duration
		result         record.Result
		told           int // retries
	}{
		{"none are allowed", 0, 1, []time.Duration{0}, record.Error, 0},
		{"none are needed", 3, 0, []time.Duration{0}, record.OK, 0},
		{"one helps", 3, 1, []time.Duration{0, 2 * time.Second}, record.OK, 1},
		{"two help", 3, 2, []time.Duration{0, 2 * time.Second, 5 * time.Second}, record.OK, 2},
		{"none helps", 2, 9, []time.Duration{0, 2 * time.Second, 5 * time.Second}, record.Error, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			inPool(t, 1, func(t *testing.T, p *Pool, m *memory) {
				g := &player{play: fails(c.fails)}
				begin := time.Now()
				p.Reload(t.Context(), []*Script{retrying(g, c.retries)}, 1)
				time.Sleep(20 * time.Second)
				synctest.Wait()
				var starts []time.Duration
				for _, at := range g.starts {
					starts = append(starts, at.Sub(begin))
				}
				if !slices.Equal(starts, c.starts) {
					t.Errorf("started at %s, want %s", starts, c.starts)
				}
				runs := m.runs("s")
				if len(runs) != 1 {
					t.Fatalf("%d batches", len(runs))
				}
				r, tries := runs[0].Run, min(c.fails, len(starts))
				if r.Result != c.result || r.Retries != c.told || r.User != time.Duration(tries)*time.Second || r.Stderr != int64(10*tries) {
					t.Errorf("the batch has %+v", r)
				}
				if tries > 0 && r.MaxRSS != 999 {
					t.Errorf("the largest memory is %d", r.MaxRSS)
				}
				if v, _ := p.View("s"); v.Last.Retries != c.told || v.Last.Result != c.result || v.History.Len() != 1 || v.State != Idle {
					t.Errorf("it is %s, last %+v", v.State, v.Last)
				}
			})
		})
	}
}

// A try that may go on into the next turn is not begun, and the schedule stays.
func TestRetriesEndBeforeTheNextTurn(t *testing.T) {
	inPool(t, 1, func(t *testing.T, p *Pool, m *memory) {
		g := &player{play: fails(1000)}
		s := retrying(g, 10)
		s.Interval, s.FallbackTimeout = 20*time.Second, 12*time.Second
		p.Reload(t.Context(), []*Script{s}, 1)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		due := newSchedule(p.base, p.host, "s")
		for _, b := range m.runs("s")[1:] { // the first turn is shorter or longer
			// Tries at 0, 2 and 5 s; the next would be at 10 s, and could last until 22 s.
			if b.Run.Retries != 2 || !due.after(b.Time.Add(-6*time.Second), s.Interval).Equal(b.Time.Add(-6*time.Second)) {
				t.Errorf("at %s: %d retries, %d overruns", b.Time, b.Run.Retries, b.Run.Overruns)
			}
		}
		if v, _ := p.View("s"); v.Overruns != 0 || len(m.runs("s")) < 29 {
			t.Errorf("%d overruns, %d runs", v.Overruns, len(m.runs("s")))
		}
	})
}

// In a pause others run.
func TestRetriesGiveTheirPlaceBack(t *testing.T) {
	inPool(t, 1, func(t *testing.T, p *Pool, m *memory) {
		g, other := &player{play: fails(1)}, &player{play: lasting(10 * time.Second)}
		p.Reload(t.Context(), []*Script{retrying(g, 1), newTestScript("other", time.Hour, other)}, 1)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if other.count() != 1 || g.count() != 2 || g.starts[1].Before(other.starts[0].Add(10*time.Second)) {
			t.Errorf("started at %s, the other at %s", g.starts, other.starts)
		}
		if r := m.runs("s"); len(r) != 1 || r[0].Run.Result != record.OK || r[0].Run.Wait < 8*time.Second {
			t.Errorf("%+v", r)
		}
	})
}

// A reload and the end do not wait for a pause. The failure before it is told.
func TestRetriesAreCutShort(t *testing.T) {
	inPool(t, 1, func(t *testing.T, p *Pool, m *memory) {
		g := &player{play: fails(1000)}
		p.Reload(t.Context(), []*Script{retrying(g, 10)}, 1)
		time.Sleep(3500 * time.Millisecond) // in the pause after the second
		synctest.Wait()
		if v, _ := p.View("s"); v.State != Running || p.Stalled(0) != "" {
			t.Errorf("in a pause it is %s", v.State)
		}
		begin := time.Now()
		p.Reload(t.Context(), nil, 1)
		if took := time.Since(begin); took > 0 {
			t.Errorf("the reload took %s", took)
		}
		if r := m.runs("s"); len(r) != 1 || r[0].Run.Retries != 1 || r[0].Run.Result != record.Error || g.count() != 2 {
			t.Errorf("%d started; %+v", g.count(), r)
		}
		if !m.has("s", func(b *record.Batch) bool { return b.Gone }) {
			t.Error("its series have not ended")
		}
	})
}

// Who asks for a run gets its failure at once; who asks while a turn is tried again
// gets what comes of it.
func TestRetriesAndProbes(t *testing.T) {
	inPool(t, 1, func(t *testing.T, p *Pool, m *memory) {
		g := &player{play: func(ctx context.Context, n int) *dialect.Result {
			return fails(n%2*1000)(ctx, n) // each second run is good
		}}
		s := retrying(g, 5)
		s.Probe, s.Interval = true, time.Hour
		p.Reload(t.Context(), []*Script{s}, 1)
		time.Sleep(1500 * time.Millisecond)
		if a, err := p.Probe(t.Context(), "s", "", nil); err != nil || a.Batch.Run.Result != record.OK || a.Batch.Run.Retries != 1 {
			t.Errorf("during a turn: %+v, %v", a, err)
		}
		time.Sleep(time.Minute)
		if a, err := p.Probe(t.Context(), "s", "", nil); err != nil || a.Batch.Run.Result != record.Error || a.Batch.Run.Retries != 0 {
			t.Errorf("between turns: %+v, %v", a, err)
		}
	})
}
