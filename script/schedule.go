package script

import (
	"hash/fnv"
	"time"
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
}

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

// begin gives the time of the first run: at once, or at the first multiple
// of the interval.
func (s schedule) begin(now time.Time, interval time.Duration) time.Time {
	if s.aligned {
		return multipleAfter(now, interval)
	}
	return now
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
func (s schedule) next(due, now time.Time, interval time.Duration, first bool) (slot time.Time, skipped int) {
	if s.aligned {
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
