// Package dense keeps very many small things in little memory: texts that are
// written once and read often, and sets of what is found by a key of its own.
package dense

import (
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
	"strings"
)

// Texts keeps texts one behind the other, each once, so that one takes its bytes and
// next to nothing else. The zero value is ready.
type Texts struct {
	slabs []*strings.Builder
	size  int
	slots []uint32 // by hash, to find a text again: 0 for a free one, or one more than a Ref
	n     int
}

var seed = maphash.MakeSeed()

// Ref says where in Texts a text is.
type Ref uint32

// A Ref is the number of a slab, and where in its first slabSize bytes the text
// begins. There is room for a million slabs, or some four gigabytes.
const (
	slabBits = 12
	slabSize = 1 << slabBits
)

// Add keeps a text. Texts that are the same have one Ref.
func (t *Texts) Add(text string) Ref {
	if t.n+1+t.n/8 >= len(t.slots) { // one is always free, and about a ninth
		slots := t.slots
		t.slots = make([]uint32, t.n+t.n/3+4)
		for _, slot := range slots {
			if slot != 0 {
				t.slots[t.slot(t.Get(Ref(slot-1)))] = slot
			}
		}
	}
	at := t.slot(text)
	if t.slots[at] == 0 {
		t.slots[at] = uint32(t.write(text)) + 1
		t.n++
	}
	return Ref(t.slots[at] - 1)
}

// slot is where a text is, or belongs, among slots.
func (t *Texts) slot(text string) int {
	at := int(uint64(uint32(maphash.String(seed, text))) * uint64(len(t.slots)) >> 32)
	for t.slots[at] != 0 && t.Get(Ref(t.slots[at]-1)) != text {
		if at++; at == len(t.slots) {
			at = 0
		}
	}
	return at
}

// write puts a text behind the last one.
func (t *Texts) write(text string) Ref {
	last := len(t.slabs) - 1
	if last < 0 || t.slabs[last].Len()+len(text) >= slabSize-4 {
		t.slabs = append(t.slabs, new(strings.Builder))
		last++
	}
	if last >= 1<<(32-slabBits) {
		panic("dense: more than four gigabytes of texts")
	}
	b := t.slabs[last]
	at := b.Len()
	if b.Cap() == 0 && last > 0 { // there is more to come
		b.Grow(slabSize)
	}
	n := len(text)
	for ; n >= 0x80; n >>= 7 {
		b.WriteByte(byte(n) | 0x80)
	}
	b.WriteByte(byte(n))
	b.WriteString(text)
	t.size += len(text)
	return Ref(last<<slabBits | at)
}

// Get gives the text at a Ref. It stays as it is whatever becomes of the Texts.
func (t *Texts) Get(r Ref) string {
	text := t.slabs[r>>slabBits].String()[r&(slabSize-1):]
	if text[0] < 0x80 {
		return text[1 : 1+int(text[0])]
	}
	return long(text)
}

// long cuts out a text whose length takes several bytes.
func long(text string) string {
	n, shift := 0, 0
	for i := 0; ; i++ {
		n |= int(text[i]&0x7f) << shift
		if text[i] < 0x80 {
			return text[i+1 : i+1+n]
		}
		shift += 7
	}
}

// Size is the length of all texts that are kept.
func (t *Texts) Size() int { return t.size }

// Set is a set of pointers, which knows where to look for one by its hash. It takes
// less than half of what a map of strings does. A zero value with a Hash is ready.
type Set[T any] struct {
	Hash func(*T) uint64

	tags  []uint8 // of the slots: 0 for a free one, or else some bits of the hash
	slots []*T
	n     int
	// order is another one with each size: those that are left of another set, or of this
	// one before, may be those at its end, and must not all have their place in one part.
	order uint64
}

// Len is the number of its members.
func (s *Set[T]) Len() int { return s.n }

// place is where to begin to look for a hash, and its tag.
func (s *Set[T]) place(hash uint64) (at int, tag uint8) {
	high, _ := bits.Mul64(hash*s.order, uint64(len(s.slots)))
	return int(high), uint8(hash>>56) | 1
}

// Find gives the member with a hash for which is is true; nil where there is none.
func (s *Set[T]) Find(hash uint64, is func(*T) bool) *T {
	if s.n == 0 {
		return nil
	}
	for at, tag := s.place(hash); s.tags[at] != 0; at++ {
		if s.tags[at] == tag && is(s.slots[at]) {
			return s.slots[at]
		}
		if at == len(s.tags)-1 {
			at = -1
		}
	}
	return nil
}

// Add adds a member that is not there.
func (s *Set[T]) Add(v *T) {
	if s.n+1+s.n/8 >= len(s.slots) { // one is always free, and about a ninth
		s.resize(s.n + s.n/3 + 4)
	}
	s.put(v)
	s.n++
}

func (s *Set[T]) put(v *T) {
	at, tag := s.place(s.Hash(v))
	for s.tags[at] != 0 {
		if at++; at == len(s.tags) {
			at = 0
		}
	}
	s.tags[at], s.slots[at] = tag, v
}

func (s *Set[T]) resize(n int) {
	slots := s.slots
	s.tags, s.slots, s.order = make([]uint8, n), make([]*T, n), rand.Uint64()|1 //nolint:gosec // it is no secret
	for _, v := range slots {
		if v != nil {
			s.put(v)
		}
	}
}

// Remove takes a member out, where it is one; its hash must be what it was when it was added.
func (s *Set[T]) Remove(v *T) {
	if s.n == 0 {
		return
	}
	at, _ := s.place(s.Hash(v))
	for ; s.slots[at] != v; at++ {
		if s.tags[at] == 0 {
			return
		}
		if at == len(s.tags)-1 {
			at = -1
		}
	}
	s.tags[at], s.slots[at] = 0, nil
	if s.n--; s.n < len(s.slots)/3 {
		s.resize(s.n + s.n/3 + 4)
		return
	}
	// What stands behind it without a gap may have its place there for its sake.
	for {
		if at++; at == len(s.tags) {
			at = 0
		}
		v := s.slots[at]
		if v == nil {
			return
		}
		s.tags[at], s.slots[at] = 0, nil
		s.put(v)
	}
}

// All gives the members, in no order. The set must not change meanwhile.
func (s *Set[T]) All(yield func(*T) bool) {
	for _, v := range s.slots {
		if v != nil && !yield(v) {
			return
		}
	}
}
