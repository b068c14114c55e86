package scalyr

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"scriptbridge/record"
)

// declaration is one define_metric.
type declaration struct {
	Name        string         `json:"name"`
	Description string         `json:"description"`
	Unit        *string        `json:"unit"`
	Cumulative  bool           `json:"cumulative"`
	ExtraFields map[string]any `json:"extra_fields"`
}

// declare takes over what the monitor declares, all of it anew. attributes are
// those of its log.
func (m *mapper) declare(all []declaration, attributes map[string]any) *record.Declared {
	m.tags = nil
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		// The parser is what Scalyr's server did with the log.
		if text, ok := attributes[name].(string); ok && name != "parser" && len(text) <= m.options.MaxLabelLength {
			m.tags = append(m.tags, record.Label{Name: m.labelName(name), Value: text})
		}
	}
	clear(m.declared)
	clear(m.metas) // some of these may now be declared,
	clear(m.emitted)
	byName := make(map[string][]declaration)
	var order []string
	for _, d := range all {
		name := mapName(d.Name)
		if byName[name] == nil {
			order = append(order, name)
		}
		byName[name] = append(byName[name], d)
	}
	declared := new(record.Declared)
	for _, name := range order {
		metric := m.metric(name, byName[name])
		m.declared[name] = metric
		declared.Metrics = append(declared.Metrics, metric.meta)
	}
	return declared
}

// metric makes one of the declarations of one name.
func (m *mapper) metric(name string, all []declaration) *metric {
	metric := &metric{fields: make(map[string]bool), scale: 1}
	unit := ""
	for _, d := range all {
		if d.Unit != nil && unit == "" {
			unit = *d.Unit
		}
		for field := range d.ExtraFields {
			metric.fields[mapName(field)] = true
		}
	}
	typ := record.Gauge
	if all[0].Cumulative {
		typ = record.Counter
	}
	unit, metric.scale = unitOf(unit)
	metric.meta = &record.Meta{
		Name: name, Help: helpOf(all), Unit: unit, Type: typ,
		Dimensions: append([]string{"monitor", "monitor_id"}, slices.Sorted(maps.Keys(metric.fields))...),
	}
	return metric
}

// helpOf joins the different descriptions of one name, each behind the
// values of the fields that it is about.
func helpOf(all []declaration) string {
	var texts, parts []string
	for _, d := range all {
		text := strings.Join(strings.Fields(d.Description), " ")
		if text == "" || slices.Contains(texts, text) {
			continue
		}
		texts = append(texts, text)
		var which []string
		for _, field := range slices.Sorted(maps.Keys(d.ExtraFields)) {
			if value := d.ExtraFields[field]; value != nil && value != "" {
				which = append(which, fmt.Sprintf("%s=%v", field, value))
			}
		}
		if len(which) > 0 {
			text = strings.Join(which, ", ") + ": " + text
		}
		parts = append(parts, text)
	}
	if len(texts) == 1 {
		return texts[0]
	}
	return strings.Join(parts, "; ")
}

// unitOf splits `unit:scale` and gives base units: seconds and bytes alone
// are units of the page, and only they are scaled.
func unitOf(declared string) (unit string, scale float64) {
	name, factor, _ := strings.Cut(declared, ":")
	scale = 1
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "s", "sec", "secs", "second", "seconds":
		unit = "seconds"
	case "ms", "millisecond", "milliseconds":
		unit, scale = "seconds", 0.001
	case "byte", "bytes":
		unit = "bytes"
	default:
		return "", 1
	}
	if x, err := strconv.ParseFloat(strings.TrimSpace(factor), 64); err == nil && x > 0 {
		scale *= x
	}
	return unit, scale
}

// scaled is x in base units. 0.01 has no exact form, but the hundred to divide
// by has.
func scaled(x, scale float64) float64 {
	if per := 1 / scale; scale < 1 && per == math.Trunc(per) {
		return x / per
	}
	return x * scale
}
