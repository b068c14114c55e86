package collectd

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"scriptbridge/record"
)

// This file finds the series that the values of a list are, once for each list.

// knownList is what is known of the lists of one identifier, of which there is a
// series at least.
type knownList struct {
	identifier
	key  string     // in merge.known
	live int        // how many series there are; 0: it is in merge.known no more
	next *knownList // the one whose list came after its own; nil: not known

	// Of the lists of the last shape that there was:
	shape    listShape
	misnamed error     // why their values have no names
	series   []*series // of their first values; nil where that is not known
}

// listShape is all that the names of a list's values depend on, beside its type and
// the names themselves.
type listShape struct{ values, names int }

// maxKnown is of how many values of a list the series is found without a search.
const maxKnown = 64

// shaped makes what is known fit for the shape of a list.
func (k *knownList) shaped(l *valueList, types typesDB) {
	shape := listShape{len(l.values), len(l.names)}
	if shape == k.shape {
		return
	}
	k.shape = shape
	k.misnamed = k.whyNoNames(shape, types)
	k.series = make([]*series, min(shape.values, maxKnown))
}

// at is the series of a list's i-th value; nil where it is to be searched for.
func (k *knownList) at(i int, l *valueList) *series {
	if i >= len(k.series) {
		return nil
	}
	s := k.series[i]
	if s == nil || s.key.kind != l.values[i].kind {
		return nil
	}
	if name, ok := l.ownName(i); ok && name != s.key.ds {
		return nil
	}
	return s
}

// forget has a series searched for again, by whichever values were taken for it: two
// may have its name.
func (k *knownList) forget(s *series) {
	for i, known := range k.series {
		if known == s {
			k.series[i] = nil
		}
	}
}

// ownName is the name that the list itself gives its i-th value; false where it has none.
func (l *valueList) ownName(i int) (string, bool) {
	if len(l.names) != len(l.values) {
		return "", false
	}
	return l.names[i], true
}

// dsName is the name of the i-th data source: the list's own, or that of
// types.db where it knows the type with as many; or else value, and of several
// their numbers.
func (k *knownList) dsName(i int, l *valueList, types typesDB) string {
	if name, ok := l.ownName(i); ok {
		return name
	}
	if sources := types[k.typ]; len(sources) == len(l.values) {
		return sources[i].name
	}
	if len(l.values) == 1 {
		return "value"
	}
	return strconv.Itoa(i)
}

// whyNoNames tells why values have no names, though names there are: for another
// number of values.
func (k *knownList) whyNoNames(shape listShape, types typesDB) error {
	sources := types[k.typ]
	switch {
	case shape.names == shape.values || len(sources) == shape.values:
		return nil
	case shape.names > 0:
		return fmt.Errorf("%s has %d values and %d dsnames", &k.identifier, shape.values, shape.names)
	case len(sources) > 0:
		return fmt.Errorf("%s has %d values, and types_db says %d for the type %s; give types_db the types.db of the sender", &k.identifier, shape.values, len(sources), k.typ)
	}
	return nil
}

// knownAs is what is known of the lists of an identifier, ready for one of that
// shape. The caller holds m.mu.
func (m *merge) knownAs(l *valueList) (*knownList, error) {
	k := l.before.expects(l.key)
	if k == nil {
		k = m.known[string(l.key)]
		if k != nil && l.before != nil {
			l.before.next = k
		}
	}
	if k == nil {
		k = &knownList{identifier: l.key.identifier(), key: string(l.key)}
		if err := k.check(); err != nil {
			return nil, err
		}
	}
	l.before = k
	k.shaped(l, m.types)
	return k, nil
}

// expects gives the list that came after k's last time, if its key is this: a sender's
// lists come in the same order each time. nil where it is another one.
func (k *knownList) expects(key identifierKey) *knownList {
	if k == nil || k.next == nil || k.next.live == 0 || k.next.key != string(key) {
		return nil
	}
	return k.next
}

// seriesOf is the series of a list's i-th value; nil where it is not taken. The caller
// holds m.mu.
func (m *merge) seriesOf(k *knownList, i int, l *valueList, now time.Time) *series {
	v := l.values[i]
	s := k.at(i, l)
	if s != nil && !v.none() {
		return s
	}
	ds := k.dsName(i, l, m.types)
	switch {
	case len(ds) > maxName:
		m.refuse(malformed, fmt.Errorf("%s: the name of a data source has %d bytes, more than %d", &k.identifier, len(ds), maxName))
		return nil
	case v.none():
		m.refuse("no_value", fmt.Errorf("%s: data source %s has no value", &k.identifier, ds))
		return nil
	}
	s = m.find(seriesKey{k, ds, v.kind}, now)
	if s != nil && i < len(k.series) {
		k.series[i] = s
	}
	return s
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
	k := key.of
	s := &series{key: key, sample: record.Sample{
		Name: k.metricName(key.ds, key.kind), Labels: k.labels(),
	}}
	if key.kind == dsAbsolute {
		s.sample.Op = record.Add
	}
	s.shown = shownAs(&s.sample)
	if o := m.owners[s.shown]; o != nil {
		if o.ends.After(now) {
			m.refuse("duplicate", fmt.Errorf("%s (%s) would be the same series as %s (%s), which was there before", &k.identifier, key.ds, &o.key.of.identifier, o.key.ds))
			return nil
		}
		m.forget(o)
	}
	s.sample.Meta = m.meta(&key) // for a series that there is: metas have no bound of their own
	m.series[key], m.owners[s.shown], m.known[k.key] = s, s, k
	k.live++
	return s
}

// meta gives what the series of a metric share. The caller holds m.mu.
func (m *merge) meta(key *seriesKey) *record.Meta {
	k := metricKey{key.of.plugin, key.of.typ, key.ds, key.kind}
	meta := m.metas[k]
	if meta == nil {
		meta = key.of.meta(key.ds, key.kind)
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
	k := s.key.of
	delete(m.series, s.key)
	delete(m.owners, s.shown)
	k.forget(s)
	if k.live--; k.live == 0 {
		delete(m.known, k.key)
		k.next = nil
	}
}
