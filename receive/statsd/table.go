package statsd

import (
	"hash/maphash"
	"iter"
	"math/bits"
)

// table finds what belongs to a key. It keeps no keys, but 128 bits of hash of each, by
// two seeds that nobody knows: that two of a million keys are taken for one is less
// likely than once in 10^26 programs. What is found is found in one place of memory,
// which is what a line of a known series costs most.
type table[V any] struct {
	seeds [2]maphash.Seed
	slots []slot[V] // at most four of five are used
	used  int
}

type slot[V any] struct {
	key   hashed
	value V
}

// hashed is a key's hash; the zero value is of none.
type hashed [2]uint64

// leastSlots are those of a table with something in it.
const leastSlots = 20

func newTable[V any]() *table[V] {
	return &table[V]{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
}

func (t *table[V]) hash(key []byte) hashed {
	return hashed{maphash.Bytes(t.seeds[0], key) | 1, maphash.Bytes(t.seeds[1], key)}
}

// at is the slot of a key, or the free one where it belongs.
func (t *table[V]) at(h hashed) *slot[V] {
	i, _ := bits.Mul64(h[0], uint64(len(t.slots))) // below their number, and spread evenly
	for {
		if s := &t.slots[i]; s.key == h || s.key == (hashed{}) {
			return s
		}
		if i++; i == uint64(len(t.slots)) {
			i = 0
		}
	}
}

// get gives what belongs to a key, or the zero value.
func (t *table[V]) get(h hashed) (v V, ok bool) {
	if t.used == 0 {
		return v, false
	}
	s := t.at(h)
	return s.value, s.key == h
}

// put keeps what belongs to a key that has nothing yet.
func (t *table[V]) put(h hashed, v V) {
	if t.used >= len(t.slots)/5*4 {
		t.resize(max(leastSlots, len(t.slots)/2*3))
	}
	*t.at(h) = slot[V]{h, v}
	t.used++
}

// resize moves everything into so many slots.
func (t *table[V]) resize(n int) {
	old := t.slots
	t.slots = make([]slot[V], n)
	for i := range old {
		if old[i].key != (hashed{}) {
			*t.at(old[i].key) = old[i]
		}
	}
}

// drop forgets what end says so of, and gives back room where much is forgotten.
func (t *table[V]) drop(end func(V) bool) {
	before := t.used
	for i := range t.slots {
		if s := &t.slots[i]; s.key != (hashed{}) && end(s.value) {
			*s = slot[V]{}
			t.used--
		}
	}
	if t.used < before { // what belonged behind one that is gone is found no more
		t.resize(max(leastSlots, t.used/2*3))
	}
}

// clear forgets everything.
func (t *table[V]) clear() { t.slots, t.used = nil, 0 }

// all are the values, in no order.
func (t *table[V]) all() iter.Seq[V] {
	return func(yield func(V) bool) {
		for i := range t.slots {
			if s := &t.slots[i]; s.key != (hashed{}) && !yield(s.value) {
				return
			}
		}
	}
}
