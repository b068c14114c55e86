package coscale

import (
	"hash/maphash"
	"time"
)

// addedPoint is a point of a series whose values add up.
type addedPoint struct {
	series uint64
	time   int64
}

// addedPoints remembers which points have been added, since clients repeat what
// was not answered (5). There are two generations: when the younger is full, or
// a day old, it becomes the elder and the elder is forgotten.
type addedPoints struct {
	seed       maphash.Seed
	young, old map[addedPoint]struct{}
	since      time.Time // of young
}

const (
	maxAdded = 200_000 // of a generation
	addedFor = 24 * time.Hour
)

func (a *addedPoints) has(p addedPoint) bool {
	_, young := a.young[p]
	_, old := a.old[p]
	return young || old
}

func (a *addedPoints) keep(points map[addedPoint]struct{}, now time.Time) {
	for p := range points {
		if a.young == nil || len(a.young) >= maxAdded || now.Sub(a.since) >= addedFor {
			a.old, a.young, a.since = a.young, make(map[addedPoint]struct{}), now
		}
		a.young[p] = struct{}{}
	}
}
