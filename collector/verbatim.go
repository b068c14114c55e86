package collector

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"

	"scriptbridge/internal/floats"
	"scriptbridge/record"
)

// This file shows what a source printed as a Prometheus exposition: names,
// types, units and help as they are, through none of the rules of name.go. What
// remains to be done is to know which family a sample belongs to, in either
// format, and to keep the parts of a histogram together.

// part is which of its family's samples a metric is, where these have several
// names: foo_bucket, foo_sum and foo_count.
type part struct {
	group string // what stands in front of the labels in the key
	rank  byte   // among the samples of one group
	bound string // the label whose value is a number: le, quantile, or none
}

// keepMetric finds out how a printed metric stands on the page.
func (s *source) keepMetric(name string, meta *record.Meta, observed bool) *metric {
	m := &metric{called: name, meta: meta, sample: name, printed: true}
	family, typ, unit := name, record.Unknown, ""
	if meta != nil {
		family, typ, unit = meta.Name, meta.Type, meta.Unit
		if rename := meta.More().Rename; rename != "" {
			suffix, ok := strings.CutPrefix(name, family)
			if !ok {
				suffix = ""
			}
			family, m.sample = rename, rename+suffix
		}
	}
	if s.prefix != "" {
		family, m.sample = s.prefix+"_"+family, s.prefix+"_"+m.sample
	}
	m.keepFamily(unknown, m.sample)
	switch {
	case observed:
		m.own().bounds = boundsOf(meta)
		m.kind = m.bounds().kind
	case typ == record.Gauge:
		m.kind = gauge
	case typ == record.Counter:
		m.keepCounter(family)
	case typ == record.Info:
		if f, ok := strings.CutSuffix(m.sample, "_info"); ok && f != "" {
			m.keepFamily(info, f)
		}
	case partsOf[kindOfType[typ]] != nil:
		if family, end, ok := cutPart(m.sample, family, kindOfType[typ]); ok {
			m.kind = kindOfType[typ]
			m.keepPart(family, end)
		}
	}
	if strings.HasSuffix(m.family(), "_"+unit) {
		m.unitLen = uint16(len(unit))
	}
	if !model.LegacyValidation.IsValidMetricName(m.family()) { // the rest of the name is ours
		m.own().refused = s.badName(m)
	}
	return m
}

// keepFamily makes the metric one of a family of this kind.
func (m *metric) keepFamily(kind kindOf, family string) {
	m.kind, m.familyLen = kind, uint32(len(family))
}

// keepCounter tells foo_total, which is a counter in both formats, from hits,
// which OpenMetrics calls unknown, and from foo_created, which says when a
// foo_total began. family is foo in OpenMetrics and foo_total in text.
func (m *metric) keepCounter(family string) {
	m.kind = bareCounter
	if f, ok := strings.CutSuffix(m.sample, "_total"); ok && f != "" {
		m.keepFamily(counter, f)
		return
	}
	f, ok := strings.CutSuffix(m.sample, "_created")
	if ok && f != "" && f == strings.TrimSuffix(family, "_total") {
		m.keepFamily(counter, f)
		m.own().part = createdPart(f)
	}
}

// createdPart is foo_created of a counter: behind its total, whose key has no
// such end.
func createdPart(family string) *part { return &part{group: family + "_total", rank: 1} }

// partsOf are the ends that the names of a kind's samples can have, in the
// order in which a page has them; nil where all have one name.
var partsOf = [...][]string{
	histogram: {"", "_bucket", "_sum", "_count", "_created"},
	summary:   {"", "_sum", "_count", "_created"},
}

// cutPart cuts a name into that of its family and the end of one of the parts
// of a kind; ok is false, and the name left whole, where it is named like none.
func cutPart(name, family string, kind kindOf) (before, end string, ok bool) {
	end, ok = strings.CutPrefix(name, family)
	if !ok || !slices.Contains(partsOf[kind], end) {
		return name, "", false
	}
	return family, end, true
}

// keepPart makes the metric the part with this end of a family of its kind.
func (m *metric) keepPart(family, end string) {
	bound := model.QuantileLabel
	if m.kind == histogram {
		bound = model.BucketLabel
	}
	if m.sample != family+end {
		m.sample = family + end
	}
	m.familyLen = uint32(len(family))
	m.own().part = &part{group: family, rank: byte(slices.Index(partsOf[m.kind], end)), bound: bound}
}

// keyEnd begins what a key has behind a text. It stands in no text: those are
// valid UTF-8.
const keyEnd = '\xff'

// appendKey appends the key of a sample's series, which is its text but for a
// part of a histogram and the like. There it is the family with all labels but
// the bound, the part, and the bound as a number: so that the parts of one
// group stand together, in their order, and that le="1" and le="1.0", which
// are the same to Prometheus, are the same series. A distribution that is
// observed is the whole group.
func (s *source) appendKey(dst []byte, m *metric, smp *record.Sample) ([]byte, *refusal) {
	if m.part() == nil {
		dst, refused := s.appendSeries(dst, m.sample, m, smp, "")
		if m.bounds() != nil {
			dst = append(dst, keyEnd)
		}
		return dst, refused
	}
	dst, refused := s.appendSeries(dst, m.part().group, m, smp, m.part().bound)
	if refused != nil {
		return dst, refused
	}
	dst = append(dst, keyEnd, m.part().rank)
	if m.part().bound == "" {
		return dst, nil
	}
	for i := range m.labels.labels {
		if l := &m.labels.labels[i]; l.name == m.part().bound {
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
	return appendBoundKey(dst, f)
}

func appendBoundKey(dst []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, 0), floats.Key(f))
}
