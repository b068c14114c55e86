package coscale

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// Bounds on one entry: valuesAtOnce are its values, and observedAtOnce the
// observations of one of them, past which an entry takes no further value.
const (
	valuesAtOnce   = 2000
	observedAtOnce = 1 << 14
)

// put is a batch on its way into the spool.
type put struct {
	source  string // by which the state knows it
	via     string // the bridges that it came through
	time    time.Time
	slots   []*slotPut
	byStart map[int64]*slotPut // by their start
	units   map[unitOf]bool    // that are not noted yet
	events  []*event
	skipped map[string]int
}

// slotPut is what a batch has to say of one slot.
type slotPut struct {
	first  time.Time // of its values
	facts  []fact
	index  map[factKey]int
	values []value
	latest *record.Sample // of which the last value is
	// previous are the keys of the values that are sent as differences; empty
	// for the others.
	previous []string
	metas    []*record.Meta // nil for the others
}

// factKey tells apart what makes different facts in one batch.
type factKey struct {
	meta *record.Meta
	name string
	op   record.Op
}

// Put queues a batch: when it returns nil, all that is to be sent of it is on
// disk, together with what later batches are measured by. It never waits for
// the network. The zero time of a batch is now.
func (u *Uploader) Put(b *record.Batch) error {
	if b.Gone {
		return u.forgetSource(b.Source)
	}
	p := u.sort(b)
	if err := u.newEvents(p); err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	if len(p.slots) > 0 || len(p.events) > 0 || len(p.units) > 0 {
		if err := u.spool.Take(func(tx *spool.Tx) error { return u.store(tx, p) }); err != nil {
			return fmt.Errorf("upload: %w", err)
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for of := range p.units {
		u.units.note(of)
	}
	u.spool.Skipped(p.skipped)
	return nil
}

// sort brings a batch into the order in which it is kept.
func (u *Uploader) sort(b *record.Batch) *put {
	p := &put{
		source:  sourceKey(b.Source),
		via:     strings.Join(b.Via, ", "),
		time:    b.Time,
		byStart: make(map[int64]*slotPut),
		units:   make(map[unitOf]bool),
		skipped: make(map[string]int),
	}
	if p.time.IsZero() {
		p.time = time.Now()
	}
	if b.Declared != nil {
		for _, m := range b.Declared.Metrics {
			if m.Datatype != "" {
				f := u.fact(b, &record.Sample{Name: m.Name, Meta: m})
				u.note(p, &f)
			}
		}
	}
	for i := range b.Samples {
		s := &b.Samples[i]
		if reason := unsendable(s); reason != "" {
			p.skipped[reason]++
			continue
		}
		u.sortSample(p, b, s)
	}
	for i := range b.Events {
		p.events = append(p.events, u.event(p, b, &b.Events[i]))
	}
	return p
}

// unsendable is why a sample is not sent; empty when it is.
func unsendable(s *record.Sample) string {
	switch {
	case math.IsNaN(s.Value) || math.IsInf(s.Value, 0):
		return "not_a_number"
	case s.Op == record.Observe && s.Weight != 0 && !goodWeight(s.Weight):
		return "bad_weight"
	case s.Op == record.Observe:
		return ""
	case s.Meta != nil && s.Meta.Type == record.Histogram:
		return "histogram"
	case s.Meta != nil && s.Meta.Type == record.Summary:
		return "summary"
	case s.Meta != nil && s.Meta.Type == record.Info:
		return "info"
	}
	return ""
}

func (u *Uploader) sortSample(p *put, b *record.Batch, s *record.Sample) {
	at := s.Time
	if at.IsZero() {
		at = p.time
	}
	// What claims to be of the future is sent with what came with it: its own
	// slot may be years away.
	of := at
	if of.After(p.time) {
		of = p.time
	}
	slot := p.slot(u.slot(of))
	if slot.first.IsZero() || of.Before(slot.first) {
		slot.first = of
	}
	if slot.joins(s) {
		slot.observe(s)
		return
	}
	slot.latest = s
	key := factKey{s.Meta, s.Name, s.Op}
	i, ok := slot.index[key]
	if !ok {
		i = len(slot.facts)
		slot.index[key] = i
		slot.facts = append(slot.facts, u.fact(b, s))
		u.note(p, &slot.facts[i])
	}
	v := value{fact: i, subject: subject(s.Subject), time: at.Unix(), value: s.Value}
	for _, l := range s.Labels {
		if l.Value != "" {
			v.labels = append(v.labels, record.Label{Name: valid(l.Name), Value: valid(l.Value)})
		}
	}
	var previous string
	var meta *record.Meta
	if m := s.Meta; m != nil && m.Calctype == record.CalctypeDifference && s.Op != record.Observe {
		previous, meta = previousKey(p.source, m.ID, &slot.facts[i], &v), m
	}
	slot.values = append(slot.values, v)
	slot.previous = append(slot.previous, previous)
	slot.metas = append(slot.metas, meta)
	if s.Op == record.Observe {
		slot.observe(s)
	}
}

func (p *put) slot(start time.Time) *slotPut {
	s := p.byStart[start.UnixNano()]
	if s == nil {
		s = &slotPut{index: make(map[factKey]int)}
		p.byStart[start.UnixNano()] = s
		p.slots = append(p.slots, s)
	}
	return s
}

// fact is what the other end is to know of a sample's metric.
func (u *Uploader) fact(b *record.Batch, s *record.Sample) fact {
	f := fact{dataType: "DOUBLE", period: int64(u.interval / time.Second)}
	if b.Run != nil && b.Run.Interval >= time.Second {
		f.period = int64(b.Run.Interval / time.Second)
	}
	f.period = max(f.period, 1)
	f.aggregation = aggregationOf(s)
	name, m := s.Name, s.Meta
	if m != nil {
		f.unit, f.help, f.groups, f.tags = valid(m.Unit), valid(m.Help), valid(m.More().Groups), valid(m.More().Tags)
		f.dataType = dataType(s.Op, m)
		if m.Datatype != "" {
			name = m.Name
		}
	}
	switch {
	case f.aggregation.observes():
		f.dataType = "HISTOGRAM"
	case f.aggregation != eachValue:
		f.dataType = "DOUBLE"
	}
	switch {
	case m != nil && m.Native != nil:
		f.native(m.Native)
		return f
	case b.Source.WholeNames:
	case m != nil && m.Datatype != "" && b.Source.Kind == record.Script:
		f.suffix = u.suffix
	default:
		name = b.Source.Name + " " + name
	}
	f.name = valid(name)
	return f
}

// dataType is the API's word for what is sent of a metric: what is derived is
// a plain number.
func dataType(op record.Op, m *record.Meta) string {
	switch {
	case m.Calctype == record.CalctypeDifference:
		return "DOUBLE"
	case op == record.Add:
		return "COUNT"
	case slices.Contains([]string{"COUNT", "COUNTER", "LONG"}, m.Datatype):
		return m.Datatype
	case m.Datatype == "" && m.Type == record.Counter:
		return "COUNTER"
	}
	return "DOUBLE"
}

// subject gives one subject one spelling.
func subject(s record.Subject) record.Subject {
	switch {
	case s.Kind == record.Application:
		return record.Subject{Kind: record.Application}
	case s.Kind == record.Server && s.Name == "":
		return record.Subject{}
	}
	return record.Subject{Kind: s.Kind, Name: valid(s.Name)}
}

func valid(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

// store is the transaction.
func (u *Uploader) store(tx *spool.Tx, p *put) error {
	for of := range p.units {
		several, err := addUnit(tx, of)
		if err != nil {
			return err
		}
		if several { // before it lasts: whoever sends what comes with it must know
			u.mu.Lock()
			u.units.several[of.key()] = true
			u.mu.Unlock()
		}
	}
	for _, s := range p.slots {
		if err := s.store(tx, p); err != nil {
			return err
		}
	}
	for _, e := range p.events {
		if err := storeEvent(tx, e, p.time); err != nil {
			return err
		}
	}
	return nil
}

func (s *slotPut) store(tx *spool.Tx, p *put) error {
	kept := make([]value, 0, len(s.values))
	for i, v := range s.values {
		if s.previous[i] != "" {
			previous, there := readPrevious(tx.Get(s.previous[i]))
			if err := tx.Set(s.previous[i], previousBytes(v.value, p.time)); err != nil {
				return err
			}
			difference, ok := s.metas[i].Difference(previous, v.value)
			if !there || !ok || math.IsInf(difference, 0) {
				continue
			}
			v.value = difference
		}
		kept = append(kept, v)
	}
	// What is sent once for the slot has entries of its own: they become others
	// when the slot is over.
	slices.SortStableFunc(kept, func(a, b value) int {
		return cmp.Compare(s.facts[a.fact].aggregation.digested(), s.facts[b.fact].aggregation.digested())
	})
	for len(kept) > 0 {
		n := atOnce(s.facts, kept)
		entry := entryOf(s.facts, kept[:n])
		entry.via = p.via
		if err := tx.Append(s.first, n, entry.encode()); err != nil {
			return err
		}
		kept = kept[n:]
	}
	return nil
}

// atOnce is how many of the values one entry takes: at least one.
func atOnce(facts []fact, all []value) int {
	observed := 0
	for i := range all {
		if i == valuesAtOnce || observed >= observedAtOnce || facts[all[i].fact].aggregation.digested() != facts[all[0].fact].aggregation.digested() {
			return i
		}
		observed += len(all[i].observed)
	}
	return len(all)
}

// entryOf makes an entry of values, with the facts that they need.
func entryOf(facts []fact, chunk []value) values {
	entry := values{values: chunk}
	places := make(map[int]int)
	for i := range chunk {
		place, ok := places[chunk[i].fact]
		if !ok {
			place = len(entry.facts)
			places[chunk[i].fact] = place
			entry.facts = append(entry.facts, facts[chunk[i].fact])
		}
		chunk[i].fact = place
	}
	return entry
}
