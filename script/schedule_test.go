package script

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/internal/crontab"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
)

func alignedScript(name string, interval time.Duration, p *player) *Script {
	s := newTestScript(name, interval, p)
	s.aligned = true
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
		slot, skipped := (&schedule{aligned: true}).next(due, due.Add(c.ended), interval, false)
		if got := slot.Sub(due); got != c.next || skipped != c.skipped {
			t.Errorf("ended after %s: next after %s, %d skipped; want %s, %d", c.ended, got, skipped, c.next, c.skipped)
		}
	}
	if got := (&schedule{aligned: true}).begin(due, interval).Sub(due); got != interval {
		t.Errorf("begun at a slot: first after %s", got)
	}
}

// cronScript is one that runs when cron would run it.
func cronScript(t *testing.T, schedule string, p *player) *Script {
	t.Helper()
	c, err := crontab.Parse(schedule)
	if err != nil {
		t.Fatal(err)
	}
	s := newTestScript("s", 0, p)
	s.Cron, s.cron = schedule, c
	return s
}

// startsIn gives when a player was started, by the clock of a zone.
func startsIn(p *player, zone string) (starts []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	loc, _ := time.LoadLocation(zone)
	for _, at := range p.starts {
		starts = append(starts, at.In(loc).Format("02 15:04:05"))
	}
	return starts
}

// A script with cron runs at its minutes, on every host alike, not at the start, and
// is never late before its first run. A run that goes on for too long costs the
// turns that pass meanwhile. Its values stay until the run after the next one.
func TestCron(t *testing.T) {
	inPool(t, 16, func(t *testing.T, p *Pool, m *memory) { // from 2000-01-01 00:00:00 UTC
		g := &player{play: func(ctx context.Context, n int) *dialect.Result {
			if n == 2 {
				return lasting(21*time.Minute)(ctx, n)
			}
			return lasting(time.Second)(ctx, n)
		}}
		p.Reload(t.Context(), []*Script{cronScript(t, "TZ=UTC 0,10 8,9 * * *", g)}, 16)
		time.Sleep(7 * time.Hour)
		synctest.Wait()
		v, _ := p.View("s")
		if got := v.Next.UTC().Format("15:04:05.000"); v.State != Idle || got != "08:00:00.000" || len(p.Late()) > 0 || p.Stalled(time.Minute) != "" {
			t.Errorf("before its first run it is %s, due %s; late are %q", v.State, got, p.Late())
		}
		time.Sleep(25*time.Hour + time.Minute)
		synctest.Wait()
		if got, want := fmt.Sprint(startsIn(g, "UTC")), "[01 08:00:00 01 08:10:00 01 09:00:00 01 09:10:00 02 08:00:00]"; got != want {
			t.Errorf("started at %s\nwant %s", got, want)
		}
		var got []string
		for _, b := range m.runs("s") {
			got = append(got, fmt.Sprint(b.Run.Interval, " ", b.MaxAge, " ", b.Run.Overruns))
		}
		want := []string{"10m0s 1h0m5s 0", "50m0s 1h0m5s 0", "10m0s 23h0m5s 0", "22h50m0s 23h0m5s 0", "10m0s 1h0m5s 0"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("interval, max_age and overruns (-want +got):\n%s", diff)
		}
	})
}

// Turns that pass while the script runs are counted.
func TestCronOverruns(t *testing.T) {
	inPool(t, 16, func(t *testing.T, p *Pool, m *memory) {
		g := &player{play: lasting(150 * time.Second)}
		p.Reload(t.Context(), []*Script{cronScript(t, "TZ=UTC * * * * *", g)}, 16)
		time.Sleep(8*time.Minute + time.Second)
		synctest.Wait()
		if got, want := fmt.Sprint(startsIn(g, "UTC")), "[01 00:01:00 01 00:04:00 01 00:07:00]"; got != want {
			t.Errorf("started at %s\nwant %s", got, want)
		}
		if v, _ := p.View("s"); v.Overruns != 2 {
			t.Errorf("%d overruns", v.Overruns)
		}
	})
}

// Summer time: what is skipped runs once, as much later; what comes twice runs once.
func TestCronSummerTime(t *testing.T) {
	inPool(t, 16, func(t *testing.T, p *Pool, _ *memory) {
		time.Sleep(time.Until(time.Date(2000, 3, 25, 12, 0, 0, 0, time.UTC)))
		g := &player{play: lasting(time.Second)}
		p.Reload(t.Context(), []*Script{cronScript(t, "CRON_TZ=Europe/Berlin 30 2 * * *", g)}, 16)
		time.Sleep(2 * 24 * time.Hour)
		synctest.Wait()
		if got, want := fmt.Sprint(startsIn(g, "Europe/Berlin")), "[26 03:30:00 27 02:30:00]"; got != want {
			t.Errorf("in spring started at %s\nwant %s", got, want)
		}
		time.Sleep(time.Until(time.Date(2000, 10, 28, 12, 0, 0, 0, time.UTC)))
		synctest.Wait()
		before := g.count()
		time.Sleep(2 * 24 * time.Hour)
		synctest.Wait()
		if got, want := fmt.Sprint(startsIn(g, "Europe/Berlin")[before:]), "[29 02:30:00 30 02:30:00]"; got != want {
			t.Errorf("in autumn started at %s\nwant %s", got, want)
		}
	})
}

// A clock that is set changes what is due, but a step back of a moment doubles no
// run.
func TestCronClockIsSet(t *testing.T) {
	c, err := crontab.Parse("TZ=UTC 0 2 * * *")
	if err != nil {
		t.Fatal(err)
	}
	at := func(day, hour, minute int) time.Time { return time.Date(2026, 11, day, hour, minute, 0, 0, time.UTC) }
	for _, tt := range []struct {
		now, want time.Time
	}{
		{at(26, 3, 0), at(27, 2, 0)},
		{at(26, 1, 59), at(27, 2, 0)}, // a minute back
		{at(20, 12, 0), at(21, 2, 0)}, // days back
		{at(30, 12, 0), at(27, 2, 0)}, // forward: it is due now
	} {
		s := &schedule{cron: c}
		if got, _ := s.next(at(26, 2, 0), at(26, 2, 0), 0, false); got != at(27, 2, 0) {
			t.Fatal(got)
		}
		if got := s.corrected(at(27, 2, 0), tt.now); !got.Equal(tt.want) {
			t.Errorf("at %s it is due %s, want %s", tt.now, got, tt.want)
		}
	}
	// Forward by years: it runs once and goes on.
	s := &schedule{cron: c}
	if got, skipped := s.next(at(26, 2, 0), at(26, 2, 0).AddDate(60, 0, 1), 0, false); !got.Equal(at(28, 2, 0).AddDate(60, 0, 0)) || skipped != 10_000 {
		t.Errorf("next %s, %d skipped", got, skipped)
	}
}

// A probe before the first turn is a run of the script's own, and the schedule stays.
func TestCronProbe(t *testing.T) {
	inPool(t, 16, func(t *testing.T, p *Pool, m *memory) {
		g := &player{play: lasting(time.Second)}
		s := cronScript(t, "TZ=UTC 0 8 * * *", g)
		s.Probe = true
		p.Reload(t.Context(), []*Script{s}, 16)
		time.Sleep(time.Hour)
		if a, err := p.Probe(t.Context(), "s", "", nil); err != nil || a.Batch.Run.Result != record.OK || a.Batch.Run.Interval != 24*time.Hour {
			t.Errorf("%+v, %v", a, err)
		}
		time.Sleep(8 * time.Hour)
		synctest.Wait()
		if got, want := fmt.Sprint(startsIn(g, "UTC")), "[01 01:00:00 01 08:00:00]"; got != want {
			t.Errorf("started at %s\nwant %s", got, want)
		}
	})
}
