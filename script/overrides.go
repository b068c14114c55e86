package script

import (
	"fmt"
	"maps"
	"slices"

	"scriptbridge/config"
	"scriptbridge/record"
)

// overrides applies the operator's `metrics:` to what a script declares and
// sends (spec/mapping.md, Types): by declared id or name, an id wins. A nil
// *overrides changes nothing.
type overrides struct {
	by map[string]config.Override
	// made holds the changed Meta of each of the dialect's; nil for a metric
	// that is dropped. It lives as long as the declaration, or until it is
	// full: a script without one may make up names.
	made map[*record.Meta]*record.Meta
	// undeclared is the same for samples that come without Meta, by name.
	undeclared map[string]*record.Meta
	warnings   []string
}

// overridesKept bounds made, for a source that has ever new metrics.
const overridesKept = 100_000

func newOverrides(by map[string]config.Override) *overrides {
	if len(by) == 0 {
		return nil
	}
	return &overrides{by: by, made: make(map[*record.Meta]*record.Meta), undeclared: make(map[string]*record.Meta)}
}

// declared gives what the script may send as the operator sees it.
func (o *overrides) declared(d *record.Declared) *record.Declared {
	if o == nil || d == nil {
		return d
	}
	clear(o.made)
	o.note(d)
	out := &record.Declared{Events: d.Events}
	for _, m := range d.Metrics {
		if m = o.meta(m); m != nil {
			out.Metrics = append(out.Metrics, m)
		}
	}
	return out
}

// note remembers which overrides meet nothing that the script declares: most
// often a name that is misspelt.
func (o *overrides) note(d *record.Declared) {
	known := make(map[string]bool)
	for _, m := range d.Metrics {
		known[m.ID], known[m.Name] = true, true
	}
	o.warnings = nil
	for _, key := range slices.Sorted(maps.Keys(o.by)) {
		if !known[key] {
			o.warnings = append(o.warnings, fmt.Sprintf("metrics: the script declares no metric with the id or name %q", key))
		}
	}
}

// samples gives the samples with the operator's Meta, without dropped ones.
func (o *overrides) samples(all []record.Sample) []record.Sample {
	if o == nil {
		return all
	}
	kept := make([]record.Sample, 0, len(all))
	for _, s := range all {
		meta := s.Meta
		if meta == nil {
			by, ok := o.by[s.Name]
			if !ok {
				kept = append(kept, s)
				continue
			}
			meta, ok = o.undeclared[s.Name]
			if !ok {
				meta = override(&record.Meta{Name: s.Name}, by)
				o.undeclared[s.Name] = meta
			}
		} else {
			meta = o.meta(meta)
		}
		if meta == nil {
			continue
		}
		s.Meta = meta
		kept = append(kept, s)
	}
	return kept
}

func (o *overrides) meta(m *record.Meta) *record.Meta {
	if made, ok := o.made[m]; ok {
		return made
	}
	if len(o.made) >= overridesKept {
		clear(o.made)
	}
	made := m
	if by, ok := o.find(m); ok {
		made = override(m, by)
	}
	o.made[m] = made
	return made
}

func (o *overrides) find(m *record.Meta) (config.Override, bool) {
	if by, ok := o.by[m.ID]; ok && m.ID != "" {
		return by, true
	}
	by, ok := o.by[m.Name]
	return by, ok
}

// override gives a changed copy of m; nil when it is dropped.
func override(m *record.Meta, by config.Override) *record.Meta {
	if by.Drop {
		return nil
	}
	c := *m
	switch by.Type {
	case "gauge":
		c.Type = record.Gauge
	case "counter":
		c.Type = record.Counter
	case "untyped":
		c.Type = record.Unknown
	}
	if by.Name != "" {
		c.Rename = by.Name
	}
	if by.Help != "" {
		c.Help = by.Help
	}
	if by.Unit != nil {
		c.Unit = *by.Unit
	}
	return &c
}
