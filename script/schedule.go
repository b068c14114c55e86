package script

import (
	"hash/fnv"
	"time"

	"scriptbridge/internal/crontab"
)

// schedule gives the slots of one script: every interval, at an offset that
// spreads scripts over the interval, and hosts too: what one script asks of a
// database, a thousand hosts must not ask in the same second. It is the same for a
// host and a name at every start.
// Slots are counted from base by the monotonic clock, so that a step of the
// wall clock neither skips nor doubles a run. Aligned ones are at multiples of
// the interval since the epoch, by the wall clock as it stands at the end of
// each run; the wait for one is measured by the monotonic clock too, so that
// a step of the wall clock costs at most one slot.
type schedule struct {
	base    time.Time // carries a monotonic reading
	offset  uint64
	aligned bool
	// cron, if not nil, gives the slots instead: times of the wall clock, which are
	// waited for by it. since is when it was last seen to be right: the last slot,
	// or the start.
	cron  *crontab.Schedule
	since time.Time
}

// clockBack is how far a clock may be set back before the times that it shows once
// more are slots again: a nightly run is not doubled by a step of a second, and one
// that was worked out by a clock in a far year does not wait for that.
const clockBack = time.Hour

func newSchedule(base time.Time, host, name string) schedule {
	h := fnv.New64a()
	h.Write([]byte(host + "\x00" + name))
	// FNV's high bits hardly differ for short names; fold them.
	sum := h.Sum64()
	sum ^= sum >> 32
	sum *= 0x9e3779b97f4a7c15
	return schedule{base: base, offset: sum}
}

// after gives the first slot at or after t.
func (s schedule) after(t time.Time, interval time.Duration) time.Time {
	// The slots of one name keep their place in the minute over restarts,
	// since they are counted from the epoch as the wall clock stood at base.
	phase := time.Duration(s.offset % uint64(interval))
	phase -= time.Duration(s.base.UnixNano() % int64(interval))
	since := t.Sub(s.base) - phase
	n := since / interval
	if since > 0 && since%interval != 0 {
		n++
	}
	return s.base.Add(phase + n*interval)
}

// begin gives the time of the first run: at once, at the first multiple of the
// interval, or when cron would run it.
func (s *schedule) begin(now time.Time, interval time.Duration) time.Time {
	s.since = now.Round(0) // by the wall clock
	switch {
	case s.cron != nil:
		return s.cron.Next(now)
	case s.aligned:
		return multipleAfter(now, interval)
	}
	return now
}

// nap is how long to sleep at once until due. The wait for a time of the wall clock
// is looked at each minute: the clock may be set, and the machine may sleep.
func (s *schedule) nap(due time.Time) time.Duration {
	d := time.Until(due)
	if s.cron != nil {
		d = min(d, time.Minute)
	}
	return d
}

// corrected gives the slot to wait for where it was due, as the clock stands now.
func (s *schedule) corrected(due, now time.Time) time.Time {
	if s.cron == nil || !now.Before(s.since.Add(-clockBack)) {
		return due
	}
	s.since = now
	return s.cron.Next(now)
}

// nextOfCron is next for slots of a wall clock.
func (s *schedule) nextOfCron(due, now time.Time) (slot time.Time, skipped int) {
	const counted = 10_000 // of a clock that was set forward by years
	s.since = due
	for slot = s.cron.Next(due); slot.Before(now); slot = s.cron.Next(slot) {
		if skipped++; skipped == counted {
			return s.cron.Next(now), skipped
		}
	}
	return slot, skipped
}

// multipleAfter gives the first multiple of interval since the epoch after t.
func multipleAfter(t time.Time, interval time.Duration) time.Time {
	return t.Add(interval - time.Duration(t.UnixNano()%int64(interval)))
}

// nextAligned is next for aligned slots. A wall clock that was set back a
// little must not double a run.
func (s schedule) nextAligned(due, now time.Time, interval time.Duration) (slot time.Time, skipped int) {
	since := now.Sub(due)
	return multipleAfter(now.Add(max(0, interval/2-since)), interval), int(since / interval)
}

// next gives the slot after the one that was due, and how many slots had
// passed already by now and are skipped. A first run was due at no slot: it is
// followed by the first one that is at least half an interval later.
func (s *schedule) next(due, now time.Time, interval time.Duration, first bool) (slot time.Time, skipped int) {
	switch {
	case s.cron != nil:
		return s.nextOfCron(due, now)
	case s.aligned:
		return s.nextAligned(due, now, interval)
	}
	earliest := due.Add(1)
	if first {
		earliest = due.Add(interval / 2)
	}
	slot = s.after(earliest, interval)
	if slot.Before(now) {
		skipped = int((now.Sub(slot)-1)/interval) + 1
		slot = slot.Add(time.Duration(skipped) * interval)
	}
	return slot, skipped
}
