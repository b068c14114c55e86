package record

import (
	"math"
	"testing"
)

func TestToMilliseconds(t *testing.T) {
	for _, ms := range []float64{0, 1, 0.1, 1.001, 57, 320, 1001, 4999, 123456789, 0.000001, -3} {
		if got := ToMilliseconds(ms / 1000); got != ms {
			t.Errorf("%v ms become %v", ms, got)
		}
	}
	if got := ToMilliseconds(1e308); !math.IsInf(got, 1) {
		t.Errorf("too much becomes %v", got)
	}
}
