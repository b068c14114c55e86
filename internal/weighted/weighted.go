// Package weighted makes weighted values fewer, where there are too many to keep
// each: neighbours become one, with their weighted mean, so that count and sum
// stay as they were and a quantile moves by less than the width of a
// neighbourhood.
package weighted

import (
	"math"

	"scriptbridge/internal/floats"
)

// MaxLevel leaves four cells: below and above 0, near to it and far.
const MaxLevel = 18

// Cell is the same for values that are neighbours at a level, and the order of
// cells is that of the values. At level 0 only equal values are neighbours, at
// level 1 those within 1/128 of their value, and within twice that at each
// further level.
func Cell(v float64, level int) uint64 {
	key := floats.Key(v)
	if level == 0 {
		return key
	}
	shift := 52 - 7 + level - 1 // of the 52 bits behind the point 7 are left at level 1
	return key >> shift << shift
}

// Join makes one of two neighbours. The mean lies between them whatever is
// rounded, so that it is in the same cell.
func Join(v1, weight1, v2, weight2 float64) (mean, weight float64) {
	weight = min(weight1+weight2, math.MaxFloat64)
	if v1 == v2 {
		return v1 + 0, weight // -0 and 0 are 0
	}
	mean = v1 + (v2-v1)*(weight2/weight)
	return min(max(mean, min(v1, v2)), max(v1, v2)), weight
}

// Merge joins all that follow each other in a list and are the same. It
// overwrites the list.
func Merge[P any](list []P, same func(a, b *P) bool, join func(into, from *P)) []P {
	kept := list[:0]
	for i := range list {
		if last := len(kept) - 1; last >= 0 && same(&kept[last], &list[i]) {
			join(&kept[last], &list[i])
		} else {
			kept = append(kept, list[i])
		}
	}
	return kept
}
