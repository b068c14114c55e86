package statsd

import (
	"bytes"
	"errors"
	"time"

	"scriptbridge/record"
)

// This file takes packets apart. What a line of a known series costs is mostly that
// memory brings what belongs to it. So the lines of a packet are read first, and then
// looked up and taken together: memory brings what several need at the same time.

// linesAtOnce are looked up together at most.
const linesAtOnce = 32

// reading is a sample that has been read, and is about to be taken.
type reading struct {
	sample
	line   []byte
	fault  *lineFault // of reading it
	hash   hashed     // of its head
	target target
	known  bool // target is its head's
}

// packet takes the lines of a packet, which it keeps nothing of. A bad line
// costs no other.
func (m *merge) packet(data []byte, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.setNow(now)
	m.tell()
	m.read = 0 // a fault of ours may have left some
	for len(data) > 0 {
		line, rest := data, []byte(nil)
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			line, rest = data[:i], data[i+1:]
		}
		m.line(bytes.TrimSuffix(line, []byte{'\r'}))
		data = rest
	}
	m.settle()
}

func (m *merge) setNow(now time.Time) {
	m.now, m.since, m.unix = now, now.Sub(m.start), now.Unix()
}

// tooLong takes the beginning of a line that a listener has no room for, and why.
func (m *merge) tooLong(line []byte, why string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tell()
	m.refuse(line, &lineFault{"too_long", why, nil})
}

// line reads the samples of a line, or takes its event.
func (m *merge) line(line []byte) {
	switch {
	case len(line) == 0:
		return
	case line[0] != '_': // what most are is looked at first
	case bytes.HasPrefix(line, []byte("_e{")):
		m.settle()
		m.event(line)
		return
	case bytes.HasPrefix(line, []byte("_sc|")):
		r := m.next(line)
		r.sample, r.fault = dogCheck(line)
		return
	}
	i := bytes.IndexByte(line, ':')
	if i <= 0 {
		m.next(line).fault = &lineFault{"malformed", "it has no name with a colon; write NAME:VALUE|TYPE", nil}
		return
	}
	rest := line[i+1:]
	for more := true; more; more = len(rest) > 0 {
		r := m.next(line)
		r.name, r.rate = line[:i], 1
		rest, r.fault = r.cut(rest)
	}
}

// next is room for one more sample of a line.
func (m *merge) next(line []byte) *reading {
	if m.read == len(m.readings) {
		m.settle()
	}
	r := &m.readings[m.read]
	*r = reading{line: line}
	m.read++
	return r
}

// settle takes what has been read.
func (m *merge) settle() {
	all := m.readings[:m.read]
	m.read = 0
	for i := range all {
		m.key = all[i].appendKey(m.key[:0])
		all[i].hash = m.targets.hash(m.key)
	}
	for i := range all {
		all[i].target, all[i].known = m.targets.get(all[i].hash)
	}
	for i := range all {
		if r := &all[i]; r.fault != nil {
			m.refuse(r.line, r.fault)
		} else {
			m.take(r)
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

// take takes all values of a sample.
func (m *merge) take(r *reading) {
	if r.kind == typeSet {
		t, fault := m.target(r)
		if fault != nil {
			m.refuse(r.line, fault)
		} else if m.fits(t) {
			m.addMember(t.series, r.values)
		}
		return
	}
	if bytes.IndexByte(r.values, ':') < 0 {
		m.value(r, r.values)
		return
	}
	if fault := r.several(); fault != nil {
		m.refuse(r.line, fault)
		return
	}
	for value := range bytes.SplitSeq(r.values, []byte{':'}) {
		m.value(r, value)
	}
}

// value takes one value of a sample.
func (m *merge) value(r *reading, text []byte) {
	v, fault := parseNumber(text)
	if fault == nil { // no series for the sake of a bad value
		var t target
		if t, fault = m.target(r); fault == nil && m.fits(t) {
			fault = m.add(t, &r.sample, v, text)
		}
	}
	if fault != nil {
		m.refuse(r.line, fault)
	}
}
