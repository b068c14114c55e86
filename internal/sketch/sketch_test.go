package sketch

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/store"
)

// TestLikeDDSketch holds sketches to the library's: the same quantiles, to the last bit,
// of whatever is added, with weights that are whole or not, and of several added up.
func TestLikeDDSketch(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	quantiles := []float64{0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.9999, 1}
	for round := range 2000 {
		decades := []float64{0.001, 1, 3, 8, 40, 300}[dice.IntN(6)]
		weights := []float64{1, 1, 10, 0.5, 100000, 1e10}[:1+dice.IntN(6)]
		var ours []*Sketch
		var all *ddsketch.DDSketchWithExactSummaryStatistics
		for range 1 + dice.IntN(5) {
			one := new(Sketch)
			theirs := ddsketch.NewDDSketchWithExactSummaryStatistics(index, func() store.Store { return store.NewCollapsingLowestDenseStore(maxBins) })
			for range dice.IntN(400) {
				value := math.Pow(10, (dice.Float64()-0.5)*decades)
				switch dice.IntN(20) {
				case 0:
					value = 0
				case 1, 2:
					value = -value
				case 3:
					value = math.Trunc(value)
				}
				weight := weights[dice.IntN(len(weights))]
				one.Add(value, weight)
				if err := theirs.AddWithCount(value, weight); err != nil {
					t.Fatal(err)
				}
			}
			if ours = append(ours, one, nil); all == nil {
				all = theirs
			} else if err := all.MergeWith(theirs); err != nil {
				t.Fatal(err)
			}
		}
		got := make([]float64, len(quantiles))
		Quantiles(got, quantiles, ours)
		for i, q := range quantiles {
			want := math.NaN()
			if all.GetCount() > 0 {
				want, _ = all.GetValueAtQuantile(nearestRank(q, all.GetCount()))
			}
			if math.Float64bits(got[i]) != math.Float64bits(want) {
				t.Fatalf("round %d: quantile %v is %v, not %v", round, q, got[i], want)
			}
		}
	}
}

// TestCounts: a count is exact when it outgrows its bytes, and its bins grow to either side.
func TestCounts(t *testing.T) {
	var b bins
	for _, weight := range []float64{1, 254, 1, 65279, 1, math.MaxUint32 - 65536, 1, 0.25, 1e300} {
		for _, index := range []int{7, 3, 12} {
			before := 0.0
			if at := index - b.first; at >= 0 && at < b.len() {
				before = b.at(at)
			}
			b.add(index, weight)
			if got := b.at(index - b.first); got != before+weight {
				t.Errorf("%v and %v are %v", before, weight, got)
			}
		}
	}
}

// TestMemory: the memory of sketches is bounded, whatever they hold.
func TestMemory(t *testing.T) {
	for _, c := range []struct {
		name      string
		low, high float64 // powers of ten
		n, most   int
	}{
		{"three decades, 100 values", -3, 0, 100, 500},
		{"three decades, a million values", -3, 0, 1_000_000, 850},
		{"nine decades", -9, 0, 100, 1200},
		{"all there is", -300, 300, 100, 1300},
	} {
		dice := rand.New(rand.NewPCG(1, 2))
		var s Sketch
		for range c.n {
			s.Add(math.Pow(10, c.low+(c.high-c.low)*dice.Float64()), 1)
		}
		if n := int(unsafe.Sizeof(s)) + cap(s.above.counts); n > c.most {
			t.Errorf("%s: %d bytes, want %d at most", c.name, n, c.most)
		} else {
			t.Logf("%s: %d bytes", c.name, n)
		}
	}
}
