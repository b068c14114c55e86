package floats

import (
	"math"
	"slices"
	"testing"
)

func TestKey(t *testing.T) {
	ascending := []float64{math.Inf(-1), -math.MaxFloat64, -1, -math.SmallestNonzeroFloat64, 0, math.SmallestNonzeroFloat64, 0.5, 1, 1.5, math.MaxFloat64, math.Inf(1)}
	keys := make([]uint64, len(ascending))
	for i, v := range ascending {
		keys[i] = Key(v)
		if back := FromKey(keys[i]); back != v {
			t.Errorf("%v comes back as %v", v, back)
		}
	}
	if !slices.IsSorted(keys) || len(slices.Compact(slices.Clone(keys))) != len(keys) {
		t.Errorf("%x do not ascend", keys)
	}
	if Key(math.Copysign(0, -1)) != Key(0) {
		t.Error("the zeros have different keys")
	}
	for _, nan := range []float64{math.NaN(), math.Copysign(math.NaN(), -1)} {
		if !math.IsNaN(FromKey(Key(nan))) {
			t.Error("a NaN comes back as a number")
		}
	}
}

func FuzzKey(f *testing.F) {
	f.Add(-1.5, 1.5)
	f.Fuzz(func(t *testing.T, a, b float64) {
		if a < b && Key(a) >= Key(b) || a == b && Key(a) != Key(b) {
			t.Errorf("%v and %v are out of order", a, b)
		}
	})
}
