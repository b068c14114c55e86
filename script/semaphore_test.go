package script

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// flood has clients ask for runs that last, one after the other, until the context
// ends: each client for values of its own, and for all scripts by turns that have
// no parameters.
func flood(ctx context.Context, p *Pool, clients int, own []string) *sync.WaitGroup {
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				name, query := "s", to(fmt.Sprintf("%d%06d", i, n))
				if len(own) > 0 && i%2 == 0 {
					name, query = own[(i/2+n)%len(own)], nil
				}
				if _, err := p.Probe(ctx, name, "", query); err != nil {
					time.Sleep(500 * time.Millisecond)
				}
			}
		})
	}
	return &all
}

// Eighty clients that probe without a pause cost the schedule nothing: each slot of
// a script has its turn, at the slot, whether the clients ask for values of their own
// or for the own runs of other scripts.
func TestProbeFloodCostsNoTurn(t *testing.T) {
	for _, places := range []int{2, 3, 4, 16} {
		for _, others := range []int{0, 40} {
			t.Run(fmt.Sprintf("%d places, %d other scripts", places, others), func(t *testing.T) {
				inPool(t, places, func(t *testing.T, p *Pool, m *memory) {
					g := newProbeRunners(lasting(3 * time.Second))
					pl := &player{play: lasting(500 * time.Millisecond)}
					scripts := []*Script{newTestScript("turns", 2*time.Second, pl), g.script(t, "{to: {pattern: '[0-9]+'}}")}
					var own []string
					for i := range others {
						own = append(own, fmt.Sprintf("own-%d", i))
						scripts = append(scripts, probed(own[i], 24*time.Hour, &player{play: lasting(3 * time.Second)}))
					}
					p.Reload(t.Context(), scripts, places)
					time.Sleep(10 * time.Minute) // the first turns of all are over
					synctest.Wait()
					before, probes := pl.count(), g.count()
					ctx, cancel := context.WithCancel(t.Context())
					clients := flood(ctx, p, 80, own)
					time.Sleep(2 * time.Minute)
					synctest.Wait()
					if n := pl.count() - before; n != 60 {
						t.Errorf("%d turns of 60 slots", n)
					}
					for _, b := range m.runs("turns")[before:] {
						if b.Run.Wait != 0 || b.Run.Overruns != 0 {
							t.Fatalf("a turn waited %s; %d slots were skipped", b.Run.Wait, b.Run.Overruns)
						}
					}
					if n := g.count() - probes; others == 0 && n < places/2*38 || n == 0 {
						t.Errorf("%d probes ran", n)
					}
					cancel()
					clients.Wait()
				})
			})
		}
	}
}

// Where there is one place, the schedule waits for the run that has it, and for no
// other; those who probe have it in between.
func TestProbeFloodOnePlace(t *testing.T) {
	inPool(t, 1, func(t *testing.T, p *Pool, m *memory) {
		g := newProbeRunners(lasting(3 * time.Second))
		a, b := &player{play: lasting(time.Second)}, &player{play: lasting(time.Second)}
		p.Reload(t.Context(), []*Script{newTestScript("a", time.Minute, a), newTestScript("b", time.Minute, b), g.script(t, "{to: {pattern: '[0-9]+'}}")}, 1)
		time.Sleep(2 * time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		clients := flood(ctx, p, 80, nil)
		time.Sleep(8 * time.Minute)
		synctest.Wait()
		for name, pl := range map[string]*player{"a": a, "b": b} {
			if n := pl.count(); n < 10 || n > 12 {
				t.Errorf("%d turns of %s in 10 minutes", n, name)
			}
			for _, r := range m.runs(name) {
				if r.Run.Wait > 4*time.Second || r.Run.Overruns != 0 { // a probe, and the other one
					t.Fatalf("a turn of %s waited %s; %d slots were skipped", name, r.Run.Wait, r.Run.Overruns)
				}
			}
		}
		if g.count() < 130 {
			t.Errorf("%d probes ran in 8 minutes", g.count())
		}
		cancel()
		clients.Wait()
	})
}

// A run that was asked for early waits behind the schedule until its own slot, and
// is a turn from then on.
func TestAskedRunBecomesDue(t *testing.T) {
	inPool(t, 2, func(t *testing.T, p *Pool, m *memory) {
		g := newProbeRunners(lasting(time.Hour))
		pl := &player{play: lasting(time.Second)}
		p.Reload(t.Context(), []*Script{probed("own", time.Minute, pl), g.script(t, "{to: {pattern: '[a-z]+'}}")}, 2)
		time.Sleep(90 * time.Second)
		synctest.Wait()
		time.Sleep(time.Until(p.Views()[0].Next) + 5*time.Second) // so that the next slot is far enough
		synctest.Wait()
		ask(t.Context(), p, "s", to("a")) // has the one place that there is for requests
		if next := time.Until(p.Views()[0].Next); next < 15*time.Second {
			time.Sleep(next + 10*time.Second)
			synctest.Wait()
		}
		slot, before := p.Views()[0].Next, pl.count()
		time.Sleep(time.Until(slot) - 10*time.Second)
		a := ask(t.Context(), p, "own", nil)
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if a.done || pl.count() != before || p.Waiting() != 1 {
			t.Errorf("answered %t, %d runs, %d wait", a.done, pl.count()-before, p.Waiting())
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if !a.done || a.err != nil || pl.count() != before+1 || !pl.last().Equal(slot) {
			t.Errorf("answered %t (%v), %d runs, the last at %s; the slot is %s", a.done, a.err, pl.count()-before, pl.last(), slot)
		}
		if runs := m.runs("own"); runs[len(runs)-1].Run.Wait != 0 {
			t.Errorf("the turn waited %s", runs[len(runs)-1].Run.Wait)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if runs := m.runs("own"); pl.count() != before+2 || runs[len(runs)-1].Run.Overruns != 0 {
			t.Errorf("%d runs, %d overruns", pl.count()-before, runs[len(runs)-1].Run.Overruns)
		}
	})
}

// Who has a script probed with many values at once keeps no other script's probes
// waiting for longer than one run, however few places there are for them.
func TestProbesByTurns(t *testing.T) {
	for _, places := range []int{1, 2, 4, 5} {
		t.Run(fmt.Sprint(places), func(t *testing.T) {
			inPool(t, places, func(t *testing.T, p *Pool, _ *memory) {
				const slow = 3 * time.Second
				g, pl := newProbeRunners(lasting(slow)), &player{play: lasting(0)}
				p.Reload(t.Context(), []*Script{g.script(t, "{to: {pattern: '[0-9]+'}}"), probed("quick", 24*time.Hour, pl)}, places)
				time.Sleep(10 * time.Minute)
				for range 3 {
					ctx, cancel := context.WithCancel(t.Context())
					var all sync.WaitGroup
					for i := range probesMax {
						all.Go(func() { _, _ = p.Probe(ctx, "s", "", to(fmt.Sprint(i))) })
					}
					synctest.Wait()
					begin := time.Now()
					if _, err := p.Probe(t.Context(), "quick", "", nil); err != nil || time.Since(begin) > slow {
						t.Errorf("another script's probe took %s, %v", time.Since(begin), err)
					}
					cancel()
					all.Wait()
					time.Sleep(time.Minute)
				}
			})
		})
	}
}

// Who leaves while waiting leaves no place taken, and nobody behind waits for it;
// a smaller number of places counts from the next on.
func TestSemaphore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newSemaphore(4)
		for range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			var mine [12]*permit
			var all sync.WaitGroup
			for i := range mine {
				all.Go(func() {
					if i%2 == 0 {
						mine[i] = p.acquire(ctx)
					} else {
						mine[i] = p.acquireForRequest(ctx, "s", nil)
					}
				})
			}
			all.Wait()
			got := 0
			for _, m := range mine {
				if m != nil {
					got++
				}
			}
			if taken, waiting := p.count(); got != 4 || taken != 4 || waiting != 0 {
				t.Errorf("%d have a place; %d are taken, %d wait", got, taken, waiting)
			}
			for _, m := range mine {
				if m != nil {
					m.release()
				}
			}
			cancel()
		}
		a, b := p.acquireForRequest(t.Context(), "s", nil), p.acquireForRequest(t.Context(), "s", nil)
		p.resize(2)
		a.release()
		c := make(chan *permit)
		go func() { c <- p.acquireForRequest(t.Context(), "s", nil) }()
		synctest.Wait()
		if taken, waiting := p.count(); taken != 1 || waiting != 1 {
			t.Errorf("after the resize %d are taken, %d wait", taken, waiting)
		}
		b.release()
		(<-c).release()
		if taken, waiting := p.count(); taken != 0 || waiting != 0 {
			t.Errorf("at the end %d are taken, %d wait", taken, waiting)
		}
	})
}
