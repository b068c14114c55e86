// Package sketch counts observations so that quantiles of them are known to within one
// percent, as DDSketch does, by its mapping of values to indices. It is made for
// many sketches of few observations, and takes a few hundred bytes for each.
package sketch

import (
	"encoding/binary"
	"math"

	"github.com/DataDog/sketches-go/ddsketch/mapping"
)

const (
	// accuracy is how far a quantile may be off, relative to its value.
	accuracy = 0.01
	// maxBins bounds the memory of a sketch: nine decades have room. Where
	// values are spread wider, those nearest to zero lose accuracy.
	maxBins = 1024
)

var index, _ = mapping.NewLogarithmicMapping(accuracy) // which is one between 0 and 1

// Sketch holds observations. The zero value is ready.
type Sketch struct {
	min, max float64
	count    float64
	zero     float64 // how many were next to 0
	above    bins    // those above,
	below    *bins   // and below, with their signs changed; nil where there was none
}

// Add takes in weight times a value, which is finite; weight is above 0.
func (s *Sketch) Add(value, weight float64) {
	highest, lowest := index.MaxIndexableValue(), index.MinIndexableValue()
	value = min(max(value, -highest), highest)
	if s.count == 0 {
		s.min, s.max = value, value
	}
	s.min, s.max, s.count = min(s.min, value), max(s.max, value), s.count+weight
	switch {
	case value > lowest:
		s.above.add(index.Index(value), weight)
	case value < -lowest:
		if s.below == nil {
			s.below = new(bins)
		}
		s.below.add(index.Index(-value), weight)
	default:
		s.zero += weight
	}
}

// Quantiles puts into dst the quantiles of all that some sketches hold, each of which may be
// nil: NaN where that is nothing.
func Quantiles(dst, quantiles []float64, sketches []*Sketch) {
	var all Sketch
	var above, below []*bins
	for _, s := range sketches {
		switch {
		case s == nil || s.count == 0:
			continue
		case all.count == 0:
			all.min, all.max = s.min, s.max
		}
		all.min, all.max, all.count, all.zero = min(all.min, s.min), max(all.max, s.max), all.count+s.count, all.zero+s.zero
		above = append(above, &s.above)
		if s.below != nil {
			below = append(below, s.below)
		}
	}
	positive, negative := merge(above), merge(below)
	for i, q := range quantiles {
		if dst[i] = math.NaN(); all.count == 0 {
			continue
		}
		rank, value := float64(nearestRank(q, all.count)*(all.count-1)), 0.0
		switch {
		case rank < negative.total:
			value = -index.Value(negative.indexAt(negative.total - 1 - rank))
		case rank >= all.zero+negative.total:
			value = index.Value(positive.indexAt(rank - all.zero - negative.total))
		}
		dst[i] = min(max(value, all.min), all.max)
	}
}

// bins are counts by consecutive indices. Most counts are small, and most sources
// observe for years what a page asks for: a count takes 1, 2 or 4 bytes for as long as
// it fits, and 8 where it does not or is no whole number.
type bins struct {
	first  int // the index of the first
	counts []byte
	width  int // of a count
}

func (b *bins) len() int { return len(b.counts) / max(b.width, 1) }

// at is the count at a position.
func (b *bins) at(i int) float64 {
	if b.width == 1 {
		return float64(b.counts[i])
	}
	switch at := b.counts[i*b.width:]; b.width {
	case 2:
		return float64(binary.LittleEndian.Uint16(at))
	case 4:
		return float64(binary.LittleEndian.Uint32(at))
	default:
		return math.Float64frombits(binary.LittleEndian.Uint64(at))
	}
}

func (b *bins) set(i int, count float64) {
	switch at := b.counts[i*b.width:]; b.width {
	case 1:
		at[0] = byte(count)
	case 2:
		binary.LittleEndian.PutUint16(at, uint16(count))
	case 4:
		binary.LittleEndian.PutUint32(at, uint32(count))
	default:
		binary.LittleEndian.PutUint64(at, math.Float64bits(count))
	}
}

// add counts weight more at an index. Where there would be more than maxBins, the
// lowest become one.
func (b *bins) add(index int, weight float64) {
	if n := b.len(); n == 0 {
		b.resize(index, 1, 1)
	} else if index < b.first && b.first+n-index > maxBins {
		b.resize(b.first+n-maxBins, maxBins, b.width)
		index = b.first
	} else if index < b.first {
		b.resize(index, b.first+n-index, b.width)
	} else if more := index - (b.first + n - 1); more > 0 {
		b.resize(max(b.first, index-maxBins+1), min(n+more, maxBins), b.width)
	}
	count := b.at(index-b.first) + weight
	width := 1
	switch {
	case count != math.Trunc(count) || count > math.MaxUint32:
		width = 8
	case count > math.MaxUint16:
		width = 4
	case count > math.MaxUint8:
		width = 2
	}
	if width > b.width {
		b.resize(b.first, b.len(), width)
	}
	b.set(index-b.first, count)
}

// resize makes the bins n of a width from first on; what is lower is counted there.
func (b *bins) resize(first, n, width int) {
	was := *b
	*b = bins{first, make([]byte, n*width), width}
	for i := range was.len() {
		if count := was.at(i); count > 0 {
			b.add(max(was.first+i, first), count)
		}
	}
}

// merged are the counts of several bins.
type merged struct {
	first  int // the index of the first
	counts []float64
	total  float64
}

// merge adds up bins.
func merge(all []*bins) (m merged) {
	from, to := math.MaxInt, math.MinInt
	for _, b := range all {
		if n := b.len(); n > 0 {
			from, to = min(from, b.first), max(to, b.first+n)
		}
	}
	if from > to {
		return m
	}
	m.first = max(from, to-maxBins)
	m.counts = make([]float64, to-m.first)
	for _, b := range all {
		from := b.first - m.first
		for i := range b.len() {
			if count := b.at(i); count > 0 {
				m.counts[max(from+i, 0)] += count
				m.total += count
			}
		}
	}
	return m
}

// indexAt is the index of the value of a rank, from 0.
func (m *merged) indexAt(rank float64) int {
	sum := 0.0
	for i, count := range m.counts {
		if sum += count; sum > max(rank, 0) {
			return m.first + i
		}
	}
	return m.first + len(m.counts) - 1
}

// nearestRank is the share to ask the sketch for so that it gives the smallest
// of n values that is not below a share q of them, as client_golang shows it.
// Asked for q itself it gives, of two values, the smaller for 0.99.
func nearestRank(q, n float64) float64 {
	if n <= 1 {
		return q
	}
	rank := max(0, math.Ceil(q*n)-1)
	share := rank / (n - 1)
	if share*(n-1) < rank { // rounded: it would be the value before
		share = math.Nextafter(share, 2)
	}
	return min(share, 1)
}
