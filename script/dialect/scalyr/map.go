package scalyr

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"scriptbridge/internal/texts"
	"scriptbridge/record"
)

// mapper makes samples of what a monitor emits. It lives as long as its process.
type mapper struct {
	options *options
	monitor string         // its short name
	id      string         // as configured
	tags    []record.Label // constant, from its log_config

	declared map[string]*metric       // by name, as sanitised
	metas    map[string]*record.Meta  // of what is not declared
	families map[string]bool          // names that samples had
	labels   map[[2]string]*labelInfo // by metric and field
	states   map[string][]string      // texts that a state had, by series
	emitted  map[string]*emitted      // by name, as emitted
	warnings []string

	batch batch
	// Scratch, reused from record to record.
	measured []measuredField
	key      []byte
}

// measuredField is a field of a record that is a metric of its own.
type measuredField struct {
	*fieldInfo
	value *fieldValue
}

// metric is a declared metric.
type metric struct {
	meta   *record.Meta
	fields map[string]bool // declared extra fields
	scale  float64
}

func newMapper(o *options) *mapper {
	return &mapper{
		options: o, monitor: o.short(), id: o.ID,
		declared: make(map[string]*metric),
		metas:    make(map[string]*record.Meta),
		families: make(map[string]bool),
		labels:   make(map[[2]string]*labelInfo),
		states:   make(map[string][]string),
		emitted:  make(map[string]*emitted),
		batch:    newBatch(),
	}
}

// record takes one value of a metric; at is what the monitor gave as its time,
// zero for none.
func (m *mapper) record(r *metricRecord, id string, at time.Time) {
	known := m.emittedAs(r.name)
	if !m.room(known.name, &known.family) {
		return
	}
	b := &m.batch
	m.measured = m.measured[:0]
	labels := b.samples.Room(2 + len(m.tags) + len(r.fields))
	labels = append(labels, record.Label{Name: "monitor", Value: m.monitor})
	if id != "" {
		if id != m.id {
			id = b.samples.Text(id)
		}
		labels = append(labels, record.Label{Name: "monitor_id", Value: id})
	}
	for _, tag := range m.tags {
		if !m.isField(known, r, tag.Name) {
			labels = append(labels, tag)
		}
	}
	for i := range r.fields {
		f, value := m.field(known, r.fields[i].name, i), &r.fields[i].value
		switch f.roles[value.kind] {
		case fieldLabel:
			if text, ok := m.bounded(known.name, f, value.text); ok {
				labels = append(labels, record.Label{Name: f.label, Value: text})
			}
		case fieldMeasured:
			m.measured = append(m.measured, measuredField{f, value})
		}
	}
	labels = b.samples.Used(labels)
	m.sameAgain(known.name, labels)
	m.value(known, r.value, labels, at)
	for _, f := range m.measured {
		if f.meta == nil {
			f.series = known.name + "_" + f.field
			f.fieldInfo.meta = m.undeclared(f.series, fmt.Sprintf("The field %s of %s of %s.", f.field, known.name, m.monitor))
		}
		if m.room(f.series, &f.family) {
			m.sample(f.series, f.meta, f.value.number, labels, at)
		}
	}
}

// isField reports whether a record has a field whose label would have this name.
func (m *mapper) isField(known *emitted, r *metricRecord, label string) bool {
	for i := range r.fields {
		if m.field(known, r.fields[i].name, i).label == label {
			return true
		}
	}
	return false
}

// sameAgain warns of a numeric field that is likely what tells series apart:
// the same metric and labels come twice in one sample, with another number.
func (m *mapper) sameAgain(name string, labels []record.Label) {
	if len(m.measured) == 0 {
		return
	}
	b := &m.batch
	if b.seen == nil {
		b.seen = b.samples.Index()
	}
	n, again := b.seen.Add(m.seriesKey(name, labels), len(b.numeric))
	from := len(b.numbers)
	if from+len(m.measured) > cap(b.numbers) {
		b.numbers = slices.Grow(b.numbers, from+len(m.measured))
	}
	for _, f := range m.measured {
		b.numbers = append(b.numbers, numericField{f.fieldInfo, f.value.text})
	}
	these := [2]int32{int32(from), int32(len(b.numbers))}
	if !again {
		b.numeric = append(b.numeric, these)
		return
	}
	before := b.numbers[b.numeric[n][0]:b.numeric[n][1]]
	b.numeric[n] = these
	for _, f := range m.measured {
		i := slices.IndexFunc(before, func(o numericField) bool { return o.field == f.field })
		if i < 0 || before[i].text == f.value.text {
			continue
		}
		const most = 20
		text := fmt.Sprintf("%s comes several times in one sample, with different numbers in its field %s; if that tells series apart: options: {labels: [\"%s:%s\"]}", name, f.field, name, f.field)
		if len(m.warnings) < most && !slices.Contains(m.warnings, text) {
			m.warnings = append(m.warnings, text)
		}
		return
	}
}

// seriesKey is what tells series apart, until the next one.
func (m *mapper) seriesKey(name string, labels []record.Label) []byte {
	m.key = append(m.key[:0], name...)
	for _, l := range labels {
		m.key = append(append(m.key, 0), l.Name...)
		m.key = append(append(m.key, 0), l.Value...)
	}
	return m.key
}

// value makes the samples of a metric's own value.
func (m *mapper) value(known *emitted, v fieldValue, labels []record.Label, at time.Time) {
	if known.meta == nil {
		known.meta = m.undeclared(known.name, "")
	}
	name, meta, scale := known.name, known.meta, known.scale
	switch v.kind {
	case kindNumber, kindBool:
		m.sample(name, meta, scaled(v.number, scale), labels, at)
		return
	case kindNone:
		m.refuse("not_a_number", name, "%s has the value %s, which is no number", name, texts.Shorten(cmp.Or(v.text, "null"), 40))
		return
	}
	switch how := m.options.TextValues[name]; how {
	case "":
		m.refuse("text_value", name, "the value of %s is a text (options: {text_values: {%s: …}} shows it, as numeric, state or info)", name, name)
	case textNumeric:
		x, ok := scalar(strings.TrimSpace(v.text))
		if !ok || x.kind != kindNumber {
			m.refuse("not_a_number", name, "the value of %s is a text that is no number", name)
			return
		}
		m.sample(name, meta, scaled(x.number, scale), labels, at)
	default:
		if len(v.text) > m.options.MaxLabelLength {
			m.refuse("label_too_long", name, "the value of %s is a text of %d bytes (options.max_label_length)", name, len(v.text))
			return
		}
		if how == textInfo {
			series := name + "_info"
			if ever := false; m.room(series, &ever) {
				m.sample(series, m.undeclared(series+"\x00text", "The text of "+name+"."), 1, m.with(labels, textLabel, m.batch.samples.Text(v.text)), at)
			}
			return
		}
		m.state(name, v.text, labels, at)
	}
}

// state makes one sample for each text that a metric has had: 1 for the present
// one, 0 for all others.
func (m *mapper) state(name, text string, labels []record.Label, at time.Time) {
	key := m.seriesKey(name, labels)
	had := m.states[string(key)]
	if !slices.Contains(had, text) {
		if len(had) >= m.options.MaxLabelValues || had == nil && len(m.states) >= maxStates {
			m.refuse("label_values", name, "%s has had more than %d different texts (options.max_label_values)", name, len(had))
			return
		}
		had = append(had, strings.Clone(text))
		m.states[string(key)] = had
	}
	meta := m.undeclared(name+"\x00state", "") // a declared counter is none here
	for _, s := range had {
		value := 0.0
		if s == text {
			value = 1
		}
		m.sample(name, meta, value, m.with(labels, "state", s), at)
	}
}

// with gives labels with another one behind them.
func (m *mapper) with(labels []record.Label, name, value string) []record.Label {
	all := m.batch.samples.Labels(len(labels) + 1)
	all[copy(all, labels)] = record.Label{Name: name, Value: value}
	return all
}

// maxStates bounds the series whose states are remembered.
const maxStates = 1000

// sample adds one sample.
func (m *mapper) sample(name string, meta *record.Meta, value float64, labels []record.Label, at time.Time) {
	b := &m.batch
	s := b.samples.Add(b.lines)
	s.Name, s.Labels, s.Value, s.Time, s.Meta, s.Line = name, labels, value, at, meta, b.lines
}
