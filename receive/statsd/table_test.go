package statsd

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"testing"
)

// What was put is found, and nothing else, however much comes and goes.
func TestTable(t *testing.T) {
	table := newTable[int]()
	want := make(map[int]bool)
	check := func(what string) {
		t.Helper()
		if table.used != len(want) {
			t.Fatalf("%s: %d are kept, want %d", what, table.used, len(want))
		}
		for i := range 10_000 {
			v, ok := table.get(table.hash([]byte(strconv.Itoa(i))))
			if ok != want[i] || ok && v != i {
				t.Fatalf("%s: %d gives %d, %v", what, i, v, ok)
			}
		}
		for v := range table.all() {
			if !want[v] {
				t.Fatalf("%s: %d is there", what, v)
			}
		}
	}
	check("empty")
	put := func(from, to int) {
		for i := from; i < to; i++ {
			table.put(table.hash([]byte(strconv.Itoa(i))), i)
			want[i] = true
		}
	}
	put(0, 9000)
	check("full")
	table.drop(func(v int) bool { return v%3 == 0 })
	for i := 0; i < 9000; i += 3 {
		delete(want, i)
	}
	check("after a third has gone")
	put(9000, 10_000)
	check("with more")
	before := len(table.slots)
	table.drop(func(v int) bool { return v > 100 })
	for i := range want {
		if i > 100 {
			delete(want, i)
		}
	}
	check("after most have gone")
	if len(table.slots) >= before/8 {
		t.Errorf("%d slots are kept of %d", len(table.slots), before)
	}
	table.clear()
	clear(want)
	check("cleared")
	put(5, 6)
	check("begun anew")
}

// Numbers are read as strconv reads them.
func FuzzNumber(f *testing.F) {
	for _, text := range []string{
		"", "0", "-0", "+0", "1", "-1.5", "+.5", "5.", ".", "-", "-.", "1..2", "1.2.3", "999999999999999", "1234567890123456", "0.00000000000001",
		"99999999999999.9", "1e3", "0x10", "1_0", "NaN", "inf", " 1", "9007199254740993", "123456789012.345", "0.1", "0.30000000000000004",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want, errWant := strconv.ParseFloat(text, 64)
		got, err := parseFloat([]byte(text))
		if fmt.Sprint(err) != fmt.Sprint(errWant) || math.Float64bits(got) != math.Float64bits(want) {
			t.Errorf("%q: %v, %v; want %v, %v", text, got, err, want, errWant)
		}
	})
}

// Values that came unsorted are what they were one by one: sorted, equal ones joined,
// within the bounds.
func TestObservationsCompact(t *testing.T) {
	var os observations
	for i := range 3 * maxPoints {
		os.add(float64(i%7), 0.5, nil, false, new(spares))
		if len(os.list) > maxPoints {
			t.Fatalf("%d are kept", len(os.list))
		}
	}
	os.compact(new(spares))
	if len(os.list) != 7 || os.level != 0 || !slices.IsSortedFunc(os.list, observation.compare) {
		t.Errorf("level %d: %+v", os.level, os.list)
	}
	weight := 0.0
	for _, o := range os.list {
		weight += o.weight
	}
	if weight != 3*maxPoints/2 {
		t.Errorf("they weigh %v", weight)
	}
}

// Whoever flushes is woken for what came, once, and for sets until they are empty; for
// nothing else.
func TestWake(t *testing.T) {
	m := mergeOf(t, "")
	now := epoch
	step := func(packet string, want bool) {
		t.Helper()
		if packet != "" {
			m.packet([]byte(packet), now)
			m.packet([]byte(packet), now)
		}
		select {
		case <-m.wake:
			if !want {
				t.Error("it woke")
			}
		default:
			if want {
				t.Error("it did not wake")
			}
		}
		now = now.Add(setWindow)
		m.flush(now)
	}
	step("", false)
	step("a:1|c", true)
	step("", false)
	step("bad", true)
	step("_e{1,1}:a|b", true)
	m.tooLong([]byte("x"), "too long")
	step("", true)
	step("", false)
	m.packet([]byte("u:ann|s"), now)
	m.flush(now)
	step("", true) // and is empty after that
	step("", false)
	if !m.keeps() {
		t.Error("it keeps no series")
	}
	now = now.Add(10 * setWindow)
	m.flush(now)
	if m.keeps() {
		t.Error("it keeps series")
	}
}

// What comes and is flushed as often as before needs no memory for each value or series:
// only the batch is made. Room that is needed no more is given back.
func TestFlushNeedsNoMemory(t *testing.T) {
	m := mergeOf(t, "")
	now := epoch
	var packets [][]byte
	for i := range 100 {
		for v := range 100 {
			packets = append(packets, fmt.Appendf(nil, "t%d:%d|ms", i, v))
		}
		packets = append(packets, fmt.Appendf(nil, "c%d:1|c", i))
	}
	round := func() {
		for _, p := range packets {
			m.packet(p, now)
		}
		if n := len(m.flush(now)[0].Samples); n != 100*101 {
			t.Errorf("%d samples", n)
		}
	}
	round()
	if n := testing.AllocsPerRun(10, round); n > 5 {
		t.Errorf("%v allocations", n)
	}
	for range 2 {
		now = now.Add(sweepInterval)
		m.flush(now)
	}
	free := 0
	for _, of := range m.spares.values {
		free += len(of.free)
	}
	if free > 0 || m.spares.samples != nil {
		t.Errorf("%d lists and room for %d samples are kept for nothing", free, cap(m.spares.samples))
	}
}
