package dialecttest

import (
	"fmt"
	"runtime"
	"slices"
	"testing"

	"scriptbridge/internal/testkit"
)

// Reading is how a dialect reads the output of one script, run after run.
type Reading struct {
	Kind string
	// Output gives an output of so many lines.
	Output func(lines int) []byte
	// New begins with a script that has not run yet. What it gives reads one
	// output and tells how many lines it used.
	New func(tb testing.TB) func(out []byte) int
	// Most bounds the lines; 0: no bound.
	Most int
	// Items are the values, each a series, that one line holds; 0: one.
	Items int
}

// lineLimit is what 3 million lines a second leave each of them, in nanoseconds.
const lineLimit = 333

// LimitLines shows what a line costs of the processor and in allocations, of series
// that the run before had too. The limit is one of an item of data: where a line holds
// several values, that of the line is shown only. A line of one value is one item, however
// long it is, and whatever comments stand with it.
func LimitLines(b *testing.B, kinds ...Reading) {
	limit(b, "lines", "line", lineLimit, []int{1000, 10_000, 100_000, 1_000_000}, kinds)
}

// WayOfLines is LimitLines of more than the reading, for which there is no limit.
func WayOfLines(b *testing.B, kinds ...Reading) {
	limit(b, "lines", "line", 0, []int{1000, 10_000, 100_000}, kinds)
}

// LimitEvents is LimitLines for events, where what counts is that one of many
// costs no more than one of few.
func LimitEvents(b *testing.B, kinds ...Reading) {
	limit(b, "events", "event", 0, []int{100, 1000, 10_000}, kinds)
}

// limit measures in several rounds, of which the middle one counts, on one core.
func limit(b *testing.B, sizes, unit string, most float64, of []int, kinds []Reading) {
	const rounds, work = 5, 1_000_000
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, kind := range kinds {
		for _, n := range of {
			if kind.Most > 0 && n > kind.Most || n >= 1_000_000 && testing.Short() {
				continue
			}
			b.Run(fmt.Sprintf("%s/%s=%d", kind.Kind, sizes, n), func(b *testing.B) {
				out, read := kind.Output(n), kind.New(b)
				// What the bridge has in memory besides counts for when the garbage
				// collector runs.
				inUse := make([]byte, 4<<20+300*n)
				defer runtime.KeepAlive(inUse)
				if got := read(out); got != n {
					b.Fatalf("it used %d of %d", got, n)
				}
				var costs, allocs []float64
				for b.Loop() {
					for range rounds {
						times := max(1, work/rounds/n)
						runtime.GC()
						began, before := testkit.CPUTime(), mallocs()
						for range times {
							read(out)
						}
						used := testkit.CPUTime() - began
						costs = append(costs, float64(used.Nanoseconds())/float64(times*n))
						allocs = append(allocs, float64(mallocs()-before)/float64(times*n))
					}
				}
				slices.Sort(costs)
				slices.Sort(allocs)
				b.ReportMetric(costs[len(costs)/2], "ns/"+unit)
				b.ReportMetric(allocs[len(allocs)/2], "allocs/"+unit)
				limited := unit
				if kind.Items > 1 {
					limited = "item"
					b.ReportMetric(costs[len(costs)/2]/float64(kind.Items), "ns/item")
				}
				if most > 0 {
					b.ReportMetric(most, "ns/"+limited+"-limit")
				}
				b.ReportMetric(0, "ns/op") // of no meaning here
			})
		}
	}
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// NoAllocations fails where a further line of an output costs allocations.
func NoAllocations(t *testing.T, kinds ...Reading) {
	const few = 20_000
	if testkit.Race {
		t.Skip("the race detector allocates too")
	}
	for _, kind := range kinds {
		n := few
		if kind.Most > 0 {
			n = min(n, kind.Most/2)
		}
		cost := func(n int) float64 {
			out, read := kind.Output(n), kind.New(t)
			if got := read(out); got != n {
				t.Fatalf("%s: it used %d of %d lines", kind.Kind, got, n)
			}
			return testing.AllocsPerRun(5, func() { read(out) })
		}
		if more := (cost(2*n) - cost(n)) / float64(n); more >= 0.01 {
			t.Errorf("%s: a line costs %.3f allocations", kind.Kind, more)
		}
	}
}
