package statsd

import (
	"maps"
	"math"
	"slices"
	"time"

	"scriptbridge/internal/floats"
)

const (
	// maxPoints are kept of one series between two flushes, maxPointsAll of all
	// of them, but for minPoints that every series may have.
	maxPoints    = 2048
	maxPointsAll = 1 << 18
	minPoints    = 32
)

// statsdPoints are the values observed of one series, each with its weight:
// equal ones are one, so that a sample rate costs nothing. Past the bounds
// neighbours become one too, with their weighted mean, so that count and sum
// stay as they were and a quantile moves by less than the width of a
// neighbourhood: 1/128 of the value, and twice that each time that this is
// still too fine. Values on two sides of a histogram's bound never become one.
type statsdPoints struct {
	list  []statsdPoint // ascending
	level int           // 0: the values as they are
}

type statsdPoint struct {
	bound         int32  // the histogram's bucket
	place         uint64 // among all values of that bucket
	value, weight float64
}

// maxPointsLevel leaves four places: below and above 0, near to it and far.
const maxPointsLevel = 18

// place maps values so that their order is that of numbers, and those that are
// neighbours at the level have the same.
func (p *statsdPoints) place(v float64) uint64 {
	bits := floats.Key(v)
	if p.level == 0 {
		return bits
	}
	shift := 52 - 7 + p.level - 1 // of the 52 bits behind the point 7 are left at level 1
	return bits >> shift << shift
}

func (p statsdPoint) compare(o statsdPoint) int {
	switch {
	case p.bound != o.bound:
		return int(p.bound - o.bound)
	case p.place < o.place:
		return -1
	case p.place > o.place:
		return 1
	}
	return 0
}

// add takes a finite value with a weight above 0. full says that all series
// together have as many as they may.
func (p *statsdPoints) add(v, weight float64, buckets []float64, full bool) {
	n := statsdPoint{place: p.place(v), value: v, weight: weight}
	if len(buckets) > 0 {
		i, _ := slices.BinarySearch(buckets, v)
		n.bound = int32(i)
	}
	i, found := slices.BinarySearchFunc(p.list, n, statsdPoint.compare)
	if found {
		p.list[i].join(n)
		return
	}
	p.list = slices.Insert(p.list, i, n)
	for (len(p.list) > maxPoints || full && len(p.list) > minPoints) && p.level < maxPointsLevel {
		p.coarsen()
	}
}

// join makes one of two neighbours. The mean lies between them whatever is
// rounded, so that it is in the same bucket.
func (p *statsdPoint) join(n statsdPoint) {
	weight := min(p.weight+n.weight, math.MaxFloat64)
	if p.value == n.value {
		p.weight = weight
		return
	}
	mean := p.value + (n.value-p.value)*(n.weight/weight)
	p.value = min(max(mean, min(p.value, n.value)), max(p.value, n.value))
	p.weight = weight
}

// coarsen goes up a level.
func (p *statsdPoints) coarsen() {
	p.level++
	kept := p.list[:0]
	for _, n := range p.list {
		n.place = p.place(n.value)
		if last := len(kept) - 1; last >= 0 && kept[last].compare(n) == 0 {
			kept[last].join(n)
		} else {
			kept = append(kept, n)
		}
	}
	p.list = kept
}

// clear forgets all, and gives back what is more than most series need.
func (p *statsdPoints) clear() {
	p.level, p.list = 0, p.list[:0]
	if cap(p.list) > 4*minPoints {
		p.list = nil
	}
}

const (
	// maxMembers are kept of one set, maxMembersAll of all of them, but for
	// minMembers that every set may have.
	maxMembers    = 4096
	maxMembersAll = 1 << 18
	minMembers    = 16
	// setWindow is what a set looks back on (spec/mapping.md, Families and
	// series).
	setWindow = time.Minute
)

// statsdMembers are the distinct members of a set in the last minute, by their
// hashes. Past the bounds only every second, fourth, eighth … hash is kept and
// stands for as many: the count is then right to some 2 %.
type statsdMembers struct {
	statsdHashes
	// next begins when hashes are left out, and takes over a minute later, when
	// it knows of all of them: so that a set that has shrunk is exact again.
	next      *statsdHashes
	nextSince time.Duration
}

// statsdHashes are hashes and when each was last seen, since some start.
type statsdHashes struct {
	seen  map[uint64]time.Duration
	most  int  // that seen has room for
	level uint // only hashes with as many zeros at the end are kept
}

// size is how many hashes are kept.
func (s *statsdMembers) size() int {
	if s.next != nil {
		return len(s.seen) + len(s.next.seen)
	}
	return len(s.seen)
}

func (s *statsdMembers) add(hash uint64, now time.Duration, full bool) {
	s.statsdHashes.add(hash, now, full)
	if s.level == 0 {
		return
	}
	if s.next == nil {
		s.next, s.nextSince = new(statsdHashes), now
	}
	s.next.add(hash, now, full)
}

// count forgets what is older than the window, and says how many members
// there are.
func (s *statsdMembers) count(now time.Duration) float64 {
	s.forget(now)
	if s.next != nil {
		s.next.forget(now)
		if now-s.nextSince >= setWindow {
			s.statsdHashes, s.next = *s.next, nil
		}
	}
	if len(s.seen) == 0 && s.next == nil {
		s.level = 0
	}
	return math.Ldexp(float64(len(s.seen)), int(s.level))
}

func (h *statsdHashes) add(hash uint64, now time.Duration, full bool) {
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

func (h *statsdHashes) keeps(hash uint64) bool { return hash&(1<<h.level-1) == 0 }

// forget forgets what is older than the window, and gives back the room of
// what was many times as much.
func (h *statsdHashes) forget(now time.Duration) {
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
