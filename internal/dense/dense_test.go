package dense

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
)

func TestTexts(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	var texts Texts
	var refs []Ref
	var all []string
	known := make(map[string]Ref)
	size := 0
	for i := range 20_000 {
		n := dice.IntN(100)
		if dice.IntN(500) == 0 {
			n = []int{0, 127, 128, 129, slabSize - 5, slabSize, slabSize + 1, 1 << 14, 1 << 20}[dice.IntN(9)]
		}
		text := strings.Repeat(fmt.Sprint(i%10), n)
		ref := texts.Add(text)
		if old, ok := known[text]; !ok {
			known[text] = ref
			size += n
		} else if old != ref {
			t.Fatalf("%.40q… is kept twice", text)
		}
		all, refs = append(all, text), append(refs, ref)
	}
	for i, want := range all {
		if got := texts.Get(refs[i]); got != want {
			t.Fatalf("text %d is %.40q…, not %.40q…", i, got, want)
		}
	}
	if texts.Size() != size {
		t.Errorf("their size is %d, not %d", texts.Size(), size)
	}
}

// TestSet plays a set beside a map.
func TestSet(t *testing.T) {
	type item struct{ key string }
	seed := maphash.MakeSeed()
	for _, c := range []struct {
		hash func(string) uint64
		keys int
	}{
		{func(key string) uint64 { return maphash.String(seed, key) }, 2000},
		{func(key string) uint64 { return uint64(len(key)) << 30 }, 50}, // which hardly tells them apart
	} {
		hash := c.hash
		set := Set[item]{Hash: func(v *item) uint64 { return hash(v.key) }}
		find := func(key string) *item {
			return set.Find(hash(key), func(v *item) bool { return v.key == key })
		}
		want := make(map[string]*item)
		dice := rand.New(rand.NewPCG(1, 2))
		for round := range 60_000 {
			key := fmt.Sprint(dice.IntN(1 + round%c.keys))
			v := want[key]
			if got := find(key); got != v {
				t.Fatalf("%s is %v, not %v", key, got, v)
			}
			grows := round/10_000%2 == 0
			switch {
			case v == nil && (grows || dice.IntN(3) == 0):
				want[key] = &item{key}
				set.Add(want[key])
			case v != nil && !(grows && dice.IntN(3) > 0):
				set.Remove(v)
				delete(want, key)
			case v == nil:
				set.Remove(&item{key}) // which is no member
			}
			if set.Len() != len(want) {
				t.Fatalf("%d members, not %d", set.Len(), len(want))
			}
		}
		n := 0
		for v := range set.All {
			if n++; want[v.key] != v {
				t.Errorf("%s is a member", v.key)
			}
		}
		if n != len(want) || n == 0 {
			t.Errorf("%d members are given, not %d", n, len(want))
		}
	}
}

// TestMemory: what texts and sets take beside the bytes, and beside the members.
func TestMemory(t *testing.T) {
	const n = 100_000
	var before, between, after runtime.MemStats
	type item struct{ hash uint64 }
	items := make([]item, n)
	runtime.GC()
	runtime.ReadMemStats(&before)
	var texts Texts
	for i := range n {
		texts.Add(fmt.Sprintf("%040d", i))
	}
	runtime.GC()
	runtime.ReadMemStats(&between)
	set := Set[item]{Hash: func(v *item) uint64 { return v.hash }}
	for i := range items {
		items[i].hash = rand.Uint64()
		set.Add(&items[i])
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (between.HeapAlloc - before.HeapAlloc) / n; each > 48 {
		t.Errorf("a text of 40 bytes takes %d", each)
	}
	if each := (after.HeapAlloc - between.HeapAlloc) / n; each > 13 {
		t.Errorf("a member takes %d bytes", each)
	}
	runtime.KeepAlive(texts)
	runtime.KeepAlive(set)
}

// TestSetInItsOwnOrder: members that are removed in the order of the set, or put into
// another one in it, are all of one part of the hashes meanwhile. That costs no more.
func TestSetInItsOwnOrder(t *testing.T) {
	type item struct{ hash uint64 }
	const n = 20_000
	hashed := 0
	hash := func(v *item) uint64 { hashed++; return v.hash }
	first, second := Set[item]{Hash: hash}, Set[item]{Hash: hash}
	dice := rand.New(rand.NewPCG(1, 2))
	for range n {
		first.Add(&item{dice.Uint64()})
	}
	var all []*item
	for v := range first.All {
		all = append(all, v)
	}
	hashed = 0
	for _, v := range all {
		second.Add(v)
	}
	if hashed > 20*n {
		t.Errorf("each is hashed %d times as it is added", hashed/n)
	}
	hashed = 0
	for _, v := range all {
		first.Remove(v)
	}
	if hashed > 100*n {
		t.Errorf("each is hashed %d times as it is removed", hashed/n)
	}
}
