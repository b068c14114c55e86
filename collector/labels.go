package collector

import (
	"slices"
	"strings"
	"unicode/utf8"

	"scriptbridge/record"
)

// This file makes name{labels} of a sample.

// labelLayout is how the labels of a metric's samples become text, for one list of
// label names: worked out once for all samples that carry these names.
type labelLayout struct {
	raw     []string
	dims    []string // the declared dimensions
	frame   frame
	labels  []label // in the order of the page
	refused bool    // a label name is too long
}

// frame is what the labels of a sample stand among. No label of the operator
// has a name that is needed for that.
type frame struct {
	subject  subject
	bound    string // of a part or a distribution,
	observed bool   // which no label of the source can have either
}

// names reports whether the sample's subject is shown by a label of that name.
func (f frame) names(label string) bool {
	return f.subject > 0 && (label == "subject" || label == f.subject.kind())
}

// kind is the label that has the subject's name.
func (s subject) kind() string { return record.SubjectKind(s - 1).String() }

// subject is whether a labelLayout shows its samples' subject, and of which kind:
// one more than the kind, or 0.
type subject uint8

// subjectOf is what a sample shows of its subject. A script's samples are
// this host's, whatever they say; a receiver's zero Subject is nothing said.
func (s *source) subjectOf(smp *record.Sample) subject {
	if s.def.Kind != record.Receiver || smp.Subject == (record.Subject{}) {
		return 0
	}
	return subject(smp.Subject.Kind) + 1
}

// label is one of a labelLayout's: of the bridge, ready-made, or the sample's.
type label struct {
	name  string
	value string // of the bridge's; escaped
	from  int    // index into the sample's labels, or one of those below
}

const (
	fromBridge  = -1
	fromSubject = -2 // the name of the sample's subject
)

// of is the label's value in a sample; that of a label of the bridge is escaped
// already.
func (l *label) of(smp *record.Sample) string {
	switch l.from {
	case fromBridge:
		return l.value
	case fromSubject:
		return smp.Subject.Name
	default:
		return smp.Labels[l.from].Value
	}
}

// fits says whether the sample has these label names.
func (lay *labelLayout) fits(labels []record.Label, frame frame) bool {
	if len(lay.raw) != len(labels) || lay.frame != frame {
		return false
	}
	for i := range labels {
		if lay.raw[i] != labels[i].Name {
			return false
		}
	}
	return true
}

// labelLayout finds or makes that of a metric's sample.
func (s *source) labelLayout(m *metric, smp *record.Sample) *labelLayout {
	frame := frame{subject: s.subjectOf(smp)}
	switch {
	case m.part() != nil:
		frame.bound = m.part().bound
	case m.bounds() != nil:
		frame.bound, frame.observed = m.bounds().label(), true
	}
	if m.labels != nil && m.labels.fits(smp.Labels, frame) {
		return m.labels
	}
	var dims []string
	if m.meta != nil {
		dims = m.meta.Dimensions
	}
	for _, lay := range s.labelLayouts {
		if lay.fits(smp.Labels, frame) && slices.Equal(lay.dims, dims) {
			m.labels = lay
			return lay
		}
	}
	if len(s.labelLayouts) >= 64 {
		s.labelLayouts = nil
	}
	m.labels = s.newLabelLayout(smp.Labels, dims, frame)
	s.labelLayouts = append(s.labelLayouts, m.labels)
	return m.labels
}

func (s *source) newLabelLayout(labels []record.Label, dims []string, frame frame) *labelLayout {
	lay := &labelLayout{dims: dims, frame: frame}
	for _, l := range labels {
		lay.raw = append(lay.raw, l.Name)
	}
	reserved := make([]string, 0, len(s.labels)+3)
	for _, l := range s.labels {
		if l.Name == frame.bound || frame.names(l.Name) {
			continue
		}
		reserved = append(reserved, l.Name)
		lay.labels = append(lay.labels, label{name: l.Name, value: string(appendEscaped(nil, l.Value)), from: fromBridge})
	}
	if frame.observed {
		reserved = append(reserved, frame.bound)
	}
	if frame.subject > 0 {
		kind := frame.subject.kind()
		reserved = append(reserved, "subject", kind)
		lay.labels = append(lay.labels, label{name: "subject", value: kind, from: fromBridge}, label{name: kind, from: fromSubject})
	}
	clean := labelName
	if s.def.Verbatim {
		clean = keepLabelName
	}
	for i, name := range labelNames(reserved, lay.raw, dims, clean) {
		lay.labels = append(lay.labels, label{name: name, from: i})
		lay.refused = lay.refused || len(name) > maxName
	}
	// One order for all sources, whoever's label it is: equal series have
	// equal texts.
	slices.SortFunc(lay.labels, func(a, b label) int { return compareLabels(a.name, b.name) })
	return lay
}

// compareLabels is the order of labels on the page: script, which most queries
// ask for, in front.
func compareLabels(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == "script":
		return -1
	case b == "script":
		return 1
	}
	return strings.Compare(a, b)
}

// appendSeries appends name{labels} of a sample, without one of the labels
// unless that is empty. Labels with empty values are left out: to Prometheus
// they are not there.
func (s *source) appendSeries(dst []byte, name string, m *metric, smp *record.Sample, without string) ([]byte, *refusal) {
	if len(smp.Labels) > maxLabels {
		return dst, tooManyLabels(smp)
	}
	lay := s.labelLayout(m, smp)
	if lay.refused {
		return dst, labelNameTooLong
	}
	dst = append(dst, name...)
	open := byte('{')
	for i := range lay.labels {
		l := &lay.labels[i]
		value := l.of(smp)
		if value == "" || l.name == without {
			continue
		}
		dst = append(dst, open)
		open = ','
		dst = append(dst, l.name...)
		dst = append(dst, '=', '"')
		if l.from == fromBridge {
			dst = append(dst, value...)
		} else if len(value) > maxValue {
			return dst, valueTooLong(l.name, len(value))
		} else {
			dst = appendEscaped(dst, value)
		}
		dst = append(dst, '"')
	}
	if open == ',' {
		dst = append(dst, '}')
	}
	return dst, nil
}

// appendLabels appends name{labels} for a series that the bridge makes; the names are valid
// and different.
func appendLabels(dst []byte, name string, labels []record.Label) []byte {
	dst = append(dst, name...)
	open := byte('{')
	for _, l := range labels {
		if l.Value == "" {
			continue
		}
		dst = append(dst, open)
		open = ','
		dst = append(dst, l.Name...)
		dst = append(dst, '=', '"')
		dst = appendEscaped(dst, l.Value)
		dst = append(dst, '"')
	}
	if open == ',' {
		dst = append(dst, '}')
	}
	return dst
}

// appendEscaped appends a label value as valid UTF-8, escaped for both formats.
func appendEscaped(dst []byte, value string) []byte {
	if !utf8.ValidString(value) {
		value = strings.ToValidUTF8(value, "\uFFFD")
	}
	from := 0
	for i := 0; i < len(value); i++ {
		var escaped string
		switch value[i] {
		case '\\':
			escaped = `\\`
		case '"':
			escaped = `\"`
		case '\n':
			escaped = `\n`
		default:
			continue
		}
		dst = append(dst, value[from:i]...)
		dst = append(dst, escaped...)
		from = i + 1
	}
	return append(dst, value[from:]...)
}
