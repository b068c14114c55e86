package script

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"

	"scriptbridge/config"
	"scriptbridge/internal/texts"
	"scriptbridge/record"
	"scriptbridge/script/dialect/lines"
)

// overrides applies the operator's `metrics:` to what a script declares and
// sends: by declared id or name, an id wins. A nil
// *overrides changes nothing.
type overrides struct {
	by map[string]config.Override
	// made holds the changed Meta of each of the dialect's; nil for a metric
	// that is dropped. It lives as long as the declaration, or until it is
	// full: a script without one may make up names.
	made map[*record.Meta]*record.Meta
	// undeclared is the same for samples that come without Meta, by name.
	undeclared map[string]*record.Meta
	// met are the overrides that have met a metric; those that have not, once
	// the metrics are known, are warned of: most often a name is misspelt.
	met      map[string]bool
	unmet    map[string]string // what is said of one
	declares bool              // the script says which metrics it may send
	warnings []string
}

const (
	overridesKept  = 100_000 // bounds made, for a source that has ever new metrics
	overridesShown = 1000    // names that one which is misspelt is compared with
)

func newOverrides(by map[string]config.Override) *overrides {
	if len(by) == 0 {
		return nil
	}
	return &overrides{
		by: by, made: make(map[*record.Meta]*record.Meta), undeclared: make(map[string]*record.Meta),
		met: make(map[string]bool), unmet: make(map[string]string),
	}
}

// declared gives what the script may send as the operator sees it.
func (o *overrides) declared(d *record.Declared) *record.Declared {
	if o == nil || d == nil {
		return d
	}
	clear(o.made)
	o.declares = true
	clear(o.met)
	clear(o.unmet)
	for _, m := range d.Metrics {
		o.find(m)
	}
	o.warn(slices.Values(d.Metrics))
	out := &record.Declared{Events: d.Events}
	for _, m := range d.Metrics {
		if m = o.meta(m); m != nil {
			out.Metrics = append(out.Metrics, m)
		}
	}
	return out
}

// warn says which overrides have met nothing. What is said of one stays the
// same, so that it is logged once.
func (o *overrides) warn(metrics iter.Seq[*record.Meta]) {
	o.warnings = nil
	var names []string
	for _, key := range slices.Sorted(maps.Keys(o.by)) {
		if o.met[key] {
			continue
		}
		if o.unmet[key] == "" {
			if names == nil {
				names = namesOf(metrics)
			}
			o.unmet[key] = unknownMetric(key, names, o.declares)
		}
		o.warnings = append(o.warnings, o.unmet[key])
	}
}

func unknownMetric(key string, names []string, declares bool) string {
	verb := "gave"
	if declares {
		verb = "declares"
	}
	text := fmt.Sprintf("metrics: the script %s no metric with the id or name %q", verb, key)
	if like := config.Nearest(key, names); like != "" {
		return fmt.Sprintf("%s (did you mean %q?)", text, like)
	}
	return fmt.Sprintf("%s (it %s %s)", text, verb, lines.ListIDs(names, strconv.Quote))
}

// namesOf gives the names of metrics, each once, in order.
func namesOf(metrics iter.Seq[*record.Meta]) []string {
	seen := make(map[string]bool)
	for m := range metrics {
		if len(seen) < overridesShown {
			seen[texts.Shorten(m.Name, 100)] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// samples gives the samples with the operator's Meta, without dropped ones.
func (o *overrides) samples(all []record.Sample) []record.Sample {
	if o == nil {
		return all
	}
	kept := make([]record.Sample, 0, len(all))
	met := len(o.met)
	for _, s := range all {
		meta := s.Meta
		if meta == nil {
			by, ok := o.by[s.Name]
			if !ok {
				kept = append(kept, s)
				continue
			}
			o.met[s.Name] = true
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
	if more := len(o.met) > met; more || !o.declares && len(all) > 0 {
		o.warn(func(yield func(*record.Meta) bool) {
			for _, s := range all {
				if s.Meta == nil {
					s.Meta = &record.Meta{Name: s.Name}
				}
				if !yield(s.Meta) {
					return
				}
			}
		})
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

// find gives what the operator says of a metric, and notes that it is there.
func (o *overrides) find(m *record.Meta) (by config.Override, ok bool) {
	for _, key := range []string{m.Name, m.ID} { // the id wins
		if one, meets := o.by[key]; meets && key != "" {
			o.met[key] = true
			by, ok = one, true
		}
	}
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
		rare := *m.More()
		rare.Rename = by.Name
		c.Rare = &rare
	}
	if by.Help != "" {
		c.Help = by.Help
	}
	if by.Unit != nil {
		c.Unit = *by.Unit
	}
	return &c
}
