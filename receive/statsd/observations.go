package statsd

import (
	"math/bits"
	"slices"

	"scriptbridge/internal/weighted"
)

const (
	// maxPoints are kept of one series between two flushes, maxPointsAll of all
	// of them, but for minPoints that every series may have.
	maxPoints    = 2048
	maxPointsAll = 1 << 18
	minPoints    = 32
	// manyValues are looked through for equal ones before they are sorted.
	manyValues = 12
)

// observations are the values observed of one series, each with its weight:
// equal ones are one, so that a sample rate costs nothing. Past the bounds
// neighbours become one too (package weighted), at a level that rises for as long
// as there are too many. Values on two sides of a histogram's bound never become
// one.
type observations struct {
	list  []observation  // in the order of compact, and behind those as they came
	level int            // 0: the values as they are
	one   [1]observation // room for what most timers have in a second, beside the list
}

func newObservations() *observations {
	os := new(observations)
	os.list = os.one[:0]
	return os
}

type observation struct {
	bucket        int32 // of the histogram
	cell          uint64
	value, weight float64
}

func (o observation) compare(other observation) int {
	switch {
	case o.bucket != other.bucket:
		return int(o.bucket - other.bucket)
	case o.cell < other.cell:
		return -1
	case o.cell > other.cell:
		return 1
	}
	return 0
}

// add takes a finite value with a weight above 0. full says that all series
// together have as many as they may.
func (os *observations) add(v, weight float64, buckets []float64, full bool, room *spares) {
	n := observation{cell: weighted.Cell(v, os.level), value: v, weight: weight}
	if len(buckets) > 0 {
		i, _ := slices.BinarySearch(buckets, v)
		n.bucket = int32(i)
	}
	if len(os.list) == cap(os.list) {
		room.grow(os)
	}
	os.list = append(os.list, n)
	if !os.tooMany(full) {
		return
	}
	for os.compact(room); os.tooMany(full) && os.level < weighted.MaxLevel; {
		os.coarsen(room)
	}
}

func (os *observations) tooMany(full bool) bool {
	return len(os.list) > maxPoints || full && len(os.list) > minPoints
}

// compact sorts them, and makes one of those that are in one cell: of most before they
// are sorted, which takes the longest. Timers of many values have few different ones.
func (os *observations) compact(room *spares) {
	if len(os.list) < 2 {
		return
	}
	if len(os.list) >= manyValues {
		os.list = room.places.merge(os.list)
	}
	slices.SortFunc(os.list, observation.compare)
	os.list = weighted.Merge(os.list, func(a, b *observation) bool { return a.compare(*b) == 0 }, (*observation).join)
}

func (o *observation) join(n *observation) {
	o.value, o.weight = weighted.Join(o.value, o.weight, n.value, n.weight)
}

// coarsen goes up a level.
func (os *observations) coarsen(room *spares) {
	os.level++
	for i := range os.list {
		os.list[i].cell = weighted.Cell(os.list[i].value, os.level)
	}
	os.compact(room)
}

// clear forgets all, and gives back the room.
func (os *observations) clear(room *spares) {
	os.level = 0
	room.give(os)
}

// places are where in a list a value is, by its hash, from 1; 0: nowhere.
type places []uint16

// merge makes one of those that are in one cell, in the order in which they came. It
// overwrites the list, and may leave some to be found.
func (p *places) merge(list []observation) []observation {
	size := 2 << bits.Len(uint(len(list)))
	if cap(*p) < size {
		*p = make(places, size)
	}
	at := (*p)[:size]
	clear(at)
	kept := list[:0]
	for i := range list {
		o := &list[i]
		place := &at[(o.cell^uint64(o.bucket)<<32)*0x9e3779b97f4a7c15>>(64-bits.Len(uint(size-1)))]
		if *place > 0 && kept[*place-1].compare(*o) == 0 {
			kept[*place-1].join(o)
			continue
		}
		kept = append(kept, *o)
		*place = uint16(len(kept))
	}
	return kept
}
