package collector

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"scriptbridge/internal/sketch"
	"scriptbridge/record"
)

// This file is what becomes of samples that are Observed: summaries and
// histograms that are ours. A distribution is one series in memory, and as
// many lines on the page as its bounds make. An observation costs the same
// whatever its weight.

// boundSet is which lines a distribution has: those of its bounds, then _sum and
// _count.
type boundSet struct {
	kind   kindOf    // summary or histogram
	values []float64 // quantiles, or upper bounds up to +Inf; ascending
}

var defaultQuantiles = []float64{0.5, 0.9, 0.99}

// boundsOf reads what a source knows of a metric that it observes.
func boundsOf(meta *record.Meta) *boundSet {
	l := &boundSet{kind: summary, values: defaultQuantiles}
	switch {
	case meta == nil:
	case meta.Type == record.Histogram:
		l.kind = histogram
		l.values = append(ascending(meta.More().Buckets, -math.MaxFloat64, math.MaxFloat64), math.Inf(1))
	case meta.More().Quantiles != nil:
		l.values = ascending(meta.More().Quantiles, 0, 1)
	}
	return l
}

// ascending gives those of the values that lie between two others, in order
// and each once.
func ascending(values []float64, from, to float64) []float64 {
	var all []float64
	for _, v := range values {
		if v >= from && v <= to {
			all = append(all, v+0) // -0 is 0
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (l *boundSet) equal(o *boundSet) bool {
	return l == o || l.kind == o.kind && slices.Equal(l.values, o.values)
}

// lines is their number.
func (l *boundSet) lines() int { return len(l.values) + 2 }

// label is the one that tells the lines of the bounds apart.
func (l *boundSet) label() string {
	if l.kind == histogram {
		return model.BucketLabel
	}
	return model.QuantileLabel
}

// appendLine appends the i-th line's name{labels}; text is the family's.
func (l *boundSet) appendLine(dst []byte, text string, i int, f format) []byte {
	name, labels := text, ""
	if at := strings.IndexByte(text, '{'); at >= 0 {
		name, labels = text[:at], text[at:]
	}
	dst = append(dst, name...)
	switch i - len(l.values) {
	case 0:
		return append(append(dst, "_sum"...), labels...)
	case 1:
		return append(append(dst, "_count"...), labels...)
	}
	if l.kind == histogram {
		dst = append(dst, "_bucket"...)
	}
	if labels == "" {
		dst = append(dst, '{')
	} else {
		dst = append(dst, labels[:len(labels)-1]...)
		dst = append(dst, ',')
	}
	dst = append(append(dst, l.label()...), '=', '"')
	dst = appendBoundText(dst, l.values[i], f)
	return append(dst, '"', '}')
}

// appendBoundText spells a bound as client_golang does in each format.
func appendBoundText(dst []byte, v float64, f format) []byte {
	if math.IsInf(v, 1) {
		return append(dst, "+Inf"...)
	}
	from := len(dst)
	dst = strconv.AppendFloat(dst, v, 'g', -1, 64)
	if f == openMetrics && !bytes.ContainsAny(dst[from:], ".e") {
		dst = append(dst, ".0"...)
	}
	return dst
}

// appendTail appends what the i-th line would have in its key behind keyEnd if
// it were Set (verbatim.go): lines with equal keys cannot stand on one page.
func (l *boundSet) appendTail(dst []byte, i int) []byte {
	first := byte(0) // part of those of partsOf that the first line is
	if l.kind == histogram {
		first = 1
	}
	if n := i - len(l.values); n >= 0 {
		return append(dst, first+1+byte(n))
	}
	return appendBoundKey(append(dst, first), l.values[i])
}

// has says whether a line has this tail.
func (l *boundSet) has(tail []byte) bool {
	var own []byte
	for i := range l.lines() {
		if own = l.appendTail(own[:0], i); bytes.Equal(own, tail) {
			return true
		}
	}
	return false
}

// distribution is what a series has observed.
type distribution struct {
	bounds *boundSet
	count  float64 // of observations, each with its weight
	sum    float64
	counts []float64 // of a histogram, for each bound alone
	window window    // of a summary
	shown  []float64 // what values gave; stale once something changed
	stale  bool
}

// values are those of the lines, in their order; they stay as they are until
// the distribution changes. Counts are shown whole, as OpenMetrics has them,
// though a sample rate may make them fractions: the same rounding for all
// keeps buckets cumulative.
func (d *distribution) values() []float64 {
	if !d.stale {
		return d.shown
	}
	d.stale = false
	n := len(d.bounds.values)
	if d.shown == nil {
		d.shown = make([]float64, n+2)
	}
	total := d.count
	if d.bounds.kind == summary {
		d.window.quantiles(d.shown[:n], d.bounds.values)
	} else {
		total = 0
		for i, c := range d.counts {
			total += c
			d.shown[i] = math.Round(total)
		}
	}
	d.shown[n], d.shown[n+1] = d.sum, math.Round(total)
	return d.shown
}

// observe takes in weight times a value, both finite. It reports false, and
// does nothing, where a sum would become infinite.
func (d *distribution) observe(now instant, value, weight float64) bool {
	sum, count := d.sum+value*weight, d.count+weight
	if math.IsInf(sum, 0) || math.IsInf(count, 0) {
		return false
	}
	d.sum, d.count, d.stale = sum, count, true
	if d.bounds.kind == summary {
		d.window.add(now, value, weight)
		return true
	}
	if d.counts == nil {
		d.counts = make([]float64, len(d.bounds.values))
	}
	at, _ := slices.BinarySearch(d.bounds.values, value)
	d.counts[at] += weight
	return true
}

// ages and ageWidth make a window of ten minutes, as client_golang's summaries have.
const (
	ages     = 5
	ageWidth = 2 * time.Minute
)

// window are the observations of late. Ages begin at the same times for all
// series, so that the page changes for them seldom.
type window [ages]*age

// age is one stretch of a window.
type age struct {
	sketch.Sketch
	ends instant // when it leaves the window
}

// add takes in an observation; what has left the window must be gone.
func (w *window) add(now instant, value, weight float64) {
	n := int64(now) / int64(ageWidth)
	a := &w[n%ages]
	if *a == nil {
		*a = &age{ends: instant((n + ages) * int64(ageWidth))}
	}
	(*a).Add(value, weight)
}

// slide drops what has left the window, and says whether there was any.
func (w *window) slide(now instant) bool {
	slid := false
	for i := range w {
		if w[i] != nil && w[i].ends <= now {
			w[i] = nil
			slid = true
		}
	}
	return slid
}

// due is when something will leave the window next.
func (w *window) due() instant {
	due := never
	for i := range w {
		if w[i] != nil {
			due = min(due, w[i].ends)
		}
	}
	return due
}

// quantiles puts the window's quantiles into dst: NaN when it is empty.
func (w *window) quantiles(dst, quantiles []float64) {
	var all [ages]*sketch.Sketch
	for i, a := range w {
		if a != nil {
			all[i] = &a.Sketch
		}
	}
	sketch.Quantiles(dst, quantiles, all[:])
}
