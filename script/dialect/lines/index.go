package lines

import (
	"hash/maphash"
	"math/bits"
	"sync"
)

// Index finds a number by a text: which sample of an output is that of a series. It
// has the texts one behind the other and no pointer, and its memory serves the next
// output that is read, whosever that is: many lines cost no allocation each.
type Index struct {
	seed  maphash.Seed
	slots []slot // a power of two, half of them free
	texts []byte
	items []item
}

// slot is one of a hash table with open addressing.
type slot struct {
	hash uint32
	item uint32 // plus 1; 0: free
}

type item struct{ end, number uint32 }

var indexes = sync.Pool{New: func() any { return &Index{seed: maphash.MakeSeed()} }}

// NewIndex gives an empty one, with room for as many texts as are expected.
func NewIndex(expected int) *Index {
	x := indexes.Get().(*Index)
	x.texts, x.items = x.texts[:0], x.items[:0]
	n := 1 << bits.Len(uint(max(32, 2*expected)-1))
	if n <= cap(x.slots) {
		x.slots = x.slots[:n]
		clear(x.slots)
	} else {
		x.slots = make([]slot, n)
	}
	return x
}

// Free gives its memory to who comes next.
func (x *Index) Free() { indexes.Put(x) }

// Find gives the number of a text; false where it has none.
func (x *Index) Find(text []byte) (number int, ok bool) {
	s, _ := x.look(text)
	if s.item == 0 {
		return 0, false
	}
	return int(x.items[s.item-1].number), true
}

// Add gives a text a number, unless it has one: then it gives that.
func (x *Index) Add(text []byte, number int) (earlier int, again bool) {
	if 2*len(x.items) >= len(x.slots) {
		x.grow()
	}
	s, hash := x.look(text)
	if s.item > 0 {
		return int(x.items[s.item-1].number), true
	}
	x.texts = append(x.texts, text...)
	x.items = append(x.items, item{uint32(len(x.texts)), uint32(number)})
	*s = slot{hash, uint32(len(x.items))}
	return number, false
}

// look finds the slot of a text, or the free one for it.
func (x *Index) look(text []byte) (s *slot, hash uint32) {
	hash = uint32(maphash.Bytes(x.seed, text))
	mask := uint32(len(x.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s = &x.slots[i]
		if s.item == 0 || s.hash == hash && string(x.text(int(s.item)-1)) == string(text) {
			return s, hash
		}
	}
}

func (x *Index) text(i int) []byte {
	begin := uint32(0)
	if i > 0 {
		begin = x.items[i-1].end
	}
	return x.texts[begin:x.items[i].end]
}

func (x *Index) grow() {
	old := x.slots
	x.slots = make([]slot, 4*len(old))
	mask := uint32(len(x.slots) - 1)
	for _, s := range old {
		if s.item == 0 {
			continue
		}
		i := s.hash & mask
		for x.slots[i].item > 0 {
			i = (i + 1) & mask
		}
		x.slots[i] = s
	}
}
