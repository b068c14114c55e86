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
		defer u.stop()
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
			defer u.stop()
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
		if len(u.asked) > 0 {
			t.Fatal("another run was asked for")
		}
		u.stop()
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
