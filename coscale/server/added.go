package server

import (
	"hash/maphash"
	"time"
)

// addedPoint is a point of a series whose values add up.
type addedPoint struct {
	series uint64
	time   int64
}

// addedPoints remembers which points have been put, and whether all sinks took
// them, since clients repeat what was not answered and what was answered
// with 503. There are two generations: when the younger is full, or a day old,
// it becomes the elder and the elder is forgotten.
type addedPoints struct {
	seed       maphash.Seed
	young, old map[addedPoint]bool // taken by all
	since      time.Time           // of young
}

const (
	maxAdded = 200_000 // of a generation
	addedFor = 24 * time.Hour
)

func (a *addedPoints) find(p addedPoint) (put, taken bool) {
	if taken, put = a.young[p]; !put {
		taken, put = a.old[p]
	}
	return put, taken
}

func (a *addedPoints) keep(points map[addedPoint]struct{}, taken bool, now time.Time) {
	for p := range points {
		if a.young == nil || len(a.young) >= maxAdded || now.Sub(a.since) >= addedFor {
			a.old, a.young, a.since = a.young, make(map[addedPoint]bool), now
		}
		a.young[p] = taken
	}
}
