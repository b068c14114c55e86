package statsd

import (
	"bytes"
	"cmp"
	"errors"
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
	// headsBase and headsPerSeries bound the bytes of the heads that are kept,
	// headCost included for each.
	headsBase      = 8 << 20
	headsPerSeries = 512
	headCost       = 64
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

	mu      sync.Mutex
	now     time.Time
	key     []byte            // scratch
	targets map[string]target // by head
	heads   int               // their bytes
	metas   map[metaKey]*record.Meta
	series  map[string]*series // by identity
	active  []*series          // what the next flush looks at
	swept   time.Time
	points  int // of all series
	members int // of all sets

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
	name      string
	labels    []record.Label
	meta      *record.Meta
	kind      sampleType
	ttl       time.Duration
	last      time.Time // when it was last mentioned
	active    bool      // it is in the list of that name
	touched   bool      // it was mentioned since the last flush
	at        int64     // of the value of a gauge, in Unix seconds: no client says more
	forgotten bool      // a target may still lead here
	value     float64   // a counter's sum, a gauge's value, what a set showed
	observed  observations
	members   members
}

func newMerge(source *record.Source, mapping *mapping, counts *receiver.Counts, now time.Time) *merge {
	return &merge{
		source: source, mapping: mapping, counts: counts, limit: cmp.Or(source.MaxSeries, config.DefaultMaxSeries),
		seed: maphash.MakeSeed(), start: now, now: now, swept: now,
		targets: make(map[string]target),
		metas:   make(map[metaKey]*record.Meta),
		series:  make(map[string]*series),
		faulty:  make(map[string]int),
		dropped: make(map[string]int),
	}
}

// packet takes the lines of a packet, which it keeps nothing of. A bad line
// costs no other.
func (m *merge) packet(data []byte, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = now
	for len(data) > 0 {
		line, rest := data, []byte(nil)
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			line, rest = data[:i], data[i+1:]
		}
		m.line(bytes.TrimSuffix(line, []byte{'\r'}))
		data = rest
	}
}

// tooLong takes the beginning of a line that a listener has no room for, and why.
func (m *merge) tooLong(line []byte, why string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refuse(line, &lineFault{"too_long", why, nil})
}

func (m *merge) line(line []byte) {
	switch {
	case len(line) == 0:
		return
	case bytes.HasPrefix(line, []byte("_e{")):
		m.event(line)
		return
	case bytes.HasPrefix(line, []byte("_sc|")):
		s, fault := dogCheck(line)
		if fault == nil {
			m.sample(line, &s)
		} else {
			m.refuse(line, fault)
		}
		return
	}
	i := bytes.IndexByte(line, ':')
	if i <= 0 {
		m.refuse(line, &lineFault{"malformed", "it has no name with a colon; write NAME:VALUE|TYPE", nil})
		return
	}
	name, rest := line[:i], line[i+1:]
	for more := true; more; more = len(rest) > 0 {
		var s sample
		var fault *lineFault
		if s, rest, fault = cutSample(name, rest); fault != nil {
			m.refuse(line, fault)
		} else {
			m.sample(line, &s)
		}
	}
}

func (m *merge) event(line []byte) {
	e, fault := dogEvent(line, m.source, m.now)
	switch {
	case fault != nil:
		m.refuse(line, fault)
	case len(m.events) >= maxEvents || m.eventBytes+len(line) > maxEventBytes:
		m.dropped["overload"]++
	default:
		m.events = append(m.events, e)
		m.eventBytes += len(line)
	}
}

// refuse tells of a line that is not used, or a part of one.
func (m *merge) refuse(line []byte, f *lineFault) {
	m.faulty[f.reason]++
	if m.faulty[f.reason] > maxFaults {
		return
	}
	m.faults = append(m.faults, &record.LineError{
		Text:   string(line[:min(len(line), maxFaultText)]),
		Reason: f.reason,
		Err:    errors.New(f.text()),
	})
}

// sample takes all values of a sample.
func (m *merge) sample(line []byte, s *sample) {
	if s.kind == typeSet {
		t, fault := m.target(&s.head)
		if fault != nil {
			m.refuse(line, fault)
		} else if m.fits(t) {
			m.addMember(t.series, s.values)
		}
		return
	}
	if fault := s.several(); fault != nil {
		m.refuse(line, fault)
		return
	}
	var t target
	known := false
	for value := range bytes.SplitSeq(s.values, []byte{':'}) {
		v, fault := parseNumber(value)
		if fault == nil && !known { // no series for the sake of a bad value
			t, fault = m.target(&s.head)
			known = fault == nil
		}
		if fault == nil && m.fits(t) {
			fault = m.add(t, s, v, value)
		}
		if fault != nil {
			m.refuse(line, fault)
		}
	}
}

// fits says whether a value has a series; where not, it is counted.
func (m *merge) fits(t target) bool {
	if t.series == nil {
		m.dropped[t.drop]++
	}
	return t.series != nil
}

// target finds or makes the series of a head.
func (m *merge) target(h *head) (target, *lineFault) {
	m.key = append(m.key[:0], byte(h.kind))
	m.key = append(m.key, h.name...)
	m.key = append(m.key, 0xff) // in no UTF-8
	m.key = append(m.key, h.tags...)
	m.key = append(m.key, 0xff)
	m.key = append(m.key, h.origin...)
	m.key = append(m.key, 0xff)
	m.key = append(m.key, h.host...)
	if t, ok := m.targets[string(m.key)]; ok && (t.series == nil || !t.series.forgotten) {
		return t, nil
	}
	if len(m.key) > maxHead {
		return target{}, &lineFault{"too_long", "its name and tags have more than 4 KiB", nil}
	}
	r, fault := m.mapping.route(h)
	if fault != nil {
		return target{}, fault
	}
	t := target{drop: "mapping", milli: h.kind == typeTimer, scale: r.scale}
	if !r.drop {
		t.series = m.find(h.kind, &r)
		switch {
		case t.series == nil:
			return target{drop: "max_series"}, nil // the next time there may be room
		case (t.series.kind == typeSet) != (h.kind == typeSet):
			return target{}, &lineFault{"duplicate_name", "there is a set and a gauge or service check of this name; what came first stays", nil}
		}
	}
	m.heads += len(m.key) + headCost
	if m.heads > headsBase+headsPerSeries*m.limit {
		clear(m.targets) // a client that makes up names; the series stay
		m.heads = len(m.key) + headCost
	}
	m.targets[string(m.key)] = t
	return t, nil
}

// find finds or makes a series; nil when there is no room for one more.
func (m *merge) find(k sampleType, r *route) *series {
	id := r.identity(k)
	if se := m.series[id]; se != nil {
		return se
	}
	if len(m.series) >= m.limit {
		return nil
	}
	metaKey := metaKey{r.metric, r.meta.Type, r.meta.Unit, strings.Join(r.mapped, ",")}
	meta := m.metas[metaKey]
	if meta == nil {
		if len(m.metas) > 1024+2*len(m.series) {
			clear(m.metas)
		}
		meta = &r.meta
		m.metas[metaKey] = meta
	}
	se := &series{name: r.name, labels: r.labels, meta: meta, kind: k, ttl: r.ttl, last: m.now}
	m.series[id] = se
	return se
}

// touch notes that a series is mentioned.
func (m *merge) touch(se *series) {
	if se.meta.Type == record.Gauge && se.kind != typeSet && m.now.Sub(se.last) >= se.ttl {
		se.value = 0 // it ended, and begins anew
	}
	se.last, se.touched = m.now, true
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
	if t.milli {
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
		if own && at < se.at && m.now.Sub(se.last) < se.ttl {
			return nil // it is no news, and no fault either
		}
		m.touch(se)
		se.value, se.at = v, at
	default:
		m.touch(se)
		before := len(se.observed.list)
		se.observed.add(v, 1/s.rate, se.meta.Buckets, m.points >= maxPointsAll)
		m.points += len(se.observed.list) - before
	}
	return nil
}

// sampleTime is what a sample is of, in Unix seconds; own says that it tells so
// itself. A clock that is ahead must not keep later values off the page, and
// what is of now is never late, though our clock was set back.
func (m *merge) sampleTime(s *sample) (at int64, own bool) {
	if s.time.IsZero() || s.time.After(m.now) {
		return m.now.Unix(), false
	}
	return s.time.Unix(), true
}

func infinite(text []byte) *lineFault {
	return &lineFault{"not_finite", "the value %q makes it infinite", text}
}

func (m *merge) addMember(se *series, member []byte) {
	m.touch(se)
	before := se.members.size()
	se.members.add(maphash.Bytes(m.seed, member), m.now.Sub(m.start), m.members >= maxMembersAll)
	m.members += se.members.size() - before
}
