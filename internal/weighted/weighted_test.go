package weighted

import (
	"math"
	"testing"
)

func TestCell(t *testing.T) {
	ascending := []float64{math.Inf(-1), -math.MaxFloat64, -1.5, -1, -1e-300, 0, 1e-300, 1, 1.007, 1.5, 2, 1e300, math.Inf(1)}
	for level := range MaxLevel + 1 {
		cells := make(map[uint64]bool)
		last := uint64(0)
		for _, v := range ascending {
			c := Cell(v, level)
			if c < last {
				t.Errorf("level %d: the cell of %v comes before the one below it", level, v)
			}
			last, cells[c] = c, true
		}
		switch n := len(cells); {
		case level == 0 && n != len(ascending), level == MaxLevel && n > 4:
			t.Errorf("level %d: %d cells", level, n)
		}
	}
	if Cell(math.Copysign(0, -1), 0) != Cell(0, 0) {
		t.Error("-0 is not 0")
	}
	if Cell(1, 1) != Cell(1+1.0/129, 1) || Cell(1, 1) == Cell(1+1.0/128, 1) || Cell(1, 2) != Cell(1+1.0/65, 2) || Cell(1, 2) == Cell(1+1.0/64, 2) {
		t.Error("the width of a cell")
	}
}

func TestJoin(t *testing.T) {
	for _, c := range []struct{ v1, w1, v2, w2, mean, weight float64 }{
		{1, 1, 3, 1, 2, 2},
		{3, 1, 1, 3, 1.5, 4},
		{7, 0.3, 7, 0.1, 7, 0.4},
		{0.1, 1e300, 0.1 + 1e-17, 1, 0.1, 1e300},
		{1, math.MaxFloat64, 2, math.MaxFloat64, 2, math.MaxFloat64}, // a weight that cannot be said
	} {
		if mean, weight := Join(c.v1, c.w1, c.v2, c.w2); mean != c.mean || weight != c.weight {
			t.Errorf("%+v: %v with weight %v", c, mean, weight)
		}
	}
	if mean, _ := Join(math.Copysign(0, -1), 1, 0, 1); math.Signbit(mean) {
		t.Error("-0 and 0 are -0")
	}
}

// What is merged keeps its count and its sum, and is as few as the level says.
func TestMerge(t *testing.T) {
	type point struct{ v, w float64 }
	var list []point
	sum, count := 0.0, 0.0
	for i := range 10_000 {
		p := point{1 + float64(i)/1000, 1 + float64(i%3)}
		list = append(list, p)
		sum, count = sum+p.v*p.w, count+p.w
	}
	for level := range MaxLevel + 1 {
		before := len(list)
		list = Merge(list,
			func(a, b *point) bool { return Cell(a.v, level) == Cell(b.v, level) },
			func(a, b *point) { a.v, a.w = Join(a.v, a.w, b.v, b.w) })
		gotSum, gotCount := 0.0, 0.0
		for i, p := range list {
			gotSum, gotCount = gotSum+p.v*p.w, gotCount+p.w
			if i > 0 && Cell(list[i-1].v, level) >= Cell(p.v, level) {
				t.Fatalf("level %d: two in one cell", level)
			}
		}
		if math.Abs(gotSum/sum-1) > 1e-9 || gotCount != count || len(list) > before {
			t.Errorf("level %d: %d points, sum %v of %v, count %v of %v", level, len(list), gotSum, sum, gotCount, count)
		}
	}
	if len(list) != 2 { // below 2 and above
		t.Errorf("%d points at the last level", len(list))
	}
}
