package collector

import (
	"slices"
	"strings"
	"unicode/utf8"

	"scriptbridge/internal/texts"
	"scriptbridge/record"
)

const (
	maxName   = 200  // bytes of a name on the page
	maxValue  = 1024 // bytes of a label value, and of HELP
	maxLabels = 128  // of one sample; so that one line cannot fill the page
)

// metricID tells a source's metrics apart where two of them meet in one name.
type metricID struct {
	id   string // the source's own
	name string // as declared or printed
	kind kindOf
	// untyped: the source does not say its type, and the kind is what another
	// source says.
	untyped bool
}

// metric is what the collector knows of one of a source's metrics: the mapping
// of its name, made once and kept.
type metric struct {
	id       metricID
	meta     *record.Meta // nil when nothing is known
	sample   string       // what stands in front of the labels
	family   string       // the name of its family
	part     *part        // which of its family's samples it is; nil where all have one name
	layout   *layout      // the lines of a metric that is observed; nil for others
	unit     string       // for # UNIT; empty when the name does not end in it
	help     string
	declared bool
	refused  *refusal // why none of its samples can be on the page
	shape    *shape   // that of its last sample
	block    *block   // where its last sample went
	as       *metric  // one without a type as another source's (untyped.go)
	plain    *metric  // the reverse: what that one is to its own source
	lost     *refusal // why it could not join its family,
	lostIn   uint32   // in that batch of its source
}

// lines is how many a series of the metric has on the page.
func (m *metric) lines() int {
	if m.layout != nil {
		return m.layout.lines()
	}
	return 1
}

// metricKey is how samples name their metric.
type metricKey struct {
	name     string
	meta     *record.Meta
	observed bool
}

// metric gives the mapping of the metric of samples that are observed, or not.
func (s *source) metric(name string, meta *record.Meta, observed bool) *metric {
	key := metricKey{name, meta, observed}
	m := s.metrics[key]
	if m == nil {
		if len(s.metrics) > 1024+2*len(s.blocks) {
			clear(s.metrics) // a source that makes up names, or Meta, for each batch
		}
		m = s.mapMetric(name, meta, observed)
		for _, n := range claims(m.family, m.id.kind) {
			owner, ok := s.owners[n]
			if ok && owner != m.id && m.refused == nil {
				m.refused = s.duplicateName(m, owner)
			}
			m.declared = m.declared || ok && owner == m.id
		}
		s.metrics[key] = m
	}
	return m
}

// mapMetric maps a metric's name, and refuses one that can never be shown.
func (s *source) mapMetric(name string, meta *record.Meta, observed bool) *metric {
	var m *metric
	if s.def.Verbatim {
		m = s.keepMetric(name, meta, observed)
	} else {
		m = s.makeMetric(name, meta, observed)
	}
	switch {
	case m.refused != nil:
	case len(m.sample) > maxName:
		m.refused = s.nameTooLong(m)
	default:
		m.refused = s.reserves(m)
	}
	return m
}

// makeMetric makes a name of what a source calls its metric. A part of a
// histogram or summary that is Set has the family's name and the part's end.
func (s *source) makeMetric(name string, meta *record.Meta, observed bool) *metric {
	m := &metric{meta: meta, help: name}
	shown, typ, unit, end := name, record.Unknown, "", ""
	if meta != nil {
		typ, unit = meta.Type, meta.Unit
		m.id.id = meta.ID
		if name == "" {
			name = meta.Name
			shown = name
		}
		if kind := kindOfType(typ); !observed && partsOf(kind) != nil {
			family, rest, ok := cutPart(name, meta.Name, kind)
			if !ok {
				typ = record.Unknown
			}
			name, shown, end = family, family, rest
		}
		if meta.Rename != "" {
			shown = meta.Rename
		}
		m.help = name
		if meta.Name != "" {
			m.help = meta.Name
		}
		if meta.Help != "" {
			m.help = meta.Help
		}
	}
	m.help = texts.Cut(strings.ToValidUTF8(m.help, "\uFFFD"), maxValue)
	m.id.name, m.id.kind = name, kindOfType(typ)
	if observed {
		m.layout = layoutOf(meta)
		m.id.kind, typ = m.layout.kind, record.Unknown // which the name does not show
	}
	m.sample, m.unit = mapName(s.prefix, shown, unit, typ, m.id.id)
	m.family = strings.TrimSuffix(m.sample, m.id.kind.suffix())
	if partsOf(m.id.kind) != nil && !observed {
		m.keepPart(m.family, end)
	}
	return m
}

// ownPrefix begins the names of all that we say of sources.
const ownPrefix = "scriptbridge_"

// reserves refuses a metric that would take a name which is ours in any case.
func (s *source) reserves(m *metric) *refusal {
	for _, n := range claims(m.family, m.id.kind) {
		if strings.HasPrefix(n, ownPrefix) {
			return s.reservedPrefix(m.sample)
		}
		for _, e := range eventFamilies {
			if slices.Contains(claims(s.eventPrefix+e.name, e.metric.id.kind), n) {
				return s.reservedEvents(m.sample)
			}
		}
	}
	return nil
}

// shape is how the labels of a metric's samples become text, for one list of
// label names: worked out once for all samples that carry these names.
type shape struct {
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
	bound    string // as of a part or a layout,
	observed bool   // which no label of the source can have either
}

// names reports whether the sample's subject is shown by a label of that name.
func (f frame) names(label string) bool {
	return f.subject > 0 && (label == "subject" || label == f.subject.kind())
}

// kind is the label that has the subject's name.
func (s subject) kind() string { return record.SubjectKind(s - 1).String() }

// subject is whether a shape shows its samples' subject, and of which kind:
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

// label is one of a shape's: ours, ready-made, or the sample's own.
type label struct {
	name  string
	value string // ours; escaped
	from  int    // index into the sample's labels, or one of those below
}

const (
	fromUs      = -1
	fromSubject = -2 // the name of the sample's subject
)

// of is the label's value in a sample; one of ours is escaped already.
func (l *label) of(smp *record.Sample) string {
	switch l.from {
	case fromUs:
		return l.value
	case fromSubject:
		return smp.Subject.Name
	default:
		return smp.Labels[l.from].Value
	}
}

// fits says whether the shape is that of a sample.
func (sh *shape) fits(labels []record.Label, frame frame) bool {
	if len(sh.raw) != len(labels) || sh.frame != frame {
		return false
	}
	for i := range labels {
		if sh.raw[i] != labels[i].Name {
			return false
		}
	}
	return true
}

// shapeOf finds or makes the shape of a metric's sample.
func (s *source) shapeOf(m *metric, smp *record.Sample) *shape {
	frame := frame{subject: s.subjectOf(smp)}
	switch {
	case m.part != nil:
		frame.bound = m.part.bound
	case m.layout != nil:
		frame.bound, frame.observed = m.layout.label(), true
	}
	if m.shape != nil && m.shape.fits(smp.Labels, frame) {
		return m.shape
	}
	var dims []string
	if m.meta != nil {
		dims = m.meta.Dimensions
	}
	for _, sh := range s.shapes {
		if sh.fits(smp.Labels, frame) && slices.Equal(sh.dims, dims) {
			m.shape = sh
			return sh
		}
	}
	if len(s.shapes) >= 64 {
		s.shapes = nil
	}
	m.shape = s.newShape(smp.Labels, dims, frame)
	s.shapes = append(s.shapes, m.shape)
	return m.shape
}

func (s *source) newShape(labels []record.Label, dims []string, frame frame) *shape {
	sh := &shape{dims: dims, frame: frame}
	for _, l := range labels {
		sh.raw = append(sh.raw, l.Name)
	}
	ours := make([]string, 0, len(s.own)+3)
	for _, l := range s.own {
		if l.Name == frame.bound || frame.names(l.Name) {
			continue
		}
		ours = append(ours, l.Name)
		sh.labels = append(sh.labels, label{name: l.Name, value: string(appendEscaped(nil, l.Value)), from: fromUs})
	}
	if frame.observed {
		ours = append(ours, frame.bound)
	}
	if frame.subject > 0 {
		kind := frame.subject.kind()
		ours = append(ours, "subject", kind)
		sh.labels = append(sh.labels, label{name: "subject", value: kind, from: fromUs}, label{name: kind, from: fromSubject})
	}
	clean := labelName
	if s.def.Verbatim {
		clean = keepLabelName
	}
	for i, name := range labelNames(ours, sh.raw, dims, clean) {
		sh.labels = append(sh.labels, label{name: name, from: i})
		sh.refused = sh.refused || len(name) > maxName
	}
	// One order for all sources, whoever's label it is: equal series have
	// equal texts.
	slices.SortFunc(sh.labels, func(a, b label) int { return compareLabels(a.name, b.name) })
	return sh
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
	sh := s.shapeOf(m, smp)
	if sh.refused {
		return dst, labelNameTooLong()
	}
	dst = append(dst, name...)
	open := byte('{')
	for i := range sh.labels {
		l := &sh.labels[i]
		value := l.of(smp)
		if value == "" || l.name == without {
			continue
		}
		dst = append(dst, open)
		open = ','
		dst = append(dst, l.name...)
		dst = append(dst, '=', '"')
		if l.from == fromUs {
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

// appendLabels appends name{labels} for a series of ours; the names are valid
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
