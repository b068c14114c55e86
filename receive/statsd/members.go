package statsd

import (
	"maps"
	"math"
	"time"
)

const (
	// maxMembers are kept of one set, maxMembersAll of all of them, but for
	// minMembers that every set may have.
	maxMembers    = 4096
	maxMembersAll = 1 << 18
	minMembers    = 16
	// setWindow is what a set looks back on.
	setWindow = time.Minute
)

// members are the distinct members of a set in the last minute, by their
// hashes. Past the bounds only every second, fourth, eighth … hash is kept and
// stands for as many: the count is then right to some 2 %.
type members struct {
	hashes
	// next begins when hashes are left out, and takes over a minute later, when
	// it knows of all of them: so that a set that has shrunk is exact again.
	next      *hashes
	nextSince time.Duration
}

// hashes are hashes and when each was last seen, since some start.
type hashes struct {
	seen  map[uint64]time.Duration
	most  int  // that seen has room for
	level uint // only hashes with as many zeros at the end are kept
}

// size is how many hashes are kept.
func (s *members) size() int {
	if s.next != nil {
		return len(s.seen) + len(s.next.seen)
	}
	return len(s.seen)
}

func (s *members) add(hash uint64, now time.Duration, full bool) {
	s.hashes.add(hash, now, full)
	if s.level == 0 {
		return
	}
	if s.next == nil {
		s.next, s.nextSince = new(hashes), now
	}
	s.next.add(hash, now, full)
}

// count forgets what is older than the window, and says how many members
// there are.
func (s *members) count(now time.Duration) float64 {
	s.forget(now)
	if s.next != nil {
		s.next.forget(now)
		if now-s.nextSince >= setWindow {
			s.hashes, s.next = *s.next, nil
		}
	}
	if len(s.seen) == 0 && s.next == nil {
		s.level = 0
	}
	return math.Ldexp(float64(len(s.seen)), int(s.level))
}

func (h *hashes) add(hash uint64, now time.Duration, full bool) {
	if h.seen == nil {
		h.seen = make(map[uint64]time.Duration)
	}
	if !h.keeps(hash) {
		return
	}
	h.seen[hash] = now
	for len(h.seen) > maxMembers || full && len(h.seen) > minMembers {
		h.level++
		for old := range h.seen {
			if !h.keeps(old) {
				delete(h.seen, old)
			}
		}
		full = false
	}
}

func (h *hashes) keeps(hash uint64) bool { return hash&(1<<h.level-1) == 0 }

// forget forgets what is older than the window, and gives back the room of
// what was many times as much.
func (h *hashes) forget(now time.Duration) {
	h.most = max(h.most, len(h.seen))
	for hash, at := range h.seen {
		if now-at >= setWindow {
			delete(h.seen, hash)
		}
	}
	if h.most > minMembers && len(h.seen) < h.most/8 {
		seen := make(map[uint64]time.Duration, len(h.seen))
		maps.Copy(seen, h.seen)
		h.seen, h.most = seen, len(seen)
	}
}
