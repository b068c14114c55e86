package collectd

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What is known of lists makes them faster, and changes nothing: whatever comes in whatever
// order, with names and without, with more values or fewer, of series that clash, end and
// come again, becomes what it would if each list were the first of its kind.
func TestKnownLists(t *testing.T) {
	for seed := range uint64(100) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			one := func(all ...string) string { return all[random.IntN(len(all))] }
			knows, learns := testMerge(t, 0), testMerge(t, 0)
			knows.limit, learns.limit = 15, 15
			var before *knownList
			for i := range 400 {
				l := valueList{
					key:      (&identifier{"h", "p", one("", "a.b", "a_b"), one("load", "if_octets", "t"), ""}).key(),
					interval: time.Duration(random.IntN(3)) * 5 * time.Second,
				}
				kind := dsType(random.IntN(8) % 5 % 4) // gauges and counters mostly
				for range 1 + random.IntN(3) {
					v := dsValue{kind: kind, value: float64(random.IntN(100)), refused: random.IntN(3) == 0}
					if kind == dsGauge && random.IntN(3) == 0 {
						v.value = math.NaN() // none: its series ends while others of the list go on
					}
					l.values = append(l.values, v)
				}
				if random.IntN(4) == 0 {
					for range 1 + random.IntN(3) {
						l.names = append(l.names, one("value", "rx", "r.x", "", strings.Repeat("n", maxName+1)))
					}
				}
				again := l
				l.before = before
				knows.list(&l)
				before = l.before
				for _, k := range learns.known {
					k.shape, k.series, k.next = listShape{}, nil, nil
				}
				learns.list(&again)
				if random.IntN(5) > 0 {
					continue
				}
				time.Sleep(time.Duration(random.IntN(30)) * time.Second) // in the bubble
				if got, want := drained(knows), drained(learns); got != want {
					t.Fatalf("seed %d, list %d: got\n%swant\n%s", seed, i, got, want)
				}
				holds(t, knows)
			}
		})
	}
}

// drained is all that a merge has, but for the order of the samples.
func drained(m *merge) string {
	batches, warnings := m.drain(time.Now())
	var out strings.Builder
	describe(&out, batches)
	for _, what := range slices.Sorted(maps.Keys(warnings)) {
		fmt.Fprintf(&out, "told: %s: %v\n", warnings[what].msg, warnings[what].err)
	}
	fmt.Fprintf(&out, "%d series, dropped %v\n", len(m.series), m.counts.View().Dropped)
	return out.String()
}

// holds has every known list be one of series that there are.
func holds(t *testing.T, m *merge) {
	t.Helper()
	live := make(map[*knownList]int)
	for _, s := range m.series {
		live[s.key.of]++
	}
	for key, k := range m.known {
		if k.key != key || k.live != live[k] || k.live == 0 {
			t.Errorf("%v has %d series, and there are %d", &k.identifier, k.live, live[k])
		}
		for i, s := range k.series {
			if s != nil && m.series[s.key] != s {
				t.Errorf("value %d of %v is of a series that has ended", i, &k.identifier)
			}
		}
	}
	if len(live) != len(m.known) {
		t.Errorf("%d lists are known, and %d have series", len(m.known), len(live))
	}
}

// A list of many values takes no more memory than its series.
func TestKnownListsAreBounded(t *testing.T) {
	m := testMerge(t, 0)
	l := valueList{key: (&identifier{"h", "p", "", "t", ""}).key(), values: make([]dsValue, 100_000)}
	for i := range l.values {
		l.values[i] = dsValue{kind: dsGauge, value: 1, refused: i != 99_999}
	}
	m.list(&l)
	k := m.known[string(l.key)]
	if k == nil || len(k.series) != maxKnown || len(m.series) != 1 {
		t.Errorf("%d series, and the list is %+v", len(m.series), k)
	}
}

// A packet whose series are there is taken without an allocation.
func TestPacketAllocates(t *testing.T) {
	m := testMerge(t, 0)
	packet := []byte("\x00\x00\x00\x06h\x00\x00\x02\x00\x06p\x00\x00\x04\x00\x06t\x00\x00\x06\x00\x0f\x00\x01\x01\x00\x00\x00\x00\x00\x00\xf0\x3f")
	var reader packetReader
	to := &fromSender{m, "the packet", sender("somebody")}
	if n := testing.AllocsPerRun(100, func() { reader.read(packet, to) }); n != 0 {
		t.Errorf("it allocates %v times", n)
	}
	if len(m.series) != 1 || len(m.refused) > 0 {
		t.Errorf("%d series, %d errors", len(m.series), len(m.refused))
	}
}
