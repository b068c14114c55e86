package collectd

import (
	"errors"
	"fmt"
	"maps"
	"slices"
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
	known    map[string]*knownList // by identifierKey
	series   map[seriesKey]*series
	owners   map[string]*series // by what the page knows a series by
	metas    map[metricKey]*record.Meta
	pending  []*series       // those with a new value
	samples  []record.Sample // room for a drain's
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
	of   *knownList
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
		known:    make(map[string]*knownList),
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
	k, err := m.knownAs(l)
	if err != nil {
		m.refuse(malformed, err)
		return
	}
	if k.misnamed != nil {
		m.warn("types "+k.typ, "data sources have no names", k.misnamed)
	}
	now := l.came
	if now.IsZero() {
		now = time.Now()
	}
	if l.secured && !m.timely(&k.identifier, l.time, l.interval, now) {
		return
	}
	m.lists++
	again := false
	for i, v := range l.values {
		if v.refused {
			continue
		}
		s := m.seriesOf(k, i, l, now)
		switch {
		case s == nil:
			continue
		case s.list == m.lists:
			m.refuse("duplicate", fmt.Errorf("%s: two data sources have the name %s; the first is taken", &k.identifier, s.key.ds))
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
		m.keepOutReplay(&k.identifier)
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

// lifetime is of some of the values that wait.
type lifetime struct {
	n     int // so many have it
	batch *record.Batch
}

// byAge makes batches of the values that wait. Where there are too many
// lifetimes, the shortest ones are lengthened. The caller holds m.mu.
func (m *merge) byAge(now time.Time) []*record.Batch {
	lifetimes := make(map[time.Duration]*lifetime, 1)
	for _, s := range m.pending {
		l := lifetimes[s.age]
		if l == nil {
			l = new(lifetime)
			lifetimes[s.age] = l
		}
		l.n++
	}
	var batches []*record.Batch
	var samples [maxAges]int
	for _, age := range slices.Backward(slices.Sorted(maps.Keys(lifetimes))) {
		if len(batches) < maxAges {
			batches = append(batches, &record.Batch{Source: m.source, Time: now, Declared: declared, MaxAge: age})
		}
		last := len(batches) - 1
		lifetimes[age].batch = batches[last]
		samples[last] += lifetimes[age].n
	}
	// One piece for all, which is used again: sinks keep none of it.
	m.samples = slices.Grow(m.samples[:0], len(m.pending))
	room := m.samples[:len(m.pending)]
	for i, b := range batches {
		n := samples[i]
		b.Samples, room = room[:0:n], room[n:]
	}
	for _, s := range m.pending {
		b := lifetimes[s.age].batch
		b.Samples = append(b.Samples, s.sample)
		s.waiting = false
	}
	clear(m.pending)
	m.pending = m.pending[:0]
	return batches
}

// clean forgets what nobody speaks of any more. The caller holds m.mu.
func (m *merge) clean(now time.Time) {
	m.sweep = now.Add(sweepInterval)
	m.samples = nil // whose room is made anew for what comes now
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
