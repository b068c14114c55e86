package collector

import (
	"math"
	"slices"

	"scriptbridge/record"
)

// This file is what becomes of a batch's samples: which series each of them
// means, whether it may be on the page, and what it does to it.

// put is one batch's samples on their way in.
type put struct {
	source  *source
	batch   *record.Batch
	now     instant
	expires instant
	last    *metric  // of the sample before
	key     []byte   // of the sample's series
	text    []byte   // scratch
	full    *refusal // that of max_series, made once
}

// putSamples takes the batch's samples, and drops what a whole batch does not
// mention.
func (c *Collector) putSamples(s *source, b *record.Batch, now instant) {
	s.batch++
	p := put{source: s, batch: b, now: now, expires: never}
	if b.MaxAge > 0 {
		p.expires = now.add(b.MaxAge)
	}
	var full []int // samples over MaxSeries while unmentioned series are still there
	for i := range b.Samples {
		if !c.putSample(&p, &b.Samples[i], !b.Complete) {
			full = append(full, i)
		}
	}
	if b.Complete {
		for _, blk := range s.blocks.list() {
			if !blk.family.builtin {
				c.keep(blk, func(se *series) bool {
					if se.batch != s.batch && se.sum() {
						se.expires = p.expires // nothing was added, which is news too
					}
					return se.batch == s.batch || se.sum()
				})
			}
		}
		s.due = min(s.events.due, s.slide)
	}
	for _, i := range full {
		c.putSample(&p, &b.Samples[i], true)
	}
	if s.series.Len() > 0 {
		s.due = min(s.due, p.expires, s.slide)
	}
}

// putSample takes one sample. With final unset, one that would exceed MaxSeries
// is left for the second pass: putSample returns false.
func (c *Collector) putSample(p *put, smp *record.Sample, final bool) bool {
	s := p.source
	smp = s.withoutText(smp)
	m := c.typed(s, p.metric(smp))
	refused := m.refused()
	if refused == nil {
		refused = badValue(smp)
	}
	var se *series
	if refused == nil {
		se, refused = p.find(m, smp)
	}
	if refused != nil {
		c.refuse(s, smp, refused)
		return true
	}
	if p.exceeds(m, se) {
		if final {
			c.refuse(p.source, smp, p.tooMany())
		}
		return final
	}
	if se == nil || se.block != m.block || m.bounds() != nil {
		if se, refused = c.seriesFor(p, m, se, smp); se == nil && refused == nil {
			return c.putSample(p, smp, final) // it has another key now
		}
	}
	if refused == nil {
		p.keep(se, smp.Handle)
		refused = c.apply(p, m, se, smp)
	}
	if refused != nil {
		c.refuse(p.source, smp, refused)
	}
	return true
}

// find gives the series of a sample; nil where there is none, which then has p.key. One
// that a handle leads to is the sample's as long as it is in the block where its metric's
// samples go: it had the same labels and Meta before, and ends where one of these makes
// another series of it.
func (p *put) find(m *metric, smp *record.Sample) (se *series, refused *refusal) {
	if smp.Handle != nil {
		se, _ := smp.Handle.Place.(*series)
		if se != nil && se.block != nil && se.block == m.block {
			return se, nil
		}
	}
	if p.key, refused = p.source.appendKey(p.key[:0], m, smp); refused != nil {
		return nil, refused
	}
	return p.source.series.get(p.key), nil
}

// keep notes where the series of a handle is.
func (p *put) keep(se *series, h *record.Handle) {
	if h != nil && h.Place != any(se) {
		h.Place = se
	}
}

// withoutText is a sample without the label that is a text for people, where the
// source's are not to be on the page.
func (s *source) withoutText(smp *record.Sample) *record.Sample {
	if !s.def.DropTexts || smp.Meta == nil || smp.Meta.More().Text == "" {
		return smp
	}
	bare, text := *smp, smp.Meta.More().Text
	bare.Labels = slices.DeleteFunc(slices.Clone(smp.Labels), func(l record.Label) bool { return l.Name == text })
	return &bare
}

// exceeds says whether the source would have too many series with one of the
// metric in the place of se, which may be nil.
func (p *put) exceeds(m *metric, se *series) bool {
	limit := p.source.def.MaxSeries
	if limit <= 0 {
		return false
	}
	more := m.lines()
	if se != nil {
		more -= se.lines()
	}
	return more > 0 && p.source.lines+more > limit
}

func (p *put) tooMany() *refusal {
	if p.full == nil {
		p.full = tooManySeries(p.source.def.MaxSeries)
	}
	return p.full
}

// seriesFor gives the series of a sample: se, or what admit says where there is
// none yet, or none with the right lines.
func (c *Collector) seriesFor(p *put, m *metric, se *series, smp *record.Sample) (*series, *refusal) {
	if se == nil || se.block != m.block {
		var refused *refusal
		if se, refused = c.admit(p, m, smp); se == nil || refused != nil {
			return nil, refused
		}
	}
	if m.bounds() != nil && !m.bounds().equal(se.distribution().bounds) {
		c.end(se)
		return c.admit(p, m, smp) // with other lines, which begin at 0
	}
	return se, nil
}

// apply does to a series what its sample says.
func (c *Collector) apply(p *put, m *metric, se *series, smp *record.Sample) *refusal {
	switch {
	case p.source.def.Verbatim && p.batch.Complete && se.batch == p.source.batch:
		return printedTwice(p.batch.Files, se.line())
	case smp.Op == record.Add && math.IsInf(se.value+smp.Value, 0):
		return endlessSum
	case smp.Op == record.Observe:
		if !c.observe(p, se, smp) {
			return endlessSum
		}
	case !p.late(se, smp):
		c.update(p, m, se, smp)
	}
	return nil
}

// badValue refuses what a sum, once it has taken it in, would never get rid of.
func badValue(smp *record.Sample) *refusal {
	endless := math.IsNaN(smp.Value) || math.IsInf(smp.Value, 0)
	switch {
	case smp.Op == record.Set:
		return nil
	case endless && smp.Op == record.Observe:
		return endlessObserve
	case endless:
		return endlessAdd
	case smp.Op == record.Add && smp.Value < 0:
		return negativeAdd
	case smp.Op == record.Observe && !(smp.Weight >= 0 && smp.Weight <= math.MaxFloat64):
		return badWeight(smp.Weight)
	case smp.Op == record.Observe && math.IsInf(smp.Value*smp.Weight, 0):
		return endlessSum
	}
	return nil
}

// sampleTime is what a sample's value is of, in Unix milliseconds; explicit says that
// it tells so itself. A clock that is ahead of ours must not keep later values off
// the page.
func (p *put) sampleTime(smp *record.Sample) (at int64, explicit bool) {
	if smp.Time.IsZero() || smp.Time.After(p.batch.Time) {
		return p.batch.Time.UnixMilli(), false
	}
	return smp.Time.UnixMilli(), true
}

// late says whether a value is older than the one that its series shows. Such
// a one is no news: it neither replaces that nor renews it, and is no fault
// either. What is of now is never late, though our clock was set back. A whole
// batch is the present state, whatever its times: there it counts only against
// values of the same batch.
func (p *put) late(se *series, smp *record.Sample) bool {
	at, explicit := p.sampleTime(smp)
	if smp.Op != record.Set || !explicit || p.batch.Complete && se.batch != p.source.batch {
		return false
	}
	if se.extra != nil && se.extra.at != 0 {
		return at < se.extra.at
	}
	return at < int64(se.at)*1000
}

// admit finds or makes the series whose key is p.key, where the rules on names
// allow it. It gives neither a series nor a refusal where the sample has ended
// the last series of the source that said its type, so that it has another key.
func (c *Collector) admit(p *put, m *metric, smp *record.Sample) (*series, *refusal) {
	if refused := m.lostIn(p.source.batch); refused != nil {
		return nil, refused
	}
	text := p.key
	if m.bounds() != nil {
		text = text[:len(text)-1] // without keyEnd
	} else if m.part() != nil {
		var refused *refusal
		if p.text, refused = p.source.appendSeries(p.text[:0], m.sample, m, smp, ""); refused != nil {
			return nil, refused
		}
		text = p.text
	}
	b, refused := c.join(p.source, m, p.batch.Complete)
	if refused != nil {
		own := m.own()
		own.lost, own.lostIn = refused, p.source.batch
		return nil, refused
	}
	m.block = b
	if b.metric != m && (b.metric.unitLen != m.unitLen || b.metric.help() != m.help()) { // declared anew
		c.layout.touch(b.family.blocks[0])
	}
	b.show(m)
	if se := p.source.series.get(p.key); se != nil {
		return se, nil
	}
	if refused := c.endDuplicates(p, b, m); refused != nil || b.family == nil {
		return nil, refused
	}
	se := c.add(b, string(p.key), string(text))
	if m.bounds() != nil {
		se.extra.dist = &distribution{bounds: m.bounds(), stale: true}
	}
	p.source.series.Add(se)
	p.source.lines += se.lines()
	return se, nil
}

// endDuplicates ends the series of others that have a line in common with the
// one whose key is p.key, or refuses that one. b is gone where it has ended the
// last series that said its family's type.
func (c *Collector) endDuplicates(p *put, b *block, m *metric) *refusal {
	for b.family != nil {
		other := b.duplicate(m, p.key)
		switch {
		case other == nil:
			return nil
		case other.block == b:
			return observedAndSet
		case other.block.source.compare(p.source) < 0:
			if len(b.series) == 0 {
				c.drop(b)
			}
			return duplicateSeries(other.block.source)
		}
		c.outrank(other, p.source)
	}
	return nil
}

// mention notes that the batch speaks of a series.
func (p *put) mention(se *series, smp *record.Sample) {
	se.batch, se.block.batch = p.source.batch, p.source.batch
	se.expires = p.expires
	se.come(smp.Line, smp.Op != record.Set)
}

// observe takes in an observation; false where its sums would become infinite.
func (c *Collector) observe(p *put, se *series, smp *record.Sample) bool {
	weight := smp.Weight
	if weight == 0 {
		weight = 1
	}
	d := se.distribution()
	p.mention(se, smp)
	if !d.observe(p.now, smp.Value, weight) {
		return false
	}
	p.source.slide = min(p.source.slide, d.window.due())
	c.layout.touch(se.block)
	return true
}

// update gives a series its new value.
func (c *Collector) update(p *put, m *metric, se *series, smp *record.Sample) {
	again := se.batch == p.source.batch // mentioned before in this batch
	p.mention(se, smp)
	value := smp.Value
	switch {
	case se.sum() && smp.Retry: // Put always takes what can be taken
		value = se.value
	case se.sum():
		value += se.value
	case m.meta != nil && m.meta.Calctype == record.CalctypeAverage:
		value = se.average(p.now, p.now.add(-p.source.def.AverageWindow), value, again)
	}
	var stamp int64
	if p.source.def.HonorTimestamps && !smp.Time.IsZero() {
		// The text format has no room for times before 1970.
		if ms := smp.Time.UnixMilli(); ms > 0 && ms < maxStamp {
			stamp = ms
		}
	}
	if !smp.Time.IsZero() && se.extra == nil {
		se.extra = new(extra)
	}
	if math.Float64bits(value) != math.Float64bits(se.value) || se.extra != nil && se.extra.stamp != stamp {
		c.layout.touch(se.block)
	}
	se.value = value
	at, _ := p.sampleTime(smp)
	se.at = uint32(max(at/1000, 0))
	if se.extra != nil {
		se.extra.stamp, se.extra.at = stamp, at
	}
}

// maxStamp is the year 33658, in Unix milliseconds.
const maxStamp = 1e15

// maxPoints bounds the memory of one average.
const maxPoints = 1024

// average takes a value in and gives the mean of those since the window's
// begin; the newest is always among them. A second value in one batch takes
// the place of the first.
func (se *series) average(now, begin instant, value float64, again bool) float64 {
	if se.extra == nil {
		se.extra = new(extra)
	}
	points := se.extra.points
	if again && len(points) > 0 {
		points = points[:len(points)-1]
	}
	old := 0
	for old < len(points) && (points[old].at <= begin || len(points)-old >= maxPoints) {
		old++
	}
	points = slices.Delete(points, 0, old)
	points = append(points, point{now, value})
	se.extra.points = points
	n, sum := float64(len(points)), 0.0
	for _, p := range points {
		sum += p.value
	}
	if !math.IsInf(sum, 0) {
		return sum / n
	}
	sum = 0
	for _, p := range points { // without the overflow
		sum += p.value / n
	}
	return sum
}
