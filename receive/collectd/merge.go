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
	// maxInterval is the longest interval that a value may claim: it says
	// how long a series is remembered.
	maxInterval = 24 * time.Hour
	// unboundedSeries is how many series are remembered where max_series
	// sets no bound.
	unboundedSeries = 1 << 17
	// maxAges is how many lifetimes the values of one drain may have:
	// each is a batch of its own.
	maxAges = 16
	// maxEvents is how many notifications are taken between two drains.
	maxEvents = 1000
	// maxErrors is how many errors are kept between two drains.
	maxErrors = 20
	// sweepInterval is how often what is too old is forgotten.
	sweepInterval = 10 * time.Second
)

// merge gathers what comes by all ways until the sink has time for it:
// a series' latest value, each notification, what was bad by its reason. Its
// memory is bounded by the number of series. It is safe for concurrent use.
type merge struct {
	source   *record.Source
	counts   *receiver.Counts
	types    typesDB
	interval time.Duration // of values that do not tell theirs
	ttl      time.Duration // of all values; 0: two intervals of each
	timed    bool          // what is secured must tell its time
	limit    int           // of series
	// wake has an element while there is something to take.
	wake chan struct{}

	mu       sync.Mutex
	series   map[seriesKey]*series
	owners   map[string]*series // by what the page knows a series by
	metas    map[metricKey]*record.Meta
	pending  []*series // those with a new value
	notices  notifications
	events   []record.Event
	refused  []*record.LineError
	failure  error              // of a poll
	warnings map[string]warning // by what they are; the first of each
	lists    uint64             // so many have come
	sweep    time.Time          // when to forget
}

// warning is what is no fault of a value's, and for the log alone.
type warning struct {
	msg string
	err error
}

// maxWarnings is how many different things are logged for one drain.
const maxWarnings = 20

// seriesKey is what collectd knows a series by; the kind is that of its
// sender's types.db.
type seriesKey struct {
	identifier
	ds   string
	kind dsType
}

// metricKey is what series share a record.Meta by.
type metricKey struct {
	plugin, typ, ds string
	kind            dsType
}

// series is one series, and the value that is not put yet.
type series struct {
	key     seriesKey
	shown   string // the key in owners
	sample  record.Sample
	waiting bool      // for its Put
	at      time.Time // what the sample's value is of
	list    uint64    // the one that it was in last
	age     time.Duration
	ends    time.Time // nobody speaks of it any more
	newest  time.Time // of the secured values, of which only a later one is taken
	known   time.Time // until then newest must be: what is older is too old then
}

func newMerge(source *record.Source, counts *receiver.Counts, interval, ttl time.Duration, types typesDB) *merge {
	m := &merge{
		source: source, counts: counts, types: types, interval: interval, ttl: ttl,
		limit:    source.MaxSeries,
		wake:     make(chan struct{}, 1),
		series:   make(map[seriesKey]*series),
		owners:   make(map[string]*series),
		metas:    make(map[metricKey]*record.Meta),
		warnings: make(map[string]warning),
	}
	if m.limit <= 0 {
		m.limit = unboundedSeries
	}
	return m
}

// awake says that there is something to take.
func (m *merge) awake() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// list implements consumer.
func (m *merge) list(l *valueList) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.awake()
	if err := l.check(); err != nil {
		m.refuse(malformed, err)
		return
	}
	if err := l.misnamed(m.types); err != nil {
		m.warn("types "+l.typ, "data sources have no names", err)
	}
	now := time.Now()
	if l.secured && !m.timely(&l.identifier, l.time, l.interval, now) {
		return
	}
	m.lists++
	again := false
	for i, v := range l.values {
		ds := l.dsName(i, m.types)
		switch {
		case v.refused:
			continue
		case len(ds) > maxName:
			m.refuse(malformed, fmt.Errorf("%s: the name of a data source has %d bytes, more than %d", &l.identifier, len(ds), maxName))
			continue
		case v.none():
			m.refuse("no_value", fmt.Errorf("%s: data source %s has no value", &l.identifier, ds))
			continue
		}
		s := m.find(seriesKey{l.identifier, ds, v.kind}, now)
		switch {
		case s == nil:
			continue
		case s.list == m.lists:
			m.refuse("duplicate", fmt.Errorf("%s: two data sources have the name %s; the first is taken", &l.identifier, ds))
			continue
		}
		s.list = m.lists
		if l.secured && !s.later(l.time, m.window(l.interval)) {
			again = true
			continue
		}
		if s.update(v, l.time, now) {
			s.age = m.age(l.interval)
			s.ends = now.Add(s.age)
			if !s.waiting {
				s.waiting = true
				m.pending = append(m.pending, s)
			}
		}
	}
	if again {
		m.keepOutReplay(&l.identifier)
	}
}

// update takes in a value, which waits for its Put then. It reports false for one
// that is older than what the series has: it is no news, and no fault either. A
// clock that is ahead must not keep later values off the page, and what is of
// now is never late, though our clock was set back.
func (s *series) update(v dsValue, at, now time.Time) bool {
	if at.After(now) {
		at = time.Time{} // as of its Put
	}
	older := !at.IsZero() && at.Before(s.at) && s.ends.After(now)
	if v.kind == dsAbsolute {
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
func (m *merge) age(interval time.Duration) time.Duration {
	if m.ttl > 0 {
		return m.ttl
	}
	if interval <= 0 {
		interval = m.interval
	}
	return 2 * max(interval, flushInterval)
}

// find gives the series of a key, nil for one that is refused. The caller
// holds m.mu.
func (m *merge) find(key seriesKey, now time.Time) *series {
	if s := m.series[key]; s != nil {
		return s
	}
	if len(m.series) >= m.limit {
		m.counts.Dropped("max_series", 1)
		return nil
	}
	s := &series{key: key, sample: record.Sample{
		Name: key.metricName(key.ds, key.kind), Labels: key.labels(),
	}}
	if key.kind == dsAbsolute {
		s.sample.Op = record.Add
	}
	s.shown = shownAs(&s.sample)
	if o := m.owners[s.shown]; o != nil {
		if o.ends.After(now) {
			m.refuse("duplicate", fmt.Errorf("%s (%s) would be the same series as %s (%s), which was there before", &key.identifier, key.ds, &o.key.identifier, o.key.ds))
			return nil
		}
		m.forget(o)
	}
	s.sample.Meta = m.meta(&key) // for a series that there is: metas have no bound of their own
	m.series[key], m.owners[s.shown] = s, s
	return s
}

// meta gives what the series of a metric share. The caller holds m.mu.
func (m *merge) meta(key *seriesKey) *record.Meta {
	k := metricKey{key.plugin, key.typ, key.ds, key.kind}
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
func (m *merge) forget(s *series) {
	delete(m.series, s.key)
	delete(m.owners, s.shown)
}

// reject implements consumer.
func (m *merge) reject(reason string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if reason == unauthorized {
		m.keepOut(reason, err)
	} else {
		m.refuse(reason, err)
	}
	m.awake()
}

// warn has something logged. The caller holds m.mu.
func (m *merge) warn(what, msg string, err error) {
	if _, known := m.warnings[what]; !known && len(m.warnings) < maxWarnings {
		m.warnings[what] = warning{msg, err}
	}
}

// refuse keeps the first errors, one of each reason at least, and the number of
// the others. The caller holds m.mu.
func (m *merge) refuse(reason string, err error) {
	if len(m.refused) >= maxErrors {
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
func (m *merge) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failure = err
	m.awake()
}

// notice implements consumer.
func (m *merge) notice(n notification) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.awake()
	now := time.Now()
	switch err := n.check(); {
	case err != nil:
		m.refuse(malformed, err)
		return
	case n.secured && !m.timely(&n.identifier, n.time, 0, now):
		return
	case m.notices.replayed(&n):
		m.keepOutReplay(&n.identifier)
		return
	}
	if len(m.events) >= maxEvents {
		m.counts.Dropped("overload", 1)
		return
	}
	m.events = append(m.events, m.notices.events(m.source, &n, now)...)
}

// drain gives all that has come since it was called last, as batches of one
// lifetime each; none when nothing has. warnings are what is to be logged, by what it
// is.
func (m *merge) drain(now time.Time) (batches []*record.Batch, warnings map[string]warning) {
	m.mu.Lock()
	defer m.mu.Unlock()
	warnings, m.warnings = m.warnings, make(map[string]warning)
	batches = m.byAge(now)
	if len(m.events)+len(m.refused) > 0 || m.failure != nil {
		if len(batches) == 0 {
			batches = []*record.Batch{{Source: m.source, Time: now, Declared: declared}}
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
	return batches, warnings
}

// byAge makes batches of the values that wait. Where there are too many
// lifetimes, the shortest ones are lengthened. The caller holds m.mu.
func (m *merge) byAge(now time.Time) []*record.Batch {
	slices.SortStableFunc(m.pending, func(a, b *series) int { return cmp.Compare(b.age, a.age) })
	var batches []*record.Batch
	for _, s := range m.pending {
		n := len(batches)
		if n == 0 || batches[n-1].MaxAge != s.age && n < maxAges {
			batches = append(batches, &record.Batch{Source: m.source, Time: now, Declared: declared, MaxAge: s.age})
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
func (m *merge) clean(now time.Time) {
	m.sweep = now.Add(sweepInterval)
	for _, s := range m.series {
		if !s.ends.After(now) && !s.known.After(now) {
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
