package scalyr

import (
	"cmp"
	"fmt"
	"strings"
	"unicode"

	"scriptbridge/record"
)

// This file is what is known of a monitor's metrics and their fields, and what is found
// out of each once.

// emitted is what is known of a metric: what would be found out for each record alike.
type emitted struct {
	name   string // as sanitised
	family bool   // it has been given room
	meta   *record.Meta
	scale  float64
	fields []*fieldInfo
}

// fieldInfo is what is known of an extra field of a metric.
type fieldInfo struct {
	name   string // as emitted
	field  string // as sanitised
	label  string // as a label's name
	roles  [kinds]role
	values *labelInfo // nil: it has been no label
	series string     // as a metric of its own,
	meta   *record.Meta
	family bool // which has been given room
}

// labelInfo is what is known of a field that is a label of a metric.
type labelInfo struct {
	values  map[string]string // that it has had, by themselves
	dropped string            // why it is no label any more
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

// bounded reports whether a field may be a label with this value too, and gives the
// value to keep. One that may not is no label of the metric any more: a cut value would
// make different series look alike, and one of many values would fill the page.
func (m *mapper) bounded(metric string, f *fieldInfo, value string) (kept string, ok bool) {
	if f.values == nil {
		f.values = m.labelInfo(metric, f.field)
	}
	have := f.values
	if have == nil {
		m.refuse("label_values", "", "the field %s of %s is one too many: the monitor has had %d", f.field, metric, len(m.labels))
		return "", false
	}
	if kept, ok = have.values[value]; ok {
		return kept, true
	}
	subject := metric + ":" + f.field
	switch {
	case have.dropped != "":
		m.refuse(have.dropped, subject, "the field %s of %s is no label any more", f.field, metric)
	case len(value) > m.options.MaxLabelLength:
		have.drop("label_too_long")
		m.refuse("label_too_long", subject, "the field %s of %s has %d bytes and is no label from now on "+
			"(options.max_label_length; drop_fields leaves it out without a word)", f.field, metric, len(value))
	case len(have.values) >= m.options.MaxLabelValues:
		have.drop("label_values")
		m.refuse("label_values", subject, "the field %s of %s has had more than %d different values and is no label from now on "+
			"(options.max_label_values; drop_fields leaves it out without a word)", f.field, metric, m.options.MaxLabelValues)
	default:
		kept = strings.Clone(value)
		have.values[kept] = kept
		return kept, true
	}
	return "", false
}

// labelInfo finds or makes what is known of a label; nil where there are too many.
func (m *mapper) labelInfo(metric, field string) *labelInfo {
	key := [2]string{metric, field}
	have := m.labels[key]
	if have == nil && len(m.labels) < fields*m.options.MaxFamilies {
		have = &labelInfo{values: make(map[string]string)}
		m.labels[key] = have
	}
	return have
}

func (l *labelInfo) drop(why string) { l.values, l.dropped = nil, why }

// emittedAs finds what is known of a metric.
func (m *mapper) emittedAs(name string) *emitted {
	known := m.emitted[name]
	if known == nil {
		if len(m.emitted) >= 4*m.options.MaxFamilies {
			clear(m.emitted) // names that are refused need not be kept
		}
		name = strings.Clone(name)
		known = &emitted{name: mapName(name), scale: 1}
		if d := m.declared[known.name]; d != nil {
			known.meta, known.scale = d.meta, d.scale
		}
		m.emitted[name] = known
	}
	return known
}

// fieldsKept bounds the fields of a metric that are remembered.
const fieldsKept = 64

// field finds what is known of a metric's field; place is where it is likely to be.
func (m *mapper) field(metric *emitted, name string, place int) *fieldInfo {
	if place < len(metric.fields) && metric.fields[place].name == name {
		return metric.fields[place]
	}
	for _, f := range metric.fields {
		if f.name == name {
			return f
		}
	}
	name = strings.Clone(name)
	f := &fieldInfo{name: name, field: mapName(name), label: m.labelName(name)}
	for kind := range kinds {
		f.roles[kind] = m.role(metric.name, f.field, kind)
	}
	if len(metric.fields) < fieldsKept {
		metric.fields = append(metric.fields, f)
	}
	return f
}

// room reports whether there is room for a metric of this name; has is where that is
// remembered, since what has had room keeps it.
func (m *mapper) room(name string, has *bool) bool {
	if *has || m.families[name] {
		*has = true
		return true
	}
	if len(m.families) >= m.options.MaxFamilies {
		m.refuse("max_families", "", "%s is one metric too many: the monitor has had %d (options.max_families)", name, len(m.families))
		return false
	}
	m.families[name], *has = true, true
	return true
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
		meta.Rare = &record.Rare{Text: textLabel}
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
