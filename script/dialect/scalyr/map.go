package scalyr

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"scriptbridge/internal/texts"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
)

// mapper makes samples of what a monitor emits. It lives as long as its process.
type mapper struct {
	options *options
	monitor string         // its short name
	id      string         // as configured
	tags    []record.Label // constant, from its log_config

	declared map[string]*metric      // by name, as sanitised
	metas    map[string]*record.Meta // of what is not declared
	families map[string]bool         // names that samples had
	values   map[[2]string]map[string]bool
	dropped  map[[2]string]string // reason, by metric and field
	states   map[string][]string  // texts that a state had, by series
	warnings []string

	batch batch
}

// batch is what is made of one batch.
type batch struct {
	samples []record.Sample
	output  strings.Builder
	lines   int
	shown   string // the present line
	refused []error
	by      map[[2]string]*record.LineError
	seen    map[string][]recordField // numeric fields, by metric and labels
}

// metric is a declared metric.
type metric struct {
	meta   *record.Meta
	fields map[string]bool // declared extra fields
	scale  float64
}

// known says what fields of well-known monitors are, which their type
// alone does not tell: true for a label, false for nothing worth keeping. A
// field may be written `metric:field`. What stands under "" holds for all.
var known = map[string]map[string]bool{
	"docker_monitor":      {"docker.cpu.usage:cpu": true},
	"kubernetes_monitor":  {"docker.cpu.usage:cpu": true},
	"openmetrics_monitor": {"timestamp": false},
	"graphite_monitor":    {"orig_time": false},
	"redis_monitor":       {"ts": false, "command": false},
	"url_monitor":         {"traceback": false},
	// Of url_monitor and its copies: there while a request fails, beside the
	// series of one that succeeds.
	"":                   {"response:url_error": false, "response:http_error": false, "response:unknown_error": false, "response:incomplete_read": false},
	"traceroute_monitor": {"hops": false, "hop_rtts": false},
}

func newMapper(o *options) *mapper {
	return &mapper{
		options: o, monitor: o.short(), id: o.ID,
		declared: make(map[string]*metric),
		metas:    make(map[string]*record.Meta),
		families: make(map[string]bool),
		values:   make(map[[2]string]map[string]bool),
		dropped:  make(map[[2]string]string),
		states:   make(map[string][]string),
	}
}

// labelName is a field's name as that of a label: none that is one of ours
// once it is folded.
func (m *mapper) labelName(field string) string {
	name := mapName(field)
	folded := strings.Map(func(r rune) rune {
		if r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return unicode.ToLower(r)
		}
		return '_'
	}, name)
	if folded == "monitor" || folded == "monitor_id" {
		name += "_"
	}
	return name
}

// role says what a field is.
type role uint8

const (
	fieldDropped role = iota
	fieldLabel
	fieldMeasured
)

// role decides what a field of a metric is; the first rule that says anything
// counts: the operator's, the declaration, what is known of the monitor, the
// type of the value.
func (m *mapper) role(metric, field string, kind valueKind) role {
	label, isKnown := false, false
	for _, monitor := range []string{m.monitor, ""} {
		for _, name := range []string{metric + ":" + field, field} {
			if !isKnown {
				label, isKnown = known[monitor][name]
			}
		}
	}
	d := m.declared[metric]
	switch {
	case kind == kindNone, fieldIn(m.options.DropFields, metric, field):
		return fieldDropped
	case fieldIn(m.options.Labels, metric, field), d != nil && d.fields[field]:
		return fieldLabel
	case isKnown && !label:
		return fieldDropped
	case isKnown, kind == kindText:
		return fieldLabel
	default:
		return fieldMeasured
	}
}

// fields is how many fields a metric may have on average that are labels.
const fields = 20

// bounded reports whether a field may be a label with this value too. One that
// may not is no label of the metric any more: a cut value would make different
// series look alike, and one of many values would fill the page.
func (m *mapper) bounded(metric, field, value string) bool {
	key := [2]string{metric, field}
	if reason, gone := m.dropped[key]; gone {
		m.refuse(reason, metric+":"+field, "the field %s of %s is no label any more", field, metric)
		return false
	}
	if len(value) > m.options.MaxLabelLength {
		m.dropped[key] = "label_too_long"
		m.refuse("label_too_long", metric+":"+field, "the field %s of %s has %d bytes and is no label from now on "+
			"(options.max_label_length; drop_fields leaves it out without a word)", field, metric, len(value))
		return false
	}
	have := m.values[key]
	if have[value] {
		return true
	}
	if have == nil && len(m.values)+len(m.dropped) >= fields*m.options.MaxFamilies {
		m.refuse("label_values", "", "the field %s of %s is one too many: the monitor has had %d", field, metric, len(m.values)+len(m.dropped))
		return false
	}
	if len(have) >= m.options.MaxLabelValues {
		m.dropped[key] = "label_values"
		delete(m.values, key)
		m.refuse("label_values", metric+":"+field, "the field %s of %s has had more than %d different values and is no label from now on "+
			"(options.max_label_values; drop_fields leaves it out without a word)", field, metric, m.options.MaxLabelValues)
		return false
	}
	if have == nil {
		have = make(map[string]bool)
		m.values[key] = have
	}
	have[value] = true
	return true
}

// refusalsKept bounds the kinds of refusals that are told apart in a batch.
const refusalsKept = 100

// refuse notes that something about the present line was refused; subject is
// what is counted as one.
func (m *mapper) refuse(reason, subject, format string, args ...any) {
	b := &m.batch
	key := [2]string{reason, subject}
	if len(b.by) >= refusalsKept {
		key[1] = ""
	}
	if le := b.by[key]; le != nil {
		le.More++
		return
	}
	if b.by == nil {
		b.by = make(map[[2]string]*record.LineError)
	}
	le := &record.LineError{Line: b.lines, Text: b.shown, Reason: reason, Err: fmt.Errorf(format, args...)}
	b.by[key] = le
	b.refused = append(b.refused, le)
}

// take gives what was made of the batch and begins a new one.
func (m *mapper) take() batch {
	b := m.batch
	m.batch = batch{}
	return b
}

// oneLine keeps a text of several lines in one, for Line to count.
var oneLine = strings.NewReplacer("\n", `\n`, "\r", `\r`)

// show writes one line of the output that people see, in the agent's format.
func (m *mapper) show(at time.Time, id, text string) {
	b := &m.batch
	text = oneLine.Replace(text)
	b.lines++
	b.shown = texts.Shorten(text, 500)
	if b.output.Len() < dialect.OutputShown {
		fmt.Fprintf(&b.output, "%s [%s(%s)] %s\n", at.UTC().Format("2006-01-02 15:04:05.000Z"), m.monitor, id, text)
	}
}

// record takes one value of a metric; at is what the monitor gave as its time,
// zero for none.
func (m *mapper) record(r metricRecord, id string, at time.Time) {
	name := mapName(r.name)
	if !m.family(name) {
		return
	}
	labels := []record.Label{{Name: "monitor", Value: m.monitor}}
	if id != "" {
		labels = append(labels, record.Label{Name: "monitor_id", Value: id})
	}
	for _, tag := range m.tags {
		if !slices.ContainsFunc(r.fields, func(f recordField) bool { return m.labelName(f.name) == tag.Name }) {
			labels = append(labels, tag)
		}
	}
	var measured []recordField
	for _, f := range r.fields {
		field := mapName(f.name)
		switch m.role(name, field, f.value.kind) {
		case fieldLabel:
			if m.bounded(name, field, f.value.text) {
				labels = append(labels, record.Label{Name: m.labelName(f.name), Value: f.value.text})
			}
		case fieldMeasured:
			measured = append(measured, recordField{field, f.value})
		}
	}
	m.sameAgain(name, labels, measured)
	m.value(name, r.value, labels, at)
	for _, f := range measured {
		series := name + "_" + f.name
		m.sample(series, m.undeclared(series, fmt.Sprintf("The field %s of %s of %s.", f.name, name, m.monitor)), f.value.number, labels, at)
	}
}

// sameAgain warns of a numeric field that is likely what tells series apart:
// the same metric and labels come twice in one sample, with another number.
func (m *mapper) sameAgain(name string, labels []record.Label, measured []recordField) {
	if len(measured) == 0 {
		return
	}
	key := seriesKey(name, labels)
	before, again := m.batch.seen[key]
	if m.batch.seen == nil {
		m.batch.seen = make(map[string][]recordField)
	}
	m.batch.seen[key] = measured
	if !again {
		return
	}
	for _, f := range measured {
		i := slices.IndexFunc(before, func(o recordField) bool { return o.name == f.name })
		if i < 0 || before[i].value.text == f.value.text {
			continue
		}
		const most = 20
		text := fmt.Sprintf("%s comes several times in one sample, with different numbers in its field %s; if that tells series apart: options: {labels: [\"%s:%s\"]}", name, f.name, name, f.name)
		if len(m.warnings) < most && !slices.Contains(m.warnings, text) {
			m.warnings = append(m.warnings, text)
		}
		return
	}
}

// seriesKey is what tells series apart.
func seriesKey(name string, labels []record.Label) string {
	var b strings.Builder
	b.WriteString(name)
	for _, l := range labels {
		b.WriteString("\x00" + l.Name + "\x00" + l.Value)
	}
	return b.String()
}

// value makes the samples of a metric's own value.
func (m *mapper) value(name string, v fieldValue, labels []record.Label, at time.Time) {
	meta, scale := m.undeclared(name, ""), 1.0
	if d := m.declared[name]; d != nil {
		meta, scale = d.meta, d.scale
	}
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
			m.sample(series, m.undeclared(series+"\x00text", "The text of "+name+"."), 1, append(labels, record.Label{Name: textLabel, Value: v.text}), at)
			return
		}
		m.state(name, v.text, labels, at)
	}
}

// state makes one sample for each text that a metric has had: 1 for the present
// one, 0 for all others.
func (m *mapper) state(name, text string, labels []record.Label, at time.Time) {
	key := seriesKey(name, labels)
	had := m.states[key]
	if !slices.Contains(had, text) {
		if len(had) >= m.options.MaxLabelValues || had == nil && len(m.states) >= maxStates {
			m.refuse("label_values", name, "%s has had more than %d different texts (options.max_label_values)", name, len(had))
			return
		}
		had = append(had, text)
		m.states[key] = had
	}
	meta := m.undeclared(name+"\x00state", "") // a declared counter is none here
	for _, s := range had {
		value := 0.0
		if s == text {
			value = 1
		}
		m.sample(name, meta, value, append(slices.Clip(labels), record.Label{Name: "state", Value: s}), at)
	}
}

// maxStates bounds the series whose states are remembered.
const maxStates = 1000

// family reports whether there is room for a metric of this name.
func (m *mapper) family(name string) bool {
	if !m.families[name] {
		if len(m.families) >= m.options.MaxFamilies {
			m.refuse("max_families", "", "%s is one metric too many: the monitor has had %d (options.max_families)", name, len(m.families))
			return false
		}
		m.families[name] = true
	}
	return true
}

// sample adds one sample, unless its family is one too many.
func (m *mapper) sample(name string, meta *record.Meta, value float64, labels []record.Label, at time.Time) {
	if !m.family(name) {
		return
	}
	m.batch.samples = append(m.batch.samples, record.Sample{
		Name: name, Labels: labels, Value: value, Time: at, Meta: meta, Line: m.batch.lines,
	})
}

// undeclared gives the Meta of something that the monitor does not declare.
// help is empty for a metric.
func (m *mapper) undeclared(key, help string) *record.Meta {
	if meta := m.metas[key]; meta != nil {
		return meta
	}
	name, kind, _ := strings.Cut(key, "\x00")
	help = cmp.Or(help, fmt.Sprintf("%s of %s, which does not declare it.", name, m.monitor))
	meta := &record.Meta{Name: name, Help: help, Dimensions: []string{"monitor", "monitor_id"}}
	switch kind {
	case "text":
		meta.Text = textLabel
	case "state":
		meta.Type = record.Gauge
		meta.Help = fmt.Sprintf("Which text %s of %s has: 1 for the present one.", name, m.monitor)
	}
	if len(m.metas) > 4*m.options.MaxFamilies {
		clear(m.metas) // names that are refused need not be kept
	}
	m.metas[key] = meta
	return meta
}
