package main

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// tooSteep is the exponent from which growth is worse than linear: an exponent of 1.15 is a
// cost of each that grows by two fifths while their number grows tenfold, as caches
// that no longer hold everything make it.
const tooSteep = 1.15

// growth is one unit of one benchmark by size.
type growth struct {
	about  benchmark
	config string
	of     string // what the size counts
	unit   string
	sizes  []int
	values []float64
}

// each are units a thing, of which a size has so many; of others the figure is of all.
var each = []string{"series", "script", "sample", "line", "event", "point", "value", "distribution", "object", "metric", "run", "hour"}

// cost is what one of so many costs.
func (g growth) cost(i int) float64 {
	if _, per, ok := strings.Cut(g.unit, "/"); ok && slices.Contains(each, per) {
		return g.values[i]
	}
	return g.values[i] / float64(g.sizes[i])
}

// exponent is that of the growth between two of its sizes.
func (g growth) exponent(from, to int) float64 {
	return 1 + math.Log(g.cost(to)/g.cost(from))/math.Log(float64(g.sizes[to])/float64(g.sizes[from]))
}

// exponents are the largest between two neighbouring sizes, that between the two
// largest, and that between the smallest and the largest.
func (g growth) exponents() (steepest, last, whole float64) {
	steepest = math.Inf(-1)
	for i := 1; i < len(g.sizes); i++ {
		last = g.exponent(i-1, i)
		steepest = max(steepest, last)
	}
	return steepest, last, g.exponent(0, len(g.sizes)-1)
}

// tooSteep: what rises between two sizes and not beyond them, as where a cache is
// full, is not.
func (g growth) tooSteep() bool {
	_, last, whole := g.exponents()
	return max(last, whole) > tooSteep
}

// growths are of all benchmarks that have several sizes: of each unit that has a
// limit, or else of the main one, but never of a ratio to a rival.
func growths(results []*result) (all []growth) {
	for _, family := range families(results) {
		about := aboutOf(family[0].job.key())
		if about.part == hosts { // which are no sizes of one thing
			continue
		}
		for _, unit := range family.growing() {
			g := growth{about: about, config: family[0].config, of: family[0].of, unit: unit}
			for _, r := range family {
				if f := r.figure(unit); f != nil && r.size > 0 && f.value > 0 {
					g.sizes, g.values = append(g.sizes, r.size), append(g.values, f.value)
				}
			}
			if len(g.sizes) > 1 {
				all = append(all, g)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b growth) int {
		return cmp.Compare(slices.Index(parts, a.about.part), slices.Index(parts, b.about.part))
	})
	return all
}

// family is one sub-benchmark in all its sizes, in their order.
type family []*result

func families(results []*result) (all []family) {
	at := make(map[string]int)
	for _, r := range results {
		key := r.job.key() + "\n" + r.config + "\n" + r.of
		i, ok := at[key]
		if !ok {
			i = len(all)
			at[key] = i
			all = append(all, nil)
		}
		all[i] = append(all[i], r)
	}
	for _, f := range all {
		slices.SortFunc(f, func(a, b *result) int { return cmp.Compare(a.size, b.size) })
	}
	return all
}

const ratio = "x-" // how units begin that are times a rival's

// growing are the units that growth is about.
func (f family) growing() (units []string) {
	for _, r := range f {
		for _, g := range r.figures {
			if g.limited && g.limit > 0 && !strings.HasPrefix(g.unit, ratio) && !slices.Contains(units, g.unit) {
				units = append(units, g.unit)
			}
		}
	}
	if main := f.mainUnit(); len(units) == 0 && main != "" && !strings.HasPrefix(main, "allocs") {
		units = append(units, main)
	}
	return units
}

// mainUnit is the one that is shown where there is no limit: of what is measured,
// rather than of what is counted; never a ratio.
func (f family) mainUnit() (unit string) {
	for _, r := range f {
		for _, g := range r.figures {
			if counts := strings.HasPrefix(g.unit, "allocs"); !strings.HasPrefix(g.unit, ratio) && (unit == "" || strings.HasPrefix(unit, "allocs") && !counts) {
				unit = g.unit
			}
		}
	}
	return unit
}
