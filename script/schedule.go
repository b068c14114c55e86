package script

import (
	"hash/fnv"
	"time"
)

// schedule gives the slots of one script: every interval, at an offset that
// spreads scripts over the interval and is the same for a name at every start.
// Slots are counted from base by the monotonic clock, so that a step of the
// wall clock neither skips nor doubles a run.
type schedule struct {
	base   time.Time // carries a monotonic reading
	offset uint64
}

func newSchedule(base time.Time, name string) schedule {
	h := fnv.New64a()
	h.Write([]byte(name))
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

// following gives the first slot after the one that was due, and how many
// slots had already passed by now and are skipped.
func (s schedule) following(due, now time.Time, interval time.Duration) (next time.Time, skipped int) {
	next = s.after(due.Add(1), interval)
	if next.Before(now) {
		skipped = int((now.Sub(next)-1)/interval) + 1
		next = next.Add(time.Duration(skipped) * interval)
	}
	return next, skipped
}
