package coscale

import (
	"cmp"
	"hash/maphash"
	"iter"
	"math"
	"slices"
	"strings"
	"time"

	api "scriptbridge/coscale"
	"scriptbridge/internal/weighted"
	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// This file has what is sent once for a slot, and not value by value: means,
// and what a StatsD daemon with CoScale's backend sent at each of its flushes, so
// that a history of that backend's goes on. When the
// slot is over, its values in the queue become the points that are sent.

// aggregation is what is sent of a series. Its numbers stand in entries.
type aggregation uint64

const (
	eachValue aggregation = iota
	mean                  // of the slot's values
	rate                  // the slot's values added up, by seconds of the interval
	last                  // the slot's last value
	histogram             // the percentiles of the slot's observations
	// histogramMilli is histogram of observations in seconds, which are sent in
	// milliseconds: those of StatsD's timers, as the daemon had them.
	histogramMilli
	// finished is a histogram as it is sent: its samples, its width and its
	// percentiles stand where observations do.
	finished
	shapes
)

func (f aggregation) observes() bool { return f == histogram || f == histogramMilli }

// lists says whether a value has a list, and not one number.
func (f aggregation) lists() bool { return f.observes() || f == finished }

// digested is 1 for what is sent once for a slot, 0 for all else.
func (f aggregation) digested() int {
	if f == eachValue || f == finished {
		return 0
	}
	return 1
}

// aggregationOf is what is sent of a sample's series.
func aggregationOf(s *record.Sample) aggregation {
	native := s.Meta != nil && s.Meta.Native != nil
	switch {
	case s.Op == record.Observe && native && s.Meta.Native.Unit == record.Milliseconds:
		return histogramMilli
	case s.Op == record.Observe:
		return histogram
	case s.Meta != nil && s.Meta.Calctype == record.CalctypeAverage:
		return mean
	case s.Op == record.Add && (s.Meta == nil || s.Meta.Datatype == ""): // a COUNT has one
		return rate
	case native:
		return last
	}
	return eachValue
}

// native gives a fact the words that CoScale's backend for a program had for a
// metric: its name below the program's, and a group for each part of it but the
// last. A comma would mean something in a path of groups.
func (f *fact) native(n *record.Native) {
	name := strings.ReplaceAll(valid(n.Name), ",", "_")
	f.name, f.help, f.unit = n.Program+" "+name, name, ""
	parts := strings.Split(name, ".")
	f.groups = strings.Join(append([]string{n.Program}, parts[:len(parts)-1]...), "/")
}

// observation is a value with the number of times that it was observed, which
// need not be whole.
type observation struct{ value, weight float64 }

// goodWeight says whether an observation can count so many times.
func goodWeight(w float64) bool { return w > 0 && !math.IsInf(w, 1) }

// joins says whether an observation is of the same series and time as the last
// value, so that it can stand there too: those of one series come one after the
// other, and need not name it each time.
func (s *slotPut) joins(o *record.Sample) bool {
	l := s.latest
	return o.Op == record.Observe && l != nil && l.Op == record.Observe &&
		l.Meta == o.Meta && l.Name == o.Name && l.Subject == o.Subject && l.Time.Equal(o.Time) && slices.Equal(l.Labels, o.Labels) &&
		len(s.values[len(s.values)-1].observed) < observedAtOnce
}

// observe takes an observation into the last value.
func (s *slotPut) observe(o *record.Sample) {
	v := &s.values[len(s.values)-1]
	v.observed = append(v.observed, observation{o.Value, cmp.Or(o.Weight, 1)})
}

// digest is what is kept of a series of which one point is sent for a slot.
type digest struct {
	via      string
	fact     *fact
	subject  record.Subject
	labels   []record.Label
	n        float64 // values so far
	value    float64 // their mean, their sum or the last of them
	time     int64   // that of the last
	observed []observation
}

// add takes in a value.
func (d *digest) add(v *value) {
	d.n++
	switch d.fact.aggregation {
	case mean:
		d.value += v.value/d.n - d.value/d.n // so that no sum overflows
	case rate:
		d.value = finite(d.value + v.value)
	case last:
		if d.n == 1 || v.time >= d.time {
			d.value, d.time = v.value, v.time
		}
	default:
		d.observed = append(d.observed, v.observed...)
	}
}

// finite is the nearest number that JSON can say.
func finite(v float64) float64 { return min(max(v, -math.MaxFloat64), math.MaxFloat64) }

// point is what is sent: at the slot's beginning, as for all that is derived.
func (d *digest) point(start time.Time, interval time.Duration) api.Point {
	p := api.Point{Time: start.Unix(), Value: d.value}
	switch f := d.fact.aggregation; {
	case f == rate:
		p.Value = finite(d.value / interval.Seconds())
	case f.observes():
		d.observed = mergeEqual(d.observed)
		p = api.Point{Time: p.Time, Histogram: histogramOf(d.observed)}
		if f == histogramMilli {
			for i, v := range p.Histogram.Values {
				p.Histogram.Values[i] = finite(record.ToMilliseconds(v))
			}
		}
	}
	return p
}

// finish makes a value of a point, to be queued in the place of what it is made
// of.
func (d *digest) finish(p api.Point) (fact, value) {
	f := *d.fact
	v := value{subject: d.subject, labels: d.labels, time: p.Time, value: p.Value}
	f.aggregation = eachValue
	if h := p.Histogram; h != nil {
		f.aggregation = finished
		v.observed = observedOf(h)
	}
	return f, v
}

// observedOf are the numbers of a histogram that is finished.
func observedOf(h *api.Histogram) (list []observation) {
	for _, n := range append([]float64{h.Samples, h.Width}, h.Values...) {
		list = append(list, observation{n, 1})
	}
	return list
}

// point is what is sent of a value.
func (v *value) point(s aggregation) api.Point {
	if s != finished || len(v.observed) < 2 {
		return api.Point{Time: v.time, Value: v.value}
	}
	h := &api.Histogram{Samples: v.observed[0].value, Width: v.observed[1].value}
	for _, o := range v.observed[2:] {
		h.Values = append(h.Values, o.value)
	}
	return api.Point{Time: v.time, Histogram: h}
}

// The percentiles of a histogram of StatsD's. The distance of most of them is its
// width.
var percentiles = [...]float64{0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99, 100}

const percentileWidth = 10

// histogramOf tells of at least one observation; they ascend. Percentile p is,
// as CoScale's backend had it, the value at place n × p/100 of n in order,
// counted from 0; 100 is the last. Samples are whole, as all that the service
// ever heard.
func histogramOf(observed []observation) *api.Histogram {
	var n float64
	for _, o := range observed {
		n = finite(n + o.weight)
	}
	h := &api.Histogram{Samples: max(1, math.Round(n)), Width: percentileWidth, Values: make([]float64, len(percentiles))}
	place, upTo := 0, observed[0].weight
	for i, p := range percentiles {
		for place < len(observed)-1 && (upTo <= n*p/100 || p == 100) {
			place++
			upTo += observed[place].weight
		}
		h.Values[i] = observed[place].value
	}
	return h
}

// mergeEqual brings observations into order, and makes one of those that are
// equal.
func mergeEqual(list []observation) []observation {
	slices.SortFunc(list, func(a, b observation) int { return cmp.Compare(a.value, b.value) })
	return mergeNeighbours(list, 0)
}

// mergeNeighbours makes one of those that are neighbours at a level. The list
// ascends; it is overwritten.
func mergeNeighbours(list []observation, level int) []observation {
	return weighted.Merge(list,
		func(a, b *observation) bool { return weighted.Cell(a.value, level) == weighted.Cell(b.value, level) },
		func(a, b *observation) { a.value, a.weight = weighted.Join(a.value, a.weight, b.value, b.weight) })
}

// Bounds on the observations that are held while a slot is sent: maxObserved
// of all its series, but for minObserved that every series may have.
const (
	maxObserved = 1 << 18
	minObserved = 32
)

// coarsen makes the observations so few that they fit, at least by half: equal
// ones become one, and where that is not enough neighbours do, within 1/128 of
// their value, then within twice that, and so on. Their number stays exact.
func (s *sending) coarsen() {
	most := max(minObserved, maxObserved/2/len(s.order))
	s.observed = 0
	for _, d := range s.order {
		d.observed = mergeEqual(d.observed)
		for level := 1; len(d.observed) > most && level <= weighted.MaxLevel; level++ {
			d.observed = mergeNeighbours(d.observed, level)
		}
		d.observed = slices.Clone(d.observed) // gives the rest back
		s.observed += len(d.observed)
	}
	s.room = max(maxObserved, 2*s.observed)
}

// digest takes a value into what is sent of its series when the slot is
// complete.
func (s *sending) digest(via string, v *value, f *fact) {
	// A name may have come in several shapes, and with several units.
	text := append(s.text[:0], byte(f.aggregation))
	for _, part := range [...]string{f.unit, f.name, f.suffix} {
		text = append(append(text, part...), 0)
	}
	s.text = appendSeriesKey(text, via, "", v)
	key := digestOf(&s.seeds, s.text)
	d := s.digests[key]
	if d == nil {
		d = &digest{via: via, fact: f, subject: v.subject, labels: v.labels}
		s.digests[key] = d
		s.order = append(s.order, d)
	}
	d.add(v)
	if s.observed += len(v.observed); s.observed > s.room {
		s.coarsen()
	}
}

// sending is what a slot's digests are made of.
type sending struct {
	seeds    [2]maphash.Seed
	text     []byte // of the key that is made
	digests  map[digest128]*digest
	order    []*digest
	observed int // observations that all of them hold
	room     int // for how many there is room
}

func newSending() *sending {
	return &sending{seeds: newSeeds(), digests: make(map[digest128]*digest), room: maxObserved}
}

// closeSlot makes points of what is sent once for a slot. They are queued in the
// place of the values, in one step, so that nothing is lost by an end in the
// middle, and what follows need not know.
func (u *Uploader) closeSlot(after spool.Key, start, end time.Time) error {
	s := newSending()
	var keys []spool.Key
	var others []values
	for {
		some, err := u.spool.Read(after, end, windowBytes)
		if err != nil {
			return err
		}
		if len(some) == 0 {
			break
		}
		after = some[len(some)-1].Key
		for _, e := range some {
			v, _, err := readEntry(e.Data)
			if err != nil || v == nil {
				continue
			}
			if rest, digested := s.take(v); digested {
				keys = append(keys, e.Key)
				others = append(others, rest...)
			}
		}
	}
	return u.spool.Update(func(tx *spool.Tx) error {
		for _, v := range others {
			if err := tx.Append(start, len(v.values), v.encode()); err != nil {
				return err
			}
		}
		for v := range s.points(start, u.interval) {
			if err := tx.Append(start, len(v.values), v.encode()); err != nil {
				return err
			}
		}
		return tx.Remove(keys...)
	})
}

// take takes in the values of an entry of which one point is made. rest is what
// there is besides them, as in entries of a former version.
func (s *sending) take(v *values) (rest []values, digested bool) {
	var others []value
	for i := range v.values {
		one := &v.values[i]
		f := &v.facts[one.fact]
		if f.aggregation.digested() == 0 {
			others = append(others, *one)
			continue
		}
		digested = true
		s.digest(v.via, one, f)
	}
	if !digested || len(others) == 0 {
		return nil, digested
	}
	entry := entryOf(v.facts, others)
	entry.via = v.via
	return []values{entry}, true
}

// points are entries of the points, each of what came the same way. They may be
// asked for more than once.
func (s *sending) points(start time.Time, interval time.Duration) iter.Seq[*values] {
	return func(yield func(*values) bool) {
		var ways []string
		entries := make(map[string]*values)
		for _, d := range s.order {
			v := entries[d.via]
			if v == nil {
				v = &values{via: d.via}
				ways, entries[d.via] = append(ways, d.via), v
			}
			f, one := d.finish(d.point(start, interval))
			one.fact = len(v.facts)
			v.facts, v.values = append(v.facts, f), append(v.values, one)
			if len(v.values) < valuesAtOnce {
				continue
			}
			if !yield(v) {
				return
			}
			v.facts, v.values = v.facts[:0], v.values[:0]
		}
		for _, via := range ways {
			if v := entries[via]; len(v.values) > 0 && !yield(v) {
				return
			}
		}
	}
}
