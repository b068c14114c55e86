package collectd

import (
	"fmt"
	"time"
)

// This file keeps out signed and encrypted packets that somebody has recorded and
// sends again: the protocol has nothing else than their time to tell them by.

// Reasons of what is kept out so.
const (
	tooOld   = "too_old"
	tooNew   = "too_new"
	replayed = "replayed"
)

// leastWindow is how far a sender's clock may be off, and how long a packet may wait
// for others at its sender, where the configuration sets no ttl.
const leastWindow = 5 * time.Minute

// window is how old, and how far ahead, what is secured may be.
func (m *merge) window(interval time.Duration) time.Duration {
	if m.ttl > 0 {
		return m.ttl
	}
	return max(m.age(interval), leastWindow)
}

// timely reports whether what is secured is of about now; what is not is kept out.
// The caller holds m.mu.
func (m *merge) timely(of *identifier, at time.Time, interval time.Duration, now time.Time) bool {
	window := m.window(interval)
	switch {
	case at.IsZero() && m.timed:
		m.keepOut(tooOld, fmt.Errorf("%s: it tells no time, so that it may have been sent before", of))
	case at.IsZero():
		return true
	case at.Before(now.Add(-window)):
		m.keepOut(tooOld, fmt.Errorf("%s: it is %v old, more than %v: it was sent before, or its sender's clock is behind", of, now.Sub(at).Round(time.Second), window))
	case at.After(now.Add(window)):
		m.keepOut(tooNew, fmt.Errorf("%s: it is %v ahead, more than %v: its sender's clock is wrong", of, at.Sub(now).Round(time.Second), window))
	default:
		return true
	}
	return false
}

// later reports whether a secured value is later than those before it; then it is
// the one to compare with, for as long as an older one would be timely.
func (s *series) later(at time.Time, window time.Duration) bool {
	switch {
	case at.IsZero():
		return true
	case !at.After(s.newest):
		return false
	}
	s.newest, s.known = at, at.Add(window)
	return true
}

// keepOutReplay keeps out what is no later than what came before. The caller holds m.mu.
func (m *merge) keepOutReplay(of *identifier) {
	m.keepOut(replayed, fmt.Errorf("%s: it is no later than what came before", of))
}

// keepOut counts what is not let in. The caller holds m.mu.
func (m *merge) keepOut(reason string, err error) {
	m.counts.Dropped(reason, 1)
	m.warn(reason, "something is not let in", err)
}
