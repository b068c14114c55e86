package collector

import (
	"bytes"
	"encoding/binary"
	"iter"
	"math"
	"strings"

	"github.com/prometheus/common/model"

	"scriptbridge/internal/floats"
)

// This file keeps the OpenMetrics page readable to who reads it strictly, as
// Python's client does: there a counter below 0, or a histogram without its
// +Inf bucket, costs the whole page. The text format asks for none of this, so
// scripts print it. A family with such a sample is shown as unknown on
// OpenMetrics, each name of its samples by itself, with all its series and
// their values; the text page is as it was said.
//
// node_exporter's textfile collector reads text, but refuses a whole file for a
// bound that is no number, and makes what is missing of a histogram or summary: a
// sum of 0, a count without its fraction. There such a family has no type either.

// recheck marks a block whose values have changed, where any could be amiss.
func (l *layout) recheck(b *block) {
	switch b.family.kind {
	case counter, info, histogram, summary:
	default:
		return
	}
	if !b.unchecked && !b.family.builtin {
		b.unchecked = true
		if l.unchecked == nil {
			l.unchecked = make(map[*block]struct{})
		}
		l.unchecked[b] = struct{}{}
	}
}

// forget is for a block that leaves the layout: nobody may ever ask for the
// OpenMetrics page.
func (l *layout) forget(b *block) {
	b.unchecked = false
	delete(l.unchecked, b)
}

// checkStrict finds out for the blocks that changed in which formats their family
// cannot have its type.
func (l *layout) checkStrict() {
	doubtful := l.unchecked
	l.unchecked = nil
	for b := range doubtful {
		b.unchecked = false
		if loose := b.looseIn(); loose != b.loose {
			l.loosen(b, -1)
			b.loose = loose
			l.loosen(b, 1)
		}
	}
}

// loosen counts by how many more blocks a family is loose, of which b is one, and marks
// the others where that changes how all of them are shown.
func (l *layout) loosen(b *block, by int32) {
	f, changed := b.family, false
	for i := range formats {
		if !b.loose.has(i) {
			continue
		}
		was := f.loose[i] > 0
		f.loose[i] += by
		changed = changed || was != (f.loose[i] > 0)
	}
	if changed {
		for _, b := range f.blocks {
			l.stale(b)
		}
	}
}

// looseIn finds out in which formats the block's series are not as the family's
// type wants them.
func (b *block) looseIn() (loose formatSet) {
	strict := b.strict()
	if !strict {
		loose |= 1 << openMetrics
	}
	if k := b.family.kind; (k == histogram || k == summary) && !(strict && b.whole()) {
		loose |= 1 << textfile
	}
	return loose
}

// whole reports whether each histogram or summary of a block that is strict has a
// sum and a count, and a number for each bound; and whether its counts are such
// that client_golang can hold.
func (b *block) whole() bool {
	const most = 1 << 64
	for group := range b.groups() {
		has := 0 // sum and count
		for _, se := range group {
			if d := se.distribution(); d != nil {
				has = 2
				if values := d.values(); values[len(values)-1] >= most {
					return false
				}
				continue
			}
			switch end, bound, _ := partOf(b.family.kind, se); end {
			case "_sum":
				has++
			case "_count":
				has++
				if se.value >= most {
					return false
				}
			case "", "_bucket":
				if math.IsNaN(bound) {
					return false
				}
			}
		}
		if has != 2 {
			return false
		}
	}
	return true
}

// strict reports whether the block's series are as OpenMetrics wants them of
// the family's type.
func (b *block) strict() bool {
	switch b.family.kind {
	case counter, histogram, summary:
	case info:
		for _, se := range b.series {
			if se.value != 1 {
				return false
			}
		}
		return true
	default:
		return true
	}
	for group := range b.groups() {
		if !strictGroup(b.family.kind, group) {
			return false
		}
	}
	return true
}

// groups gives the block's series in the order of the page: the parts of one
// histogram and the like together.
func (b *block) groups() iter.Seq[[]*series] {
	b.sortSeries()
	return func(yield func([]*series) bool) {
		for from := 0; from < len(b.series); {
			to := from + 1
			for to < len(b.series) && b.series[to].grouped(b.series[from]) {
				to++
			}
			if !yield(b.series[from:to]) {
				return
			}
			from = to
		}
	}
}

// grouped reports whether two series of a block are parts of one histogram and the like.
func (se *series) grouped(o *series) bool {
	if se.ownKey() == "" && o.ownKey() == "" {
		return false // each is whole
	}
	group, _, _ := cutKey(se.key())
	other, _, _ := cutKey(o.key())
	return group == other
}

// cutKey cuts a key where its part begins, if it has one.
func cutKey(key string) (group, part string, ok bool) {
	return strings.Cut(key, "\xff") // keyEnd
}

// strictGroup judges the series of one group, which stand in the order of their
// parts, and a bound's in that of the bounds.
func strictGroup(kind kindOf, group []*series) bool {
	for _, se := range group {
		if se.stamp() != group[0].stamp() {
			return false
		}
		if d := se.distribution(); d != nil && !d.strict() {
			return false
		}
	}
	switch {
	case group[0].distribution() != nil:
		return len(group) == 1 // what was sent ready-made beside it cannot be told right
	case kind == counter:
		return strictTotal(group)
	case kind == summary:
		return strictSummary(group)
	default:
		return strictHistogram(group)
	}
}

// strictTotal: a total is a number from 0 on.
func strictTotal(group []*series) bool {
	_, _, created := cutKey(group[0].ownKey())
	return created || group[0].value >= 0
}

// strictSummary: quantiles are from 0 to 1 and say nothing below 0, nor does the
// sum; the count is a whole number.
func strictSummary(group []*series) bool {
	for _, se := range group {
		switch end, bound, _ := partOf(summary, se); end {
		case "":
			if !(bound >= 0 && bound <= 1) || se.value < 0 {
				return false
			}
		case "_sum":
			if !(se.value >= 0) {
				return false
			}
		case "_count":
			if !isCount(se.value) {
				return false
			}
		}
	}
	return true
}

// strictHistogram: buckets are whole numbers that do not fall, up to one of
// +Inf, which the count is equal to; sum and count are there both or neither,
// the sum from 0 on, and none where a bound is below 0.
func strictHistogram(group []*series) bool {
	var all, count float64
	endless, below, counted, summed := false, false, false, false
	for _, se := range group {
		switch end, bound, spelling := partOf(histogram, se); end {
		case "":
			return false
		case "_bucket":
			if math.IsNaN(bound) || !isCount(se.value) || se.value < all {
				return false
			}
			all = se.value
			below = below || bound < 0
			endless = math.IsInf(bound, 1) && spelling == "+Inf"
		case "_sum":
			summed = true
			if !(se.value >= 0) {
				return false
			}
		case "_count":
			counted, count = true, se.value
		}
	}
	return endless && counted == summed && (!counted || count == all) && !(below && summed)
}

// strict says the same of what was observed, whose counts are right anyway.
func (d *distribution) strict() bool {
	values, n := d.values(), len(d.bounds.values)
	if d.bounds.kind == histogram {
		return d.bounds.values[0] >= 0 && values[n] >= 0
	}
	for _, v := range values[:n+1] { // the sum too
		if v < 0 {
			return false
		}
	}
	return true
}

// partOf reads which part of a histogram or summary a series is, and its bound;
// NaN where there is none.
func partOf(kind kindOf, se *series) (end string, bound float64, spelling string) {
	_, part, ok := cutKey(se.ownKey())
	bound = math.NaN()
	if partsOf[kind] == nil || !ok {
		return "", bound, ""
	}
	end = partsOf[kind][part[0]]
	if len(part) != 1+1+8 || part[1] != 0 { // see appendBound
		return end, bound, ""
	}
	bound = floats.FromKey(binary.BigEndian.Uint64([]byte(part[2:])))
	text := se.text()
	spelling, _ = cutLabel(text[len(sampleOf(text)):], model.BucketLabel)
	return end, bound, spelling
}

// isCount reports whether a value is a whole number from 0 on.
func isCount(v float64) bool { return v >= 0 && v == math.Trunc(v) && !math.IsInf(v, 0) }

// appendLoose appends blocks of a family as unknown ones, one for each name of its
// samples.
func (f *family) appendLoose(dst []byte, as format, blocks []*block) []byte {
	ends := partsOf[f.kind]
	switch f.kind {
	case counter:
		ends = []string{"_total", "_created"}
	case info:
		ends = []string{"_info"}
	}
	help, _ := f.description()
	var lines []byte
	for _, end := range ends {
		name := f.name + end
		lines = lines[:0]
		for _, b := range blocks {
			b.sortSeries()
			for _, se := range b.series {
				lines = se.appendNamed(lines, name, as)
			}
		}
		if len(lines) > 0 {
			dst = appendMeta(dst, as, name, help, unknown.word(as), "")
			dst = append(dst, lines...)
		}
	}
	return dst
}

// appendCanonical appends a series' text with its bound spelled as Prometheus
// spells those of a histogram or summary, whichever way they were printed: under
// another type it would not, and they would be other series.
func appendCanonical(dst []byte, se *series) []byte {
	text := se.text()
	name := sampleOf(text)
	labels := text[len(name):]
	label := model.QuantileLabel
	if se.block.family.kind == histogram {
		label = model.BucketLabel
	}
	from, to, ok := findLabel(labels, label)
	if _, bound, _ := partOf(se.block.family.kind, se); ok && !math.IsNaN(bound) && !math.IsInf(bound, -1) {
		dst = append(append(dst, name...), labels[:from]...)
		return append(appendBoundText(dst, bound, openMetrics), labels[to:]...)
	}
	return append(dst, text...)
}

// appendNamed appends those of a series' lines in a format that begin with a
// name.
func (se *series) appendNamed(dst []byte, name string, as format) []byte {
	if se.distribution() == nil {
		if sampleOf(se.text()) != name {
			return dst
		}
		if as == openMetrics {
			dst = appendCanonical(dst, se)
		} else {
			dst = se.appendText(dst)
		}
		return se.appendNumbers(append(dst, ' '), as)
	}
	for line := range bytes.Lines(se.append(nil, as)) {
		if rest, ok := bytes.CutPrefix(line, []byte(name)); ok && (rest[0] == '{' || rest[0] == ' ') {
			dst = append(dst, line...)
		}
	}
	return dst
}
