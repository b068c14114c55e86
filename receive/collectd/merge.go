package collectd

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"scriptbridge/receive/receiver"
	"scriptbridge/record"
)

const (
	// collectdSlowest is the longest interval that a value may claim: it says
	// how long a series is remembered.
	collectdSlowest = 24 * time.Hour
	// collectdUnbounded is how many series are remembered where max_series
	// sets no bound.
	collectdUnbounded = 1 << 17
	// collectdAges is how many lifetimes the values of one moment may have:
	// each is a batch of its own.
	collectdAges = 16
	// collectdEvents is how many notifications are taken in one moment.
	collectdEvents = 1000
	// collectdErrors is how many errors of one moment are kept.
	collectdErrors = 20
	// collectdSweep is how often what is too old is forgotten.
	collectdSweep = 10 * time.Second
)

// collectdMerge gathers what comes by all ways until the sink has time for it:
// a series' latest value, each notification, what was bad by its reason. Its
// memory is bounded by the number of series. It is safe for concurrent use.
type collectdMerge struct {
	source   *record.Source
	counts   *receiver.Counts
	types    collectdTypes
	interval time.Duration // of values that do not tell theirs
	ttl      time.Duration // of all values; 0: two intervals of each
	limit    int           // of series
	// wake has an element while there is something to take.
	wake chan struct{}

	mu      sync.Mutex
	series  map[collectdKey]*collectdSeries
	owners  map[string]*collectdSeries // by what the page knows a series by
	metas   map[collectdMetric]*record.Meta
	pending []*collectdSeries // those with a new value
	notices collectdNotices
	events  []record.Event
	refused []*record.LineError
	failure error                   // of a poll
	told    map[string]collectdTold // by what they are; the first of each
	lists   uint64                  // so many have come
	sweep   time.Time               // when to forget
}

// collectdTold is what is no fault of a value's, and for the log alone.
type collectdTold struct {
	msg string
	err error
}

// collectdTellMost is how many different things of one moment are told.
const collectdTellMost = 20

// collectdKey is what collectd knows a series by; the kind is that of its
// sender's types.db.
type collectdKey struct {
	collectdID
	ds   string
	kind collectdKind
}

// collectdMetric is what series share a record.Meta by.
type collectdMetric struct {
	plugin, typ, ds string
	kind            collectdKind
}

// collectdSeries is one series, and the value that is not put yet.
type collectdSeries struct {
	key     collectdKey
	shown   string // the key in owners
	sample  record.Sample
	waiting bool      // for its Put
	at      time.Time // what the sample's value is of
	list    uint64    // the one that it was in last
	age     time.Duration
	ends    time.Time // nobody speaks of it any more
}

func newCollectdMerge(source *record.Source, counts *receiver.Counts, interval, ttl time.Duration, types collectdTypes) *collectdMerge {
	m := &collectdMerge{
		source: source, counts: counts, types: types, interval: interval, ttl: ttl,
		limit:  source.MaxSeries,
		wake:   make(chan struct{}, 1),
		series: make(map[collectdKey]*collectdSeries),
		owners: make(map[string]*collectdSeries),
		metas:  make(map[collectdMetric]*record.Meta),
		told:   make(map[string]collectdTold),
	}
	if m.limit <= 0 {
		m.limit = collectdUnbounded
	}
	return m
}

// awake says that there is something to take.
func (m *collectdMerge) awake() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// list implements collectdTaker.
func (m *collectdMerge) list(l *collectdList) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.awake()
	if err := l.check(); err != nil {
		m.refuse(collectdMalformed, err)
		return
	}
	if err := l.misnamed(m.types); err != nil {
		m.tell("types "+l.typ, "data sources have no names", err)
	}
	now := time.Now()
	m.lists++
	for i, v := range l.values {
		ds := l.dsName(i, m.types)
		switch {
		case v.refused:
			continue
		case len(ds) > collectdLongest:
			m.refuse(collectdMalformed, fmt.Errorf("%s: the name of a data source has %d bytes, more than %d", &l.collectdID, len(ds), collectdLongest))
			continue
		case v.none():
			m.refuse("no_value", fmt.Errorf("%s: data source %s has no value", &l.collectdID, ds))
			continue
		}
		s := m.find(collectdKey{l.collectdID, ds, v.kind}, now)
		switch {
		case s == nil:
			continue
		case s.list == m.lists:
			m.refuse("duplicate", fmt.Errorf("%s: two data sources have the name %s; the first is taken", &l.collectdID, ds))
			continue
		}
		s.list = m.lists
		if s.take(v, l.time, now) {
			s.age = m.age(l.interval)
			s.ends = now.Add(s.age)
			if !s.waiting {
				s.waiting = true
				m.pending = append(m.pending, s)
			}
		}
	}
}

// take takes in a value, which waits for its Put then. It reports false for one
// that is older than what the series has: it is no news, and no fault either. A
// clock that is ahead must not keep later values off the page, and what is of
// now is never late, though our clock was set back.
func (s *collectdSeries) take(v collectdValue, at, now time.Time) bool {
	if at.After(now) {
		at = time.Time{} // as of its Put
	}
	older := !at.IsZero() && at.Before(s.at) && s.ends.After(now)
	if v.kind == collectdAbsolute {
		if s.waiting {
			v.value += s.sample.Value
		}
	} else if older {
		return false
	}
	s.sample.Value = v.value
	if !older {
		s.sample.Time, s.at = at, at
		if at.IsZero() {
			s.at = now
		}
	}
	return true
}

// age is how long a value lives: two intervals, as collectd itself has it,
// and no less than two of ours, unless the configuration says otherwise.
func (m *collectdMerge) age(interval time.Duration) time.Duration {
	if m.ttl > 0 {
		return m.ttl
	}
	if interval <= 0 {
		interval = m.interval
	}
	return 2 * max(interval, collectdPause)
}

// find gives the series of a key, nil for one that is refused. The caller
// holds m.mu.
func (m *collectdMerge) find(key collectdKey, now time.Time) *collectdSeries {
	if s := m.series[key]; s != nil {
		return s
	}
	if len(m.series) >= m.limit {
		m.counts.Dropped("max_series", 1)
		return nil
	}
	s := &collectdSeries{key: key, sample: record.Sample{
		Name: key.metricName(key.ds, key.kind), Labels: key.labels(),
	}}
	if key.kind == collectdAbsolute {
		s.sample.Op = record.Add
	}
	s.shown = shownAs(&s.sample)
	if o := m.owners[s.shown]; o != nil {
		if o.ends.After(now) {
			m.refuse("duplicate", fmt.Errorf("%s (%s) would be the same series as %s (%s), which was there before", &key.collectdID, key.ds, &o.key.collectdID, o.key.ds))
			return nil
		}
		m.forget(o)
	}
	s.sample.Meta = m.meta(&key) // for a series that there is: metas have no bound of their own
	m.series[key], m.owners[s.shown] = s, s
	return s
}

// meta gives what the series of a metric share. The caller holds m.mu.
func (m *collectdMerge) meta(key *collectdKey) *record.Meta {
	k := collectdMetric{key.plugin, key.typ, key.ds, key.kind}
	meta := m.metas[k]
	if meta == nil {
		meta = key.meta(key.ds, key.kind)
		m.metas[k] = meta
	}
	return meta
}

// shownAs is what the page knows a series by.
func shownAs(s *record.Sample) string {
	var b strings.Builder
	b.WriteString(s.Name)
	for _, l := range s.Labels {
		b.WriteString("\x00" + l.Name + "\x00" + l.Value)
	}
	return b.String()
}

// forget ends a series. One that waits for its Put is put still. The caller
// holds m.mu.
func (m *collectdMerge) forget(s *collectdSeries) {
	delete(m.series, s.key)
	delete(m.owners, s.shown)
}

// bad implements collectdTaker.
func (m *collectdMerge) bad(reason string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if reason == collectdForeign {
		m.counts.Dropped(reason, 1)
		m.tell(reason, "something is not let in", err)
	} else {
		m.refuse(reason, err)
	}
	m.awake()
}

// tell has something logged. The caller holds m.mu.
func (m *collectdMerge) tell(what, msg string, err error) {
	if _, known := m.told[what]; !known && len(m.told) < collectdTellMost {
		m.told[what] = collectdTold{msg, err}
	}
}

// refuse keeps the first errors, one of each reason at least, and the number of
// the others. The caller holds m.mu.
func (m *collectdMerge) refuse(reason string, err error) {
	if len(m.refused) >= collectdErrors {
		for _, e := range m.refused {
			if e.Reason == reason {
				e.More++
				return
			}
		}
	}
	m.refused = append(m.refused, &record.LineError{Reason: reason, Err: err})
}

// fail takes the error of a poll that came to nothing.
func (m *collectdMerge) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failure = err
	m.awake()
}

// notice implements collectdTaker.
func (m *collectdMerge) notice(n collectdNotice) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.awake()
	if err := n.check(); err != nil {
		m.refuse(collectdMalformed, err)
		return
	}
	if len(m.events) >= collectdEvents {
		m.counts.Dropped("overload", 1)
		return
	}
	m.events = append(m.events, m.notices.events(m.source, &n, time.Now())...)
}

// take gives all that has come since it was called last, as batches of one
// lifetime each; none when nothing has. told is what is to be logged, by what it
// is.
func (m *collectdMerge) take(now time.Time) (batches []*record.Batch, told map[string]collectdTold) {
	m.mu.Lock()
	defer m.mu.Unlock()
	told, m.told = m.told, make(map[string]collectdTold)
	batches = m.byAge(now)
	if len(m.events)+len(m.refused) > 0 || m.failure != nil {
		if len(batches) == 0 {
			batches = []*record.Batch{{Source: m.source, Time: now, Declared: collectdDeclared}}
		}
		var errs []error
		for _, e := range m.refused {
			errs = append(errs, e)
		}
		batches[0].Events = m.events
		batches[0].Err = errors.Join(append(errs, m.failure)...)
		m.events, m.refused, m.failure = nil, nil, nil
	}
	if now.After(m.sweep) {
		m.clean(now)
	}
	return batches, told
}

// byAge makes batches of the values that wait. Where there are too many
// lifetimes, the shortest ones are lengthened. The caller holds m.mu.
func (m *collectdMerge) byAge(now time.Time) []*record.Batch {
	slices.SortStableFunc(m.pending, func(a, b *collectdSeries) int { return cmp.Compare(b.age, a.age) })
	var batches []*record.Batch
	for _, s := range m.pending {
		n := len(batches)
		if n == 0 || batches[n-1].MaxAge != s.age && n < collectdAges {
			batches = append(batches, &record.Batch{Source: m.source, Time: now, Declared: collectdDeclared, MaxAge: s.age})
			n++
		}
		batches[n-1].Samples = append(batches[n-1].Samples, s.sample)
		s.waiting = false
	}
	clear(m.pending)
	m.pending = m.pending[:0]
	return batches
}

// clean forgets what nobody speaks of any more. The caller holds m.mu.
func (m *collectdMerge) clean(now time.Time) {
	m.sweep = now.Add(collectdSweep)
	for _, s := range m.series {
		if !s.ends.After(now) {
			m.forget(s)
		}
	}
	used := make(map[*record.Meta]bool, len(m.metas))
	for _, s := range m.series {
		used[s.sample.Meta] = true
	}
	for k, meta := range m.metas {
		if !used[meta] {
			delete(m.metas, k)
		}
	}
	m.notices.clean(now)
}
