package statsd

import (
	"errors"
	"slices"
	"time"

	"scriptbridge/record"
)

// flush gives what came since the last one, in as many batches as there are
// times to live among the series; none when nothing came. Their samples are overwritten
// by the next one.
func (m *merge) flush(now time.Time) []*record.Batch {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.setNow(now)
	for reason, n := range m.dropped {
		m.counts.Dropped(reason, n)
	}
	clear(m.dropped)
	batches := m.collect()
	if err := m.drainFaults(); err != nil || len(m.events) > 0 {
		if len(batches) == 0 {
			batches = append(batches, m.batch(m.mapping.ttl))
		}
		batches[0].Err, batches[0].Events = err, m.events
		m.events, m.eventBytes = nil, 0
	}
	if now.Sub(m.swept) >= sweepInterval {
		m.sweep()
	}
	if m.awake = false; len(m.active) > 0 { // sets, whose members leave by themselves
		m.tell()
	}
	return batches
}

// tell tells that there is something to flush.
func (m *merge) tell() {
	if m.awake {
		return
	}
	m.awake = true
	select {
	case m.wake <- struct{}{}:
	default: // the last one was not taken yet
	}
}

// keeps says whether there are series, which end.
func (m *merge) keeps() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.series.used > 0
}

// batch makes one whose series are mentioned again in time if a client mentions
// them within ttl: what it says then comes a flush later at most.
func (m *merge) batch(ttl time.Duration) *record.Batch {
	return &record.Batch{Source: m.source, Time: m.now, MaxAge: ttl + flushInterval}
}

// collect makes the samples of what was mentioned, and of the sets whose
// members have become fewer.
func (m *merge) collect() []*record.Batch {
	var batches []*record.Batch
	active := m.active
	m.active = m.active[:0]
	for _, se := range active {
		se.active = false
		if se.forgotten {
			continue
		}
		if se.kind == typeSet {
			m.count(se)
		}
		if !se.touched {
			continue
		}
		i := slices.IndexFunc(batches, func(b *record.Batch) bool { return b.MaxAge == se.ttl+flushInterval })
		if i < 0 {
			i = len(batches)
			batches = append(batches, m.batch(se.ttl))
			if i == 0 { // most have one time to live
				batches[i].Samples = m.spares.samplesFor(len(active) + m.points)
			}
		}
		batches[i].Samples = se.drain(batches[i].Samples, &m.spares)
	}
	clear(active[len(m.active):])
	m.points = 0
	return batches
}

// count updates what a set shows. It stays active while it has members, since
// these leave by themselves.
func (m *merge) count(se *series) {
	before := se.members.size()
	n := se.members.count(m.since)
	m.members += se.members.size() - before
	if n != se.value {
		se.value, se.touched = n, true
	}
	if n > 0 {
		se.active = true
		m.active = append(m.active, se)
	}
}

// drain appends the series' samples, and begins anew.
func (se *series) drain(to []record.Sample, room *spares) []record.Sample {
	se.touched = false
	s := record.Sample{Name: se.meta.Name, Labels: se.labels, Meta: se.meta, Value: se.value, Handle: &se.handle}
	switch se.kind {
	case typeCounter:
		s.Op = record.Add
		se.value = 0
	case typeTimer, typeHistogram:
		s.Op = record.Observe
		se.observed.compact(room)
		for _, p := range se.observed.list {
			s.Value, s.Weight = p.value, p.weight
			to = append(to, s)
		}
		se.observed.clear(room)
		return to
	}
	return append(to, s)
}

// drainFaults joins the lines that could not be used.
func (m *merge) drainFaults() error {
	var errs []error
	for _, f := range m.faults {
		if m.faulty[f.Reason] > maxFaults { // the first of its reason stands for the rest
			f.More = m.faulty[f.Reason] - maxFaults
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
func (m *merge) sweep() {
	m.swept = m.now
	m.spares.sweep()
	m.series.drop(func(se *series) bool {
		if m.since-se.last < se.ttl {
			return false
		}
		se.forgotten = true
		if se.members != nil {
			m.members -= se.members.size()
		}
		return true
	})
	m.targets.drop(func(t target) bool { return t.series.forgotten })
}
