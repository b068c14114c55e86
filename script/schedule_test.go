package script

import (
	"testing"
	"testing/synctest"
	"time"
)

func alignedScript(name string, interval time.Duration, p *player) *Script {
	s := newTestScript(name, interval, p)
	s.traits.Aligned = true
	return s
}

// Aligned scripts run at multiples of their interval since the epoch, the
// first run too; a slow run passes over slots and never catches up.
func TestAligned(t *testing.T) {
	inPool(t, 16, func(t *testing.T, p *Pool, m *memory) {
		time.Sleep(7*time.Second + 13*time.Millisecond)
		quick, slow := &player{play: lasting(time.Second)}, &player{play: lasting(65 * time.Second)}
		begin := time.Now()
		p.Reload(t.Context(), []*Script{alignedScript("quick", 30*time.Second, quick), alignedScript("slow", 30*time.Second, slow)}, 16)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		for i, start := range quick.starts {
			if start.UnixNano()%int64(30*time.Second) != 0 {
				t.Fatalf("run %d began at %s", i, start)
			}
		}
		if first := quick.starts[0].Sub(begin); first <= 0 || first > 30*time.Second {
			t.Errorf("the first run came after %s", first)
		}
		if n := quick.count(); n != 20 {
			t.Errorf("%d runs in 10 minutes", n)
		}
		// 65 s pass over two slots, and the third is the next.
		runs := m.runs("slow")
		for i, b := range runs[1:] {
			if gap := slow.starts[i+1].Sub(slow.starts[i]); gap != 90*time.Second || b.Run.Overruns != 2 {
				t.Errorf("run %d came %s after the one before, with %d overruns", i+1, gap, b.Run.Overruns)
			}
		}
		for _, b := range m.runs("quick") {
			if b.Run.Overruns != 0 {
				t.Errorf("%d overruns of a quick script", b.Run.Overruns)
			}
		}
	})
}

// The wall clock may be set: slots are those of the clock after the run, and
// none comes less than half an interval after the one before.
func TestAlignedClockSteps(t *testing.T) {
	const interval = 30 * time.Second
	due := time.Unix(1_700_000_010, 0) // a multiple
	for _, c := range []struct {
		ended   time.Duration // after due, by the clock
		next    time.Duration
		skipped int
	}{
		{time.Second, interval, 0},
		{0, interval, 0},
		{29 * time.Second, interval, 0},
		{interval, 2 * interval, 1}, // a slot that is now has passed: the run is over only now
		{65 * time.Second, 3 * interval, 2},
		{-5 * time.Millisecond, interval, 0}, // set back a little while it ran
	} {
		slot, skipped := schedule{aligned: true}.next(due, due.Add(c.ended), interval, false)
		if got := slot.Sub(due); got != c.next || skipped != c.skipped {
			t.Errorf("ended after %s: next after %s, %d skipped; want %s, %d", c.ended, got, skipped, c.next, c.skipped)
		}
	}
	if got := (schedule{aligned: true}).begin(due, interval).Sub(due); got != interval {
		t.Errorf("begun at a slot: first after %s", got)
	}
}
