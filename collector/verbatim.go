package collector

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"

	"scriptbridge/record"
)

// This file shows what a source printed as a Prometheus exposition: names,
// types, units and help as they are, through none of the rules of name.go
// (spec/mapping.md, Types). What remains to be done is to know which family a
// sample belongs to, in either format, and to keep the parts of a histogram
// together.

// part is which of its family's samples a metric is, where these have several
// names: foo_bucket, foo_sum and foo_count.
type part struct {
	group string // what stands in front of the labels in the key
	rank  byte   // among the samples of one group
	bound string // the label whose value is a number: le, quantile, or none
}

// histogramParts and summaryParts are in the order in which a page has them.
var (
	histogramParts = []string{"", "_bucket", "_sum", "_count", "_created"}
	summaryParts   = []string{"", "_sum", "_count", "_created"}
)

// keepMetric finds out how a printed metric stands on the page.
func (s *source) keepMetric(name string, meta *record.Meta) *metric {
	m := &metric{meta: meta, sample: name}
	family, typ, unit := name, record.Unknown, ""
	if meta != nil {
		family, typ, unit = meta.Name, meta.Type, meta.Unit
		m.help = cut(strings.ToValidUTF8(meta.Help, "\uFFFD"), maxValue)
		if meta.Rename != "" {
			suffix, ok := strings.CutPrefix(name, family)
			if !ok {
				suffix = ""
			}
			family, m.sample = meta.Rename, meta.Rename+suffix
		}
	}
	if s.prefix != "" {
		family, m.sample = s.prefix+"_"+family, s.prefix+"_"+m.sample
	}
	m.id.kind, m.family = unknown, m.sample
	switch typ {
	case record.Gauge:
		m.id.kind = gauge
	case record.Counter:
		m.keepCounter(family)
	case record.Info:
		if f, ok := strings.CutSuffix(m.sample, "_info"); ok && f != "" {
			m.id.kind, m.family = info, f
		}
	case record.Histogram:
		m.keepPart(family, histogram, histogramParts, model.BucketLabel)
	case record.Summary:
		m.keepPart(family, summary, summaryParts, model.QuantileLabel)
	}
	m.id.name = m.family
	if strings.HasSuffix(m.family, "_"+unit) {
		m.unit = unit
	}
	if !model.LegacyValidation.IsValidMetricName(m.family) { // the rest of the name is ours
		m.refused = badName(m)
	}
	return m
}

// keepCounter tells foo_total, which is a counter in both formats, from hits,
// which OpenMetrics calls unknown, and from foo_created, which says when a
// foo_total began. family is foo in OpenMetrics and foo_total in text.
func (m *metric) keepCounter(family string) {
	m.id.kind = bareCounter
	if f, ok := strings.CutSuffix(m.sample, "_total"); ok && f != "" {
		m.id.kind, m.family = counter, f
		return
	}
	f, ok := strings.CutSuffix(m.sample, "_created")
	if ok && f != "" && f == strings.TrimSuffix(family, "_total") {
		m.id.kind, m.family = counter, f
		m.part = &part{group: f + "_total", rank: 1} // behind the total, whose key has no such end
	}
}

// keepPart makes the metric a part of its family; one that is named like none
// stays unknown.
func (m *metric) keepPart(family string, kind kindOf, parts []string, bound string) {
	for i, suffix := range parts {
		if m.sample == family+suffix {
			m.id.kind, m.family = kind, family
			m.part = &part{group: family, rank: byte(i), bound: bound}
			return
		}
	}
}

// keyEnd begins what a key has behind a text. It stands in no text: those are
// valid UTF-8.
const keyEnd = '\xff'

// appendKey appends the key of a sample's series, which is its text but for a
// part of a histogram and the like. There it is the family with all labels but
// the bound, the part, and the bound as a number: so that the parts of one
// group stand together, in their order, and that le="1" and le="1.0", which
// are the same to Prometheus, are the same series.
func (s *source) appendKey(dst []byte, m *metric, smp *record.Sample) ([]byte, *refusal) {
	if m.part == nil {
		return s.appendSeries(dst, m.sample, m, smp, "")
	}
	dst, refused := s.appendSeries(dst, m.part.group, m, smp, m.part.bound)
	if refused != nil {
		return dst, refused
	}
	dst = append(dst, keyEnd, m.part.rank)
	if m.part.bound == "" {
		return dst, nil
	}
	for i := range m.shape.labels {
		if l := &m.shape.labels[i]; l.name == m.part.bound {
			return appendBound(dst, l.of(smp)), nil
		}
	}
	return dst, nil
}

// appendBound appends the value of le or quantile so that the order of bytes
// is that of numbers. What is no number stands behind those, as it is.
func appendBound(dst []byte, value string) []byte {
	if value == "" {
		return dst
	}
	f, err := strconv.ParseFloat(value, 64) // as Prometheus's parser does
	if err != nil {
		return append(append(dst, 1), strings.ToValidUTF8(value, "\uFFFD")...)
	}
	bits := math.Float64bits(f + 0) // -0 is 0
	if math.Signbit(f + 0) {
		bits = ^bits
	} else {
		bits |= 1 << 63
	}
	return binary.BigEndian.AppendUint64(append(dst, 0), bits)
}
