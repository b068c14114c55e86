package collector

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"

	"scriptbridge/internal/dense"
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
// of its name, made once and kept. There are as many as series where each metric has
// one: so what follows from something else is not kept.
type metric struct {
	called    string       // by its samples
	meta      *record.Meta // nil when nothing is known
	sample    string       // what stands in front of the labels
	labels    *labelLayout // that of its last sample
	block     *block       // where its last sample went
	rare      *rare        // nil for most
	familyLen uint32       // of the sample's name
	unitLen   uint16       // of the end of the family's name; 0: it ends in no unit
	kind      kindOf
	declared  bool
	printed   bool // as an exposition: its names are what they are (verbatim.go)
}

// rare is what few metrics have.
type rare struct {
	part    *part     // which of its family's samples it is; nil where all have one name
	bounds  *boundSet // the lines of a metric that is observed; nil for others
	refused *refusal  // why none of its samples can be on the page
	other   *metric   // what it is in another source's family with a type; there: see plain
	lost    *refusal  // why it could not join its family,
	lostIn  uint32    // in that batch of its source
}

// own is what few metrics have, to be changed.
func (m *metric) own() *rare {
	if m.rare == nil {
		m.rare = new(rare)
	}
	return m.rare
}

func (m *metric) part() *part {
	if m.rare == nil {
		return nil
	}
	return m.rare.part
}

func (m *metric) bounds() *boundSet {
	if m.rare == nil {
		return nil
	}
	return m.rare.bounds
}

func (m *metric) refused() *refusal {
	if m.rare == nil {
		return nil
	}
	return m.rare.refused
}

func (m *metric) other() *metric {
	if m.rare == nil {
		return nil
	}
	return m.rare.other
}

// lostIn is why the metric could not join its family in a batch; nil where it could.
func (m *metric) lostIn(batch uint32) *refusal {
	if m.rare == nil || m.rare.lostIn != batch {
		return nil
	}
	return m.rare.lost
}

// family is the name of the metric's family, with which that of its samples begins.
func (m *metric) family() string { return m.sample[:m.familyLen] }

// plain is the metric without a type that this is of (untyped.go); nil where it is none of
// another source's family.
func (m *metric) plain() *metric {
	if m.kind == unknown {
		return nil
	}
	return m.other()
}

// id tells the metric from others.
func (m *metric) id() metricID {
	id := metricID{name: m.name(), kind: m.kind, untyped: m.plain() != nil}
	if m.meta != nil && !m.printed && !id.untyped {
		id.id = m.meta.ID
	}
	return id
}

// name is what the metric is called by those who know the source.
func (m *metric) name() string {
	switch {
	case m.printed || m.plain() != nil:
		return m.family()
	case m.meta != nil && (m.called == "" || m.part() != nil):
		return m.meta.Name
	default:
		return m.called
	}
}

// help is for # HELP; empty for none.
func (m *metric) help() string {
	if plain := m.plain(); plain != nil {
		return plain.help()
	}
	help := ""
	if m.meta != nil {
		help = m.meta.Help
		if !m.printed {
			help = cmp.Or(help, m.meta.Name)
		}
	}
	if !m.printed {
		help = cmp.Or(help, m.name())
	}
	return texts.Cut(strings.ToValidUTF8(help, "\uFFFD"), maxValue)
}

// lines is how many a series of the metric has on the page.
func (m *metric) lines() int {
	if m.bounds() != nil {
		return m.bounds().lines()
	}
	return 1
}

// metricKey is how samples name their metric.
type metricKey struct {
	name     string
	meta     *record.Meta
	observed bool
}

// metricSet has metrics by their key.
type metricSet struct{ dense.Set[metric] }

func newMetricSet() metricSet {
	return metricSet{dense.Set[metric]{Hash: func(m *metric) uint64 { return maphash.Comparable(seed, m.key()) }}}
}

// get gives the metric with a key; nil where there is none.
func (s *metricSet) get(key metricKey) *metric {
	return s.Find(maphash.Comparable(seed, key), func(m *metric) bool { return m.key() == key })
}

func (m *metric) key() metricKey { return metricKey{m.called, m.meta, m.bounds() != nil} }

// metric gives the mapping of a sample's metric, which is mostly that of the sample before.
func (p *put) metric(smp *record.Sample) *metric {
	observed := smp.Op == record.Observe
	if p.last == nil || p.last.key() != (metricKey{smp.Name, smp.Meta, observed}) {
		p.last = p.source.metric(smp.Name, smp.Meta, observed)
	}
	return p.last
}

// metric gives the mapping of the metric of samples that are observed, or not.
func (s *source) metric(name string, meta *record.Meta, observed bool) *metric {
	key := metricKey{name, meta, observed}
	m := s.metrics.get(key)
	if m == nil {
		if meta != nil && name == meta.Name {
			name = meta.Name // which is kept anyway; the sample's may be of a whole output
		}
		if s.metrics.Len() > 1024+2*s.blocks.Len() {
			s.metrics = newMetricSet() // a source that makes up names, or Meta, for each batch
		}
		m = s.mapMetric(name, meta, observed)
		id := m.id()
		for _, n := range claims(m.family(), m.kind) {
			owner, ok := s.owners[n]
			if ok && owner != id && m.refused() == nil {
				m.own().refused = s.duplicateName(m, owner)
			}
			m.declared = m.declared || ok && owner == id
		}
		s.metrics.Add(m)
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
	case m.refused() != nil:
	case len(m.sample) > maxName:
		m.own().refused = s.nameTooLong(m)
	default:
		if r := s.reserves(m); r != nil {
			m.own().refused = r
		}
	}
	return m
}

// makeMetric makes a name of what a source calls its metric. A part of a
// histogram or summary that is Set has the family's name and the part's end.
func (s *source) makeMetric(name string, meta *record.Meta, observed bool) *metric {
	m := &metric{called: name, meta: meta}
	shown, typ, unit, id, end := name, record.Unknown, "", "", ""
	if meta != nil {
		typ, unit, id = meta.Type, meta.Unit, meta.ID
		if name == "" {
			name = meta.Name
			shown = name
		}
		if kind := kindOfType[typ]; !observed && partsOf[kind] != nil {
			family, rest, ok := cutPart(name, meta.Name, kind)
			if !ok {
				typ = record.Unknown
			}
			shown, end = family, rest
		}
		shown = cmp.Or(meta.More().Rename, shown)
	}
	m.kind = kindOfType[typ]
	if observed {
		m.own().bounds = boundsOf(meta)
		m.kind, typ = m.bounds().kind, record.Unknown // which the name does not show
	}
	sample, unit := mapName(s.prefix, shown, unit, typ, id)
	m.sample = strings.Clone(sample) // which was made in more room than it takes
	family := strings.TrimSuffix(m.sample, m.kind.suffix())
	m.familyLen, m.unitLen = uint32(len(family)), uint16(len(unit))
	if partsOf[m.kind] != nil && !observed {
		m.keepPart(family, end)
	}
	return m
}

// builtinPrefix begins the names of all that we say of sources.
const builtinPrefix = "scriptbridge_"

// reserves refuses a metric that would take a name that the bridge keeps for itself.
func (s *source) reserves(m *metric) *refusal {
	for _, n := range claims(m.family(), m.kind) {
		if strings.HasPrefix(n, builtinPrefix) {
			return s.reservedPrefix(m.sample)
		}
		for _, e := range eventFamilies {
			if slices.Contains(claims(s.eventPrefix+e.name, e.metric.kind), n) {
				return s.reservedEvents(m.sample)
			}
		}
	}
	return nil
}

// describeMetrics shows one series for each metric that a source declared as
// CoScale does.
func (c *Collector) describeMetrics(s *source) {
	wanted := make(map[*series]bool)
	for _, meta := range s.declared.Metrics {
		if meta.Datatype == "" {
			continue
		}
		m := s.metric(meta.Name, meta, false)
		if m.refused() != nil {
			continue
		}
		labels := []record.Label{
			{Name: string(s.def.Kind), Value: s.def.Name},
			{Name: "metric", Value: m.sample},
			{Name: "name", Value: meta.Name},
			{Name: "unit", Value: meta.Unit},
			{Name: "groups", Value: meta.More().Groups},
			{Name: "tags", Value: meta.More().Tags},
			{Name: "datatype", Value: meta.Datatype},
			{Name: "calctype", Value: meta.Calctype},
		}
		for i := range labels {
			labels[i].Value = texts.Cut(labels[i].Value, maxValue)
		}
		wanted[c.show(s, metricInfo.name, metricInfo, 1, labels)] = true
	}
	if b := s.blocks.get(metricInfo.name); b != nil {
		c.keep(b, func(se *series) bool { return wanted[se] })
	}
}
