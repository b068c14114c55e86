package statsd

import (
	"cmp"
	"hash/maphash"
	"math"
	"strings"
	"sync"
	"time"

	"scriptbridge/config"
	"scriptbridge/receive/receiver"
	"scriptbridge/record"
)

const (
	// maxHead bounds the name and tags of a sample, in bytes; the page
	// takes less.
	maxHead = 4096
	// headsBase, and headsPerSeries for each series that there may be, bound the heads
	// that are kept.
	headsBase      = 1 << 16
	headsPerSeries = 4
	// maxEvents bounds the events between two flushes, maxEventBytes
	// their lines.
	maxEvents     = 1000
	maxEventBytes = 4 << 20
	// maxFaults are told of a reason between two flushes; the others are
	// counted.
	maxFaults = 3
	// sweepInterval is how often series are looked through for old ones.
	sweepInterval = 10 * time.Second
)

// merge merges what comes until it is flushed: one sum, one value or one
// list of weighted values for each series. There is no queue that could run
// over: however slow the sink, however many the packets, it holds no more than
// its series, and what exceeds their number is counted.
//
// It is safe for concurrent use; one packet after the other is taken.
type merge struct {
	source  *record.Source
	mapping *mapping
	counts  *receiver.Counts
	limit   int // of series, above 0
	seed    maphash.Seed
	start   time.Time

	// wake tells that there is something to flush, once until the next flush.
	wake chan struct{}

	mu       sync.Mutex
	readings [linesAtOnce]reading
	read     int  // of those
	awake    bool // wake was told
	now      time.Time
	since    time.Duration  // now, since start
	unix     int64          // now, in Unix seconds
	key      []byte         // scratch
	targets  *table[target] // by head
	metas    map[metaKey]*record.Meta
	series   *table[*series] // by identity
	unwanted *series         // stands for all that the mapping drops
	active   []*series       // what the next flush looks at
	swept    time.Time
	points   int // of all series
	members  int // of all sets
	spares   spares

	events     []record.Event
	eventBytes int // of their lines
	faults     []*record.LineError
	faulty     map[string]int // by reason, those that are not in faults too
	dropped    map[string]int // by reason
}

type metaKey struct {
	metric string
	typ    record.Type
	unit   string
	mapped string // the names of Native.Mapped
}

// series is one series and what came for it since the last flush.
type series struct {
	value     float64       // a counter's sum, a gauge's value, what a set showed
	last      time.Duration // when it was last mentioned, since merge.start
	ttl       time.Duration
	at        int64 // of the value of a gauge, in Unix seconds: no client says more
	kind      sampleType
	fades     bool          // its value ends with its time to live
	active    bool          // it is in the list of that name
	touched   bool          // it was mentioned since the last flush
	forgotten bool          // that list may still have it
	observed  *observations // of a timer
	members   *members      // of a set
	labels    []record.Label
	meta      *record.Meta // which has its name
	handle    record.Handle
}

func newMerge(source *record.Source, mapping *mapping, counts *receiver.Counts, now time.Time) *merge {
	return &merge{
		source: source, mapping: mapping, counts: counts, limit: cmp.Or(source.MaxSeries, config.DefaultMaxSeries),
		seed: maphash.MakeSeed(), start: now, now: now, swept: now,
		wake: make(chan struct{}, 1), targets: newTable[target](),
		metas:  make(map[metaKey]*record.Meta),
		series: newTable[*series](), unwanted: new(series),
		faulty:  make(map[string]int),
		dropped: make(map[string]int),
	}
}

// fits says whether a value has a series; where not, it is counted.
func (m *merge) fits(t target) bool {
	switch t.series {
	case nil:
		m.dropped["max_series"]++
	case m.unwanted:
		m.dropped["mapping"]++
	default:
		return true
	}
	return false
}

// appendKey appends what tells heads apart.
func (h *head) appendKey(key []byte) []byte {
	key = append(key, byte(h.kind))
	key = append(key, h.name...)
	key = append(key, 0xff) // in no UTF-8
	key = append(key, h.tags...)
	key = append(key, 0xff)
	key = append(key, h.origin...)
	key = append(key, 0xff)
	return append(key, h.host...)
}

// target finds or makes the series of a head.
func (m *merge) target(r *reading) (target, *lineFault) {
	if r.known {
		return r.target, nil
	}
	if t, ok := m.targets.get(r.hash); ok { // since the line before
		return t, nil
	}
	h := &r.head
	if m.key = h.appendKey(m.key[:0]); len(m.key) > maxHead {
		return target{}, &lineFault{"too_long", "its name and tags have more than 4 KiB", nil}
	}
	to, fault := m.mapping.route(h)
	if fault != nil {
		return target{}, fault
	}
	t := target{series: m.unwanted, scale: to.scale}
	if !to.drop {
		t.series = m.find(h.kind, &to)
		switch {
		case t.series == nil:
			return t, nil // the next time there may be room
		case (t.series.kind == typeSet) != (h.kind == typeSet):
			return target{}, &lineFault{"duplicate_name", "there is a set and a gauge or service check of this name; what came first stays", nil}
		}
	}
	if m.targets.used >= headsBase+headsPerSeries*m.limit {
		m.targets.clear() // a client that makes up names; the series stay
	}
	m.targets.put(r.hash, t)
	return t, nil
}

// find finds or makes a series; nil when there is no room for one more.
func (m *merge) find(k sampleType, r *route) *series {
	id := m.series.hash(r.identity(k))
	if se, ok := m.series.get(id); ok {
		return se
	}
	if m.series.used >= m.limit {
		return nil
	}
	metaKey := metaKey{r.metric, r.meta.Type, r.meta.Unit, strings.Join(r.mapped, ",")}
	meta := m.metas[metaKey]
	if meta == nil {
		if len(m.metas) > 1024+2*m.series.used {
			clear(m.metas)
		}
		meta = &r.meta
		m.metas[metaKey] = meta
	}
	se := &series{labels: r.labels, meta: meta, kind: k, ttl: r.ttl, last: m.since}
	switch k {
	case typeSet:
		se.members = new(members)
	case typeTimer, typeHistogram:
		se.observed = newObservations()
	default:
		se.fades = k != typeCounter
	}
	m.series.put(id, se)
	return se
}

// touch notes that a series is mentioned.
func (m *merge) touch(se *series) {
	if se.fades && m.since-se.last >= se.ttl {
		se.value = 0 // it ended, and begins anew
	}
	se.last, se.touched = m.since, true
	if !se.active {
		se.active = true
		m.active = append(m.active, se)
	}
}

// add takes one value, which text spells. One with a fault changes nothing.
func (m *merge) add(t target, s *sample, v float64, text []byte) *lineFault {
	if s.kind == typeCounter {
		v /= s.rate
	}
	if s.kind == typeTimer {
		v /= 1000
	}
	v *= t.scale
	se := t.series
	switch {
	case math.IsInf(v, 0):
		return infinite(text)
	case s.kind == typeCounter && v < 0 && t.scale < 0:
		return &lineFault{"negative", "the scale of its mapping makes %q negative, and a counter cannot go down", text}
	case s.kind == typeCounter && v < 0:
		return &lineFault{"negative", "a counter cannot go down, as by %q; send a gauge", text}
	case s.kind == typeCounter:
		if math.IsInf(se.value+v, 0) {
			return infinite(text)
		}
		m.touch(se)
		se.value += v
	case s.kind == typeGauge && (text[0] == '+' || text[0] == '-'): // relative
		if math.IsInf(se.value+v, 0) {
			return infinite(text)
		}
		m.touch(se)
		se.value += v
		at, _ := m.sampleTime(s)
		se.at = max(se.at, at)
	case s.kind == typeGauge, s.kind == typeCheck:
		at, own := m.sampleTime(s)
		if own && at < se.at && m.since-se.last < se.ttl {
			return nil // it is no news, and no fault either
		}
		m.touch(se)
		se.value, se.at = v, at
	default:
		m.touch(se)
		before := len(se.observed.list)
		se.observed.add(v, 1/s.rate, se.meta.More().Buckets, m.points >= maxPointsAll, &m.spares)
		m.points += len(se.observed.list) - before
	}
	return nil
}

// sampleTime is what a sample is of, in Unix seconds; own says that it tells so
// itself. A clock that is ahead must not keep later values off the page, and
// what is of now is never late, though our clock was set back.
func (m *merge) sampleTime(s *sample) (at int64, own bool) {
	if s.time == 0 || s.time > m.unix {
		return m.unix, false
	}
	return s.time, true
}

func infinite(text []byte) *lineFault {
	return &lineFault{"not_finite", "the value %q makes it infinite", text}
}

func (m *merge) addMember(se *series, member []byte) {
	m.touch(se)
	before := se.members.size()
	se.members.add(maphash.Bytes(m.seed, member), m.since, m.members >= maxMembersAll)
	m.members += se.members.size() - before
}
