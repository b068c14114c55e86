package script

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"scriptbridge/config"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/all"
)

// probed makes a script that may be probed.
func probed(name string, interval time.Duration, p *player) *Script {
	s := newTestScript(name, interval, p)
	s.Probe = true
	return s
}

// probeRunners makes a script with parameters, and notes what each of its commands
// did.
type probeRunners struct {
	mu      sync.Mutex
	started []string // the words behind the program, as they were run
	running map[string]int
	most    int // of one command at once
	cut     int // runs that were ended before they were done
	closed  int // Runners
	play    func(ctx context.Context, n int) *dialect.Result
}

type probeRunner struct {
	*probeRunners
	words string
}

func (g probeRunner) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed++
}

func (g probeRunner) Run(ctx context.Context, _ dialect.Exec) *dialect.Result {
	g.mu.Lock()
	g.started = append(g.started, g.words)
	g.running[g.words]++
	g.most = max(g.most, g.running[g.words])
	n := len(g.started)
	g.mu.Unlock()
	t := g.play(ctx, n)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running[g.words]--
	if ctx.Err() != nil {
		g.cut++
	}
	return t
}

func (g *probeRunners) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.started)
}

func newProbeRunners(play func(context.Context, int) *dialect.Result) *probeRunners {
	return &probeRunners{running: make(map[string]int), play: play}
}

// script is loaded, since only config makes parameters.
func (g *probeRunners) script(t *testing.T, parameters string) *Script {
	t.Helper()
	file := filepath.Join(t.TempDir(), "scriptbridge.yml")
	text := "scripts: [{name: s, command: './s.sh --to={to}', interval: 1w, probe: true, parameters: " + parameters + "}]"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(all.Dialects.Config(), file, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := newTestScript("s", time.Hour, nil)
	s.Script.Script = cfg.Scripts[0]
	s.newRunner = func(s *dialect.Script, _ dialect.Memory) dialect.Runner {
		return probeRunner{g, strings.Join(s.Command[1:], " ")}
	}
	return s
}

func to(values ...string) map[string][]string { return map[string][]string{"to": values} }

// ask probes in the background.
type asked struct {
	batch *record.Batch
	err   error
	at    time.Duration // from the question to the answer
	done  bool
}

func ask(ctx context.Context, p *Pool, name string, query map[string][]string) *asked {
	a, start := &asked{}, time.Now()
	go func() {
		var got *Answer
		if got, a.err = p.Probe(ctx, name, "", query); got != nil {
			a.batch = got.Batch
		}
		a.at, a.done = time.Since(start), true
	}()
	return a
}

// A hundred who ask at once get one run, which is one of the script's own and
// leaves the schedule as it was.
func TestProbeIsShared(t *testing.T) {
	inPool(t, 16, func(t *testing.T, p *Pool, m *memory) {
		pl := &player{play: lasting(2 * time.Second)}
		p.Reload(t.Context(), []*Script{probed("s", time.Minute, pl)}, 16)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		before, slot := pl.count(), p.Views()[0].Next
		time.Sleep(time.Until(slot) - 20*time.Second)
		var all []*asked
		for range 100 {
			all = append(all, ask(t.Context(), p, "s", map[string][]string{"other": {"x"}}))
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		last := m.runs("s")[len(m.runs("s"))-1]
		for _, a := range all {
			if !a.done || a.err != nil || a.batch != last || a.at != 2*time.Second {
				t.Fatalf("answered %t after %s: %+v, %v", a.done, a.at, a.batch, a.err)
			}
		}
		if n := pl.count() - before; n != 1 {
			t.Errorf("%d runs for 100 askers", n)
		}
		if last.Run.Wait != 0 || last.Run.Overruns != 0 {
			t.Errorf("the run waited %s, overruns %d", last.Run.Wait, last.Run.Overruns)
		}
		time.Sleep(time.Until(slot))
		synctest.Wait()
		if at := pl.starts[len(pl.starts)-1]; !at.Equal(slot) || pl.count() != before+2 {
			t.Errorf("%d runs, the last %s after the slot", pl.count()-before, at.Sub(slot))
		}
	})
}

// The last run answers for a second from its end, and for five from its start, so that
// who asks all the time does not have it run all the time; one under way is waited
// for, and so is the first.
func TestProbeFresh(t *testing.T) {
	inPool(t, 16, func(t *testing.T, p *Pool, m *memory) {
		pl := &player{play: func(ctx context.Context, n int) *dialect.Result {
			return lasting(time.Duration(2+n/3*6)*time.Second)(ctx, n)
		}}
		p.Reload(t.Context(), []*Script{probed("s", time.Hour, pl)}, 16)
		for _, c := range []struct {
			pause, took time.Duration
			runs        int
		}{
			{0, 2 * time.Second, 1},
			{0, 0, 1},
			{2999 * time.Millisecond, 0, 1},
			{time.Millisecond, 2 * time.Second, 2},
			{time.Minute, 8 * time.Second, 3},
			{999 * time.Millisecond, 0, 3},
			{time.Millisecond, 8 * time.Second, 4},
		} {
			time.Sleep(c.pause)
			a := ask(t.Context(), p, "s", nil)
			time.Sleep(c.took / 2)
			b := ask(t.Context(), p, "s", nil)
			time.Sleep(c.took - c.took/2)
			synctest.Wait()
			if !a.done || a.err != nil || a.at != c.took || !b.done || a.batch != b.batch || a.batch.Samples[0].Value != float64(c.runs) {
				t.Errorf("after %s: answered after %s, %d runs, %v", c.pause, a.at, pl.count(), a.err)
			}
		}
		if len(m.runs("s")) != 4 {
			t.Errorf("%d batches came to the sink", len(m.runs("s")))
		}
	})
}

// A probe that comes when the slot does, or goes on over it, is not two runs.
func TestProbeAtTheSlot(t *testing.T) {
	inPool(t, 16, func(t *testing.T, p *Pool, m *memory) {
		pl := &player{play: lasting(2 * time.Second)}
		p.Reload(t.Context(), []*Script{probed("s", time.Minute, pl)}, 16)
		for _, early := range []time.Duration{0, time.Second} {
			time.Sleep(10 * time.Second)
			synctest.Wait()
			slot, before := p.Views()[0].Next, pl.count()
			time.Sleep(time.Until(slot) - early)
			a := ask(t.Context(), p, "s", nil)
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if !a.done || pl.count() != before+1 {
				t.Errorf("%s before the slot: %d runs", early, pl.count()-before)
			}
			if next := p.Views()[0].Next; !next.Equal(slot.Add(time.Minute)) {
				t.Errorf("%s before the slot: the next one is %s after it", early, next.Sub(slot))
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		runs := m.runs("s")
		if last := runs[len(runs)-1]; last.Run.Overruns != 1 {
			t.Errorf("%d overruns, want the slot that passed", last.Run.Overruns)
		}
	})
}

// Aligned slots stay where they are, and a probe before the first one does not
// wait for it.
func TestProbeAligned(t *testing.T) {
	inPool(t, 16, func(t *testing.T, p *Pool, m *memory) {
		pl := &player{play: lasting(time.Second)}
		s := probed("s", time.Minute, pl)
		s.aligned = true
		time.Sleep(20 * time.Second)
		p.Reload(t.Context(), []*Script{s}, 16)
		synctest.Wait()
		slot := p.Views()[0].Next
		a := ask(t.Context(), p, "s", nil)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !a.done || a.at != time.Second || pl.count() != 1 {
			t.Errorf("answered %t after %s, %d runs", a.done, a.at, pl.count())
		}
		time.Sleep(time.Until(slot.Add(time.Minute)))
		synctest.Wait()
		if pl.count() != 3 || !pl.starts[1].Equal(slot) || !pl.starts[2].Equal(slot.Add(time.Minute)) {
			t.Errorf("after the slot at %s it ran at %s", slot, pl.starts)
		}
	})
}

// Who cannot wait any longer leaves; the script's own run goes on.
func TestProbeDeadline(t *testing.T) {
	inPool(t, 16, func(t *testing.T, p *Pool, m *memory) {
		pl := &player{play: lasting(4 * time.Second)}
		p.Reload(t.Context(), []*Script{probed("s", time.Hour, pl)}, 16)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		a := ask(ctx, p, "s", nil)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if !errors.Is(a.err, context.DeadlineExceeded) || a.at != time.Second {
			t.Errorf("%v after %s", a.err, a.at)
		}
		if runs := m.runs("s"); len(runs) != 1 || runs[0].Run.Result != record.OK {
			t.Errorf("the run did not go on: %v", runs)
		}
	})
}

func TestProbeRefused(t *testing.T) {
	inPool(t, 16, func(t *testing.T, p *Pool, m *memory) {
		g := newProbeRunners(lasting(0))
		plain := &player{play: lasting(0)}
		p.Reload(t.Context(), []*Script{newTestScript("plain", time.Hour, plain), g.script(t, "{to: {pattern: '[a-z]+'}}")}, 16)
		synctest.Wait()
		var pe *config.ParameterError
		for name, query := range map[string]map[string][]string{"none": nil, "plain": to("x")} {
			if _, err := p.Probe(t.Context(), name, "", query); !errors.Is(err, ErrNoProbe) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, query := range []map[string][]string{nil, to("x", "y"), to("$(id)"), to("a\nb"), to("-x"), to(strings.Repeat("x", 2048)), to("a\x00")} {
			if _, err := p.Probe(t.Context(), "s", "", query); !errors.As(err, &pe) || pe.Name != "to" {
				t.Errorf("%q: %v", query, err)
			}
		}
		if plain.count() != 1 || len(g.started) != 0 {
			t.Errorf("a refused probe ran something: %d, %q", plain.count(), g.started)
		}
	})
}

// A value has a run of its own: shared by those who ask for the same, beside
// the others, and not put into the sink.
func TestProbeWithParameters(t *testing.T) {
	inPool(t, 4, func(t *testing.T, p *Pool, m *memory) {
		g := newProbeRunners(lasting(2 * time.Second))
		p.Reload(t.Context(), []*Script{g.script(t, "{to: {pattern: '[a-z]+', default: home}}")}, 4)
		time.Sleep(time.Minute)
		synctest.Wait()
		var all []*asked
		for i := range 40 {
			all = append(all, ask(t.Context(), p, "s", to([]string{"a", "b", "c", "home"}[i%4])))
		}
		time.Sleep(4 * time.Second) // two places, half of them all, for four commands
		synctest.Wait()
		for i, a := range all {
			if !a.done || a.err != nil || a.batch != all[i%4].batch || a.batch.Source.Name != "s" {
				t.Fatalf("asker %d: %t, %+v, %v", i, a.done, a.batch, a.err)
			}
		}
		slices.Sort(g.started)
		if got := fmt.Sprint(g.started); got != "[--to=a --to=b --to=c --to={to} --to={to}]" || g.most != 1 {
			t.Errorf("ran %s, %d of one at once", got, g.most)
		}
		if n := len(m.runs("s")); n != 2 { // the first one, and that of the defaults
			t.Errorf("%d batches came to the sink", n)
		}
		if g.closed != 3 {
			t.Errorf("%d Runners were closed", g.closed)
		}

		for i, value := range []string{"a", "b", "c"} {
			if age := time.Since(all[i].batch.Time); age < time.Second {
				again := ask(t.Context(), p, "s", to(value))
				synctest.Wait()
				if !again.done || again.batch != all[i].batch {
					t.Errorf("asked again within a second: %t, %+v", again.done, again.batch)
				}
			}
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		u, _ := p.supervisor.Get("s")
		if len(u.probeRuns) != 0 || u.inFlight != 0 {
			t.Errorf("%d flights are kept, %d under way", len(u.probeRuns), u.inFlight)
		}
	})
}

// A run goes on while somebody waits for it, and not longer. Who asks while it
// is being ended gets another one, after it.
func TestProbeAbandoned(t *testing.T) {
	inPool(t, 16, func(t *testing.T, p *Pool, _ *memory) {
		g := newProbeRunners(func(ctx context.Context, n int) *dialect.Result {
			turn := lasting(10*time.Second)(ctx, n)
			if ctx.Err() != nil {
				time.Sleep(2 * time.Second) // it does not end at once
			}
			return turn
		})
		p.Reload(t.Context(), []*Script{g.script(t, "{to: {pattern: '[a-z]+'}}")}, 16)
		first, leave := context.WithCancel(t.Context())
		second, leaveToo := context.WithCancel(t.Context())
		a, b := ask(first, p, "s", to("a")), ask(second, p, "s", to("a"))
		time.Sleep(time.Second)
		leave()
		time.Sleep(time.Second)
		synctest.Wait()
		if !errors.Is(a.err, context.Canceled) || b.done || g.cut != 0 {
			t.Errorf("one has left: %v, the other has %v; %d runs were cut", a.err, b.err, g.cut)
		}
		leaveToo()
		time.Sleep(time.Second)
		third := ask(t.Context(), p, "s", to("a"))
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if third.err != nil || !third.done || third.at != 11*time.Second || third.batch.Run.Result != record.OK {
			t.Errorf("the third was answered after %s: %v", third.at, third.err)
		}
		if len(g.started) != 2 || g.cut != 1 || g.most != 1 {
			t.Errorf("%d runs, %d cut, %d at once", len(g.started), g.cut, g.most)
		}
	})
}

func TestProbeIsBounded(t *testing.T) {
	inPool(t, 16, func(t *testing.T, p *Pool, _ *memory) {
		g := newProbeRunners(lasting(time.Second))
		p.Reload(t.Context(), []*Script{g.script(t, "{to: {pattern: '[0-9]+'}}")}, 16)
		var all []*asked
		for i := range 100 {
			all = append(all, ask(t.Context(), p, "s", to(fmt.Sprint(i))))
		}
		synctest.Wait()
		if p.Running() != 8 || p.Waiting() != probesMax-8 {
			t.Errorf("%d run, %d wait", p.Running(), p.Waiting())
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		busy := 0
		for _, a := range all {
			if errors.Is(a.err, ErrBusy) {
				busy++
			} else if !a.done || a.err != nil {
				t.Errorf("%t, %v", a.done, a.err)
			}
		}
		if busy != 100-probesMax {
			t.Errorf("%d were refused", busy)
		}
	})
}

// A reload gives those who wait to the new script, or sends them away; the end
// does that too, and ends the runs.
func TestProbeOverReload(t *testing.T) {
	inPool(t, 16, func(t *testing.T, p *Pool, m *memory) {
		hang := &player{play: lasting(time.Hour)}
		g := newProbeRunners(lasting(time.Hour))
		p.Reload(t.Context(), []*Script{probed("changes", time.Hour, hang), probed("goes", time.Hour, hang), g.script(t, "{to: {pattern: '[a-z]+'}}")}, 16)
		changes, goes := ask(t.Context(), p, "changes", nil), ask(t.Context(), p, "goes", nil)
		flight := ask(t.Context(), p, "s", to("a"))
		synctest.Wait()
		p.Reload(t.Context(), []*Script{probed("changes", time.Minute, &player{play: lasting(time.Second)})}, 16)
		time.Sleep(time.Second)
		synctest.Wait()
		if !changes.done || changes.err != nil || changes.batch != m.runs("changes")[0] {
			t.Errorf("the changed one: %t, %v", changes.done, changes.err)
		}
		if !errors.Is(goes.err, ErrNoProbe) || !errors.Is(flight.err, ErrNoProbe) || g.cut != 1 || g.closed != 2 {
			t.Errorf("the removed ones: %v, %v; %d cut, %d closed", goes.err, flight.err, g.cut, g.closed)
		}

		g = newProbeRunners(lasting(time.Hour))
		p.Reload(t.Context(), []*Script{probed("last", time.Hour, hang), g.script(t, "{to: {pattern: '[a-z]+'}}")}, 16)
		last, flight := ask(t.Context(), p, "last", nil), ask(t.Context(), p, "s", to("a"))
		synctest.Wait()
		p.Close()
		synctest.Wait()
		if !errors.Is(last.err, ErrStopped) || !errors.Is(flight.err, ErrStopped) || g.cut != 1 {
			t.Errorf("at the end: %v, %v; %d cut", last.err, flight.err, g.cut)
		}
		if _, err := p.Probe(t.Context(), "last", "", nil); !errors.Is(err, ErrStopped) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// A pool has ended only when the runs that requests asked for have, however long
// they take to.
func TestProbeIsWaitedFor(t *testing.T) {
	inPool(t, 16, func(t *testing.T, p *Pool, m *memory) {
		ended := false
		g := newProbeRunners(func(context.Context, int) *dialect.Result {
			time.Sleep(3 * time.Second) // it does not hear that it is to end
			ended = true
			return lasting(0)(context.Background(), 1)
		})
		p.Reload(t.Context(), []*Script{g.script(t, "{to: {pattern: '[a-z]+'}}")}, 16)
		ask(t.Context(), p, "s", to("a"))
		synctest.Wait()
		begin := time.Now()
		p.Close()
		if took := time.Since(begin); !ended || took != 3*time.Second {
			t.Errorf("the pool has ended after %s; the run has: %t", took, ended)
		}
	})
}

// A script whose parameter has no default runs when it is probed and at no
// other time.
func TestProbeOnly(t *testing.T) {
	inPool(t, 16, func(t *testing.T, p *Pool, m *memory) {
		g := newProbeRunners(lasting(time.Second))
		p.Reload(t.Context(), []*Script{g.script(t, "{to: {pattern: '[a-z]+', default: home}}")}, 16)
		time.Sleep(time.Minute)
		p.Reload(t.Context(), []*Script{g.script(t, "{to: {pattern: '[a-z]+'}}")}, 16)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if len(g.started) != 1 || len(p.Late()) > 0 {
			t.Errorf("ran %q; ready: %t", g.started, len(p.Late()) == 0)
		}
		if !m.has("s", func(b *record.Batch) bool { return b.Gone }) {
			t.Error("what it said when it had a schedule still stands")
		}
		v, _ := p.View("s")
		if v.State != Idle || !v.Next.IsZero() || v.Last != nil {
			t.Errorf("it is %s, due %s, last %v", v.State, v.Next, v.Last)
		}
		a := ask(t.Context(), p, "s", to("away"))
		time.Sleep(time.Second)
		synctest.Wait()
		v, _ = p.View("s")
		if a.err != nil || v.Last == nil || v.Last.Result != record.OK || v.Output != nil || v.State != Idle {
			t.Errorf("after a probe: %v, %+v", a.err, v.Last)
		}
		if len(m.runs("s")) != 1 {
			t.Errorf("%d batches came to the sink", len(m.runs("s")))
		}
	})
}

// Probes are kept for people: who asked for what, and what became of it, the newest
// first, no more than some. What such a run wrote to standard error is its own.
func TestProbesAreKept(t *testing.T) {
	inPool(t, 4, func(t *testing.T, p *Pool, m *memory) {
		g := newProbeRunners(lasting(time.Second))
		p.Reload(t.Context(), []*Script{g.script(t, "{to: {pattern: '[a-z]+'}}")}, 4)
		for i := range probesShown + 3 {
			if _, err := p.Probe(t.Context(), "s", fmt.Sprint("asker ", i), to("x"+string(rune('a'+i)))); err != nil {
				t.Fatal(err)
			}
		}
		_, _ = p.Probe(t.Context(), "s", strings.Repeat("z", 1000), map[string][]string{"to": {"1"}, "other": {"secret"}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, _ = p.Probe(ctx, "s", "hasty", to("slow"))
		v, _ := p.View("s")
		if len(v.Probes) != probesShown {
			t.Fatalf("%d are kept", len(v.Probes))
		}
		hasty, refused, last := v.Probes[0], v.Probes[1], v.Probes[2]
		if hasty.From != "hasty" || hasty.Parameters != "to=slow" || hasty.Run != nil || !errors.Is(hasty.Err, context.DeadlineExceeded) {
			t.Errorf("who did not wait: %+v", hasty)
		}
		if refused.Parameters != "to=1" || refused.Run != nil || refused.Err == nil || len(refused.From) > probeFromMost+len("…") {
			t.Errorf("who was refused: %+v", refused)
		}
		if last.From != "asker 22" || last.Parameters != "to=xw" || last.Run == nil || last.Run.Result != record.OK || last.Err != nil {
			t.Errorf("the last one: %+v", last)
		}
	})
}

// A script is run before it is due when somebody says so, whether it may be probed or
// not, and its schedule stays as it was.
func TestRunNow(t *testing.T) {
	inPool(t, 1, func(t *testing.T, p *Pool, m *memory) {
		pl := &player{play: lasting(2 * time.Second)}
		p.Reload(t.Context(), []*Script{newTestScript("s", time.Minute, pl), newTestScript("other", time.Hour, &player{play: lasting(40 * time.Second)})}, 1)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		v, _ := p.View("s")
		before, slot := pl.count(), v.Next
		time.Sleep(time.Until(slot) - 20*time.Second)
		for i, want := range []error{nil, ErrRunning} {
			if err := p.RunNow("s"); !errors.Is(err, want) {
				t.Errorf("time %d: %v", i, err)
			}
			synctest.Wait()
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if v, _ := p.View("s"); pl.count() != before+1 || !v.Next.Equal(slot) {
			t.Errorf("%d runs, the next one %s after the slot", pl.count()-before, v.Next.Sub(slot))
		}
		for range 3 { // who asks twice at once asks once
			_ = p.RunNow("s")
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if pl.count() != before+2 {
			t.Errorf("%d runs", pl.count()-before)
		}
		_ = p.RunNow("other")
		synctest.Wait()
		_ = p.RunNow("s")
		synctest.Wait()
		if err := p.RunNow("s"); !errors.Is(err, ErrWaiting) {
			t.Errorf("behind another one: %v", err)
		}
		if err := p.RunNow("none"); !errors.Is(err, ErrNoScript) {
			t.Errorf("none: %v", err)
		}
	})
	inPool(t, 1, func(t *testing.T, p *Pool, _ *memory) {
		if p.Close(); !errors.Is(p.RunNow("s"), ErrStopped) {
			t.Error("a pool that is closed runs something")
		}
	})
}
