package statsd

import (
	"errors"
	"slices"
	"time"

	"scriptbridge/record"
)

// flush gives what came since the last one, in as many batches as there are
// times to live among the series; none when nothing came.
func (m *statsdMerge) flush(now time.Time) []*record.Batch {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = now
	for reason, n := range m.dropped {
		m.counts.Dropped(reason, n)
	}
	clear(m.dropped)
	batches := m.collect()
	if err := m.takeFaults(); err != nil || len(m.events) > 0 {
		if len(batches) == 0 {
			batches = append(batches, m.batch(m.mapping.ttl))
		}
		batches[0].Err, batches[0].Events = err, m.events
		m.events, m.eventBytes = nil, 0
	}
	if now.Sub(m.swept) >= statsdSweep {
		m.sweep()
	}
	return batches
}

// batch makes one whose series are mentioned again in time if a client mentions
// them within ttl: what it says then comes a flush later at most.
func (m *statsdMerge) batch(ttl time.Duration) *record.Batch {
	return &record.Batch{Source: m.source, Time: m.now, MaxAge: ttl + statsdFlush}
}

// collect makes the samples of what was mentioned, and of the sets whose
// members have become fewer.
func (m *statsdMerge) collect() []*record.Batch {
	var batches []*record.Batch
	active := m.active
	m.active = m.active[:0]
	for _, se := range active {
		se.active = false
		if se.gone {
			continue
		}
		if se.kind == statsdSet {
			m.count(se)
		}
		if !se.touched {
			continue
		}
		i := slices.IndexFunc(batches, func(b *record.Batch) bool { return b.MaxAge == se.ttl+statsdFlush })
		if i < 0 {
			i = len(batches)
			batches = append(batches, m.batch(se.ttl))
		}
		batches[i].Samples = se.take(batches[i].Samples)
	}
	clear(active[len(m.active):])
	m.points = 0
	return batches
}

// count settles what a set shows. It stays active while it has members, since
// these leave by themselves.
func (m *statsdMerge) count(se *statsdSeries) {
	before := se.members.size()
	n := se.members.count(m.now.Sub(m.start))
	m.members += se.members.size() - before
	if n != se.value {
		se.value, se.touched = n, true
	}
	if n > 0 {
		se.active = true
		m.active = append(m.active, se)
	}
}

// take appends the series' samples, and begins anew.
func (se *statsdSeries) take(to []record.Sample) []record.Sample {
	se.touched = false
	s := record.Sample{Name: se.name, Labels: se.labels, Meta: se.meta, Value: se.value}
	switch se.kind {
	case statsdCounter:
		s.Op = record.Add
		se.value = 0
	case statsdTimer, statsdHistogram:
		s.Op = record.Observe
		for _, p := range se.points.list {
			s.Value, s.Weight = p.value, p.weight
			to = append(to, s)
		}
		se.points.clear()
		return to
	}
	return append(to, s)
}

// takeFaults joins the lines that could not be used.
func (m *statsdMerge) takeFaults() error {
	var errs []error
	for _, f := range m.faults {
		if m.faulty[f.Reason] > maxStatsDFaults { // the first of its reason stands for the rest
			f.More = m.faulty[f.Reason] - maxStatsDFaults
			m.faulty[f.Reason] = 0
		}
		errs = append(errs, f)
	}
	m.faults = nil
	clear(m.faulty)
	return errors.Join(errs...)
}

// sweep forgets the series that nobody mentions any more: the page has
// forgotten them too.
func (m *statsdMerge) sweep() {
	m.swept = m.now
	for id, se := range m.series {
		if m.now.Sub(se.last) >= se.ttl {
			se.gone = true
			m.members -= se.members.size()
			delete(m.series, id)
		}
	}
}
