package collector

import (
	"slices"
	"time"

	"scriptbridge/internal/dense"
	"scriptbridge/internal/texts"
	"scriptbridge/record"
)

// source is all that the page has of one record.Source.
type source struct {
	def         *record.Source
	began       time.Time // of its sums
	prefix      string
	eventPrefix string         // what the event families' names begin with
	labels      []record.Label // on every series beside the source's, in the order of the page

	declared     *record.Declared
	owners       map[string]metricID // names that declared metrics claim
	metrics      metricSet
	labelLayouts []*labelLayout

	blocks  blockSet    // by family name, those of events and the like too
	series  seriesSet   // the source's own, by key
	lines   int         // that they have on the page
	builtin seriesSet   // what the bridge makes of its events and the like, by key
	texts   dense.Texts // of both, and of some that are gone
	tidied  int         // the size of those, when the gone ones were last left out
	most    int         // how many series there have been since then
	batch   uint32      // counts batches, to tell who was mentioned
	slide   instant     // no quantile changes by itself before
	due     instant     // nothing of it ends or changes before

	events events
	runs   runs
	health []float64    // by healthFamily.at
	whose  string       // the labels of all of that, as on the page
	group  *healthGroup // of sources, in which it is

	refusals    []Refusal      // of the last batch
	refused     int            // their number
	refusedBy   []refusedCount // in the order of the page
	refusedMore bool           // since they were shown
	logged      map[loggedKey]bool
}

func newSource(def *record.Source) *source {
	s := &source{
		began:   time.Now(),
		metrics: newMetricSet(),
		blocks:  newBlockSet(),
		series:  newSeriesSet(),
		builtin: newSeriesSet(),
		whose:   string(appendLabels(nil, "", []record.Label{{Name: string(def.Kind), Value: def.Name}})),
		health:  newHealth(),
		slide:   never,
		due:     never,
		events:  events{due: never},
	}
	s.define(def)
	return s
}

// define computes what follows from the source's definition.
func (s *source) define(def *record.Source) {
	s.def = def
	s.prefix = validPrefix(def.Prefix)
	switch s.eventPrefix = s.prefix; {
	case s.prefix != "":
	case def.Kind == record.Receiver:
		s.eventPrefix = validPrefix(def.Name)
	default:
		s.eventPrefix = "script"
	}
	s.labels = fixedLabels(def)
	s.metrics = newMetricSet()
	s.labelLayouts = nil
}

// validPrefix guards the page against a prefix that the configuration should
// not have let through.
func validPrefix(p string) string {
	b := []byte(p)
	for i, r := range b {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			b[i] = '_'
		}
	}
	if len(b) > 0 && b[0] >= '0' && b[0] <= '9' {
		return "_" + string(b)
	}
	return string(b)
}

// fixedLabels are script (for scripts) and the operator's, in the order of the
// page. A name that cannot stand on a page is cleaned as a script's is.
func fixedLabels(def *record.Source) []record.Label {
	var fixed []record.Label
	if def.Kind == record.Script {
		fixed = append(fixed, record.Label{Name: "script", Value: def.Name})
	}
	for _, l := range def.Labels {
		l.Name = keepLabelName(l.Name)
		l.Value = texts.Cut(l.Value, maxValue)
		taken := slices.ContainsFunc(fixed, func(o record.Label) bool { return o.Name == l.Name })
		if l.Name != "" && l.Value != "" && !taken {
			fixed = append(fixed, l)
		}
	}
	slices.SortFunc(fixed, func(a, b record.Label) int { return compareLabels(a.Name, b.Name) })
	return fixed
}

// forget removes a series from what the source holds. What still leads to it, as a
// handle does, finds it without a block.
func (s *source) forget(se *series) {
	if se.block.family.builtin {
		s.builtin.Remove(se)
	} else {
		s.series.Remove(se)
		s.lines -= se.lines()
	}
	se.block = nil
}

// tidy lets go of the texts of series that are gone, once they may be the most: after
// many others came, or when half of the series have gone.
func (s *source) tidy() {
	n := s.series.Len() + s.builtin.Len()
	s.most = max(s.most, n)
	if s.texts.Size() < 4096 || s.texts.Size() < 2*s.tidied+4096 && n >= s.most/2 {
		return
	}
	var kept dense.Texts
	for b := range s.blocks.All {
		for _, se := range b.series {
			se.ref = kept.Add(s.texts.Get(se.ref))
		}
	}
	s.texts, s.tidied, s.most = kept, kept.Size(), n
}

// redefine takes over a changed definition. A rank moves the source's blocks;
// what would change every text ends the old series. Those of events go on under
// their new texts: nobody sends them again.
func (c *Collector) redefine(s *source, def *record.Source) {
	renamed := s.def.Prefix != def.Prefix || s.def.Verbatim != def.Verbatim || s.def.DropTexts != def.DropTexts || !slices.Equal(s.def.Labels, def.Labels)
	moved := s.def.Rank != def.Rank
	if renamed {
		for _, b := range s.blocks.list() {
			if !isHealth(b.family) {
				c.drop(b)
			}
		}
	}
	if moved {
		for _, b := range s.blocks.list() {
			c.detach(b)
		}
		c.withdraw(s)
	}
	s.define(def)
	if moved {
		c.enroll(s)
		for _, b := range s.blocks.list() {
			c.attach(b)
		}
	}
	if renamed {
		c.declare(s, s.declared)
		c.showEventsAgain(s)
	}
}

// declare decides which declared metric has which name, in declared order,
// and ends the series of those that are declared no more.
func (c *Collector) declare(s *source, d *record.Declared) {
	s.declared = d
	s.owners = make(map[string]metricID)
	s.metrics = newMetricSet()
	if d == nil {
		return
	}
	for _, meta := range d.Metrics {
		m := s.mapMetric(meta.Name, meta, false)
		names, id := claims(m.family(), m.kind), m.id()
		taken := slices.ContainsFunc(names, func(n string) bool {
			owner, ok := s.owners[n]
			return ok && owner != id
		})
		if taken || m.refused() != nil {
			continue
		}
		for _, n := range names {
			s.owners[n] = id
		}
	}
	for _, b := range s.blocks.list() {
		if owner, ok := s.owners[b.family.name]; b.metric.declared && (!ok || owner != b.metric.id()) {
			c.drop(b)
		}
	}
	c.describeMetrics(s)
	c.declareEvents(s)
}

// outrank ends a series of another source for the same one of a source that
// ranks before it.
func (c *Collector) outrank(se *series, winner *source) {
	c.evicted(se.block.source, se.block.metric.name(), se.lines(), duplicateSeries(winner))
	c.end(se)
}

// end takes a series off the page.
func (c *Collector) end(se *series) {
	c.keep(se.block, func(o *series) bool { return o != se })
}

// expire ends what is too old, slides windows on, and finds out what is due
// next.
func (c *Collector) expire(s *source, now instant) {
	before := s.lines
	s.due, s.slide = c.expireEvents(s, now), never
	for _, b := range s.blocks.list() {
		if b.family.builtin {
			continue
		}
		c.keep(b, func(se *series) bool {
			if se.expires <= now {
				return false
			}
			s.due = min(s.due, se.expires)
			if d := se.distribution(); d != nil {
				if d.window.slide(now) {
					d.stale = true
					c.layout.touch(b)
				}
				s.slide = min(s.slide, d.window.due())
			}
			return true
		})
	}
	s.due = min(s.due, s.slide)
	s.tidy()
	if s.lines != before {
		c.showSeries(s)
	}
}
