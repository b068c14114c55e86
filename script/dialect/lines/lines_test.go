package lines

import (
	"fmt"
	"math"
	"strconv"
	"testing"
)

// What is short is read as strconv reads it, to the last bit.
func FuzzShortDecimal(f *testing.F) {
	for _, word := range []string{"", "0", "-0", "+1", "1.", ".5", "-.5", ".", "-", "0.1", "123456789012345", "1234567890123456", "0.000000000000001", "00000000000000.1", "1e5", "1..2", "٣", "179.769313486231", "999999999999999", ".999999999999999"} {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, word string) {
		v, ok := ShortDecimal(word)
		if w, alike := ShortDecimal([]byte(word)); alike != ok || math.Float64bits(v) != math.Float64bits(w) {
			t.Errorf("%q: %v %t as a text, %v %t as bytes", word, v, ok, w, alike)
		}
		want, err := strconv.ParseFloat(word, 64)
		if ok && (err != nil || math.Float64bits(want) != math.Float64bits(v)) {
			t.Errorf("%q: %v, want %v, %v", word, v, want, err)
		}
	})
}

// An Index is a map, also when it is larger than was expected, and when its memory was
// another's.
func TestIndex(t *testing.T) {
	for run, n := range []int{10_000, 3, 0, 2000} {
		x := NewIndex(n / 10)
		for i := range n {
			text := fmt.Appendf(nil, "%d", i)
			if _, ok := x.Find(text); ok {
				t.Fatalf("run %d: %s is there", run, text)
			}
			if got, again := x.Add(text, i); got != i || again {
				t.Fatalf("run %d: %s is %d, %t", run, text, got, again)
			}
			if got, again := x.Add(text, -1); got != i || !again {
				t.Fatalf("run %d: %s again is %d, %t", run, text, got, again)
			}
		}
		for i := range n {
			if got, ok := x.Find(fmt.Appendf(nil, "%d", i)); got != i || !ok {
				t.Fatalf("run %d: %d is %d, %t", run, i, got, ok)
			}
		}
		if _, ok := x.Find([]byte("x")); ok {
			t.Fatalf("run %d: what is not there is found", run)
		}
		if _, again := x.Add(nil, 7); again {
			t.Fatalf("run %d: the empty text is there", run)
		}
		if got, ok := x.Find([]byte("")); got != 7 || !ok {
			t.Fatalf("run %d: the empty text is %d, %t", run, got, ok)
		}
		x.Free()
	}
}

// Room is made for as many samples as all lines give, not for as many as may be.
func TestSamplesRoom(t *testing.T) {
	out := make([]byte, 0, 100_000)
	for range 50_000 {
		out = append(out, "a\n"...)
	}
	s := SamplesOf(out, 1_000_000)
	rooms := 0
	for i, room := 0, 0; i < 50_000; i++ {
		s.Add(i + 1)
		if room != cap(s.All) {
			room = cap(s.All)
			rooms++
		}
	}
	if rooms != 2 || cap(s.All) > 60_000 {
		t.Errorf("room was made %d times, for %d at last", rooms, cap(s.All))
	}
	s = SamplesOf(nil, 5)
	for !s.Full() {
		s.Add(0)
	}
	if len(s.All) != 5 {
		t.Errorf("%d of 5", len(s.All))
	}
}
