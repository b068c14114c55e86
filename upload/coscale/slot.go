package coscale

import (
	"slices"
	"time"

	api "scriptbridge/coscale"
	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// callBytes bounds the JSON of a data call, and seriesPoints what one series has
// of it.
const (
	callBytes    = 8 << 20
	seriesPoints = 20_000
)

// window is what is held of a slot at once: entries of the queue, and what has
// become of each.
type window struct {
	start   time.Time // of the slot
	entries []*queued
	failed  []failure
	fine    map[string]bool // keys of what the other end took a part of, at least
}

// queued is an entry on its way: of values, or of an event.
type queued struct {
	spool.Entry
	values        *values
	event         *event
	broken        error  // why it is neither
	open          []bool // what has no outcome yet of its values; one for an event
	left          int    // how many those are
	sent, refused int
}

// fate is what became of something.
type fate int

const (
	arrived  fate = iota
	declined      // for good
	stale         // a later word of it is sent
)

// finish notes what became of a value, or of the event, once.
func (q *queued) finish(n int, how fate) {
	if !q.open[n] {
		return
	}
	q.open[n] = false
	q.left--
	switch how {
	case arrived:
		q.sent++
	case declined:
		q.refused++
	}
}

// newWindow reads entries. One that cannot be read has no outcome before judge.
func newWindow(start time.Time, entries []spool.Entry) *window {
	w := &window{start: start, fine: make(map[string]bool)}
	for _, e := range entries {
		q := &queued{Entry: e, left: 1}
		q.values, q.event, q.broken = readEntry(e.Data)
		if q.values != nil {
			q.left = len(q.values.values)
		}
		q.open = slices.Repeat([]bool{true}, q.left)
		w.entries = append(w.entries, q)
	}
	return w
}

// digested says whether there is something of which one point is to be made.
func (w *window) digested() bool {
	return slices.ContainsFunc(w.entries, func(q *queued) bool {
		return q.values != nil && slices.ContainsFunc(q.values.facts, func(f fact) bool { return f.aggregation.digested() > 0 })
	})
}

// commit takes out of the queue what was sent or refused. What had been dropped
// meanwhile was counted then.
func (u *Uploader) commit(w *window) error {
	var touched []*queued
	for _, q := range w.entries {
		if q.left == 0 || q.sent+q.refused > 0 {
			touched = append(touched, q)
		}
	}
	if len(touched) == 0 {
		return nil
	}
	return u.spool.UpdateSent(func(tx *spool.Tx) error {
		for _, q := range touched {
			if !tx.Has(q.Key) {
				continue
			}
			tx.Sent(q.sent)
			tx.Refused(q.refused)
			if err := tx.Remove(q.Key); err != nil {
				return err
			}
			if q.left > 0 {
				if err := tx.Append(q.Key.Time(), q.left, q.rest()); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// rest is the entry of those values that have no outcome yet.
func (q *queued) rest() []byte {
	var open []value
	for i, v := range q.values.values {
		if q.open[i] {
			open = append(open, v)
		}
	}
	entry := entryOf(q.values.facts, open)
	entry.via = q.values.via
	return entry.encode()
}

// series is what is sent of one series in one call.
type series struct {
	key     string // all that follows, but for the points
	via     string // the bridges that it came through
	fact    *fact
	name    string // with its unit, where it must, and suffix
	subject record.Subject
	labels  []record.Label
	points  []api.Point
	refs    []ref // of the points

	// What it is at the other end; see resolve.
	metric int64
	word   string // of the subject
}

// ref is a value of an entry.
type ref struct {
	of *queued
	n  int
}

// finish notes what became of all points.
func (s *series) finish(how fate) {
	for _, r := range s.refs {
		r.of.finish(r.n, how)
	}
}

// part is the series with some of its points.
func (s *series) part(from, to int) *series {
	p := *s
	p.points, p.refs = s.points[from:to], s.refs[from:to]
	return &p
}

// only is the series with those of its points, by their numbers; none: all.
func (s *series) only(numbers []int) *series {
	if len(numbers) == 0 {
		return s
	}
	p := *s
	p.points, p.refs = nil, nil
	for _, n := range numbers {
		if n >= 0 && n < len(s.points) {
			p.points, p.refs = append(p.points, s.points[n]), append(p.refs, s.refs[n])
		}
	}
	return &p
}

// series brings the window's values to the series that they belong to, in the
// order in which those came; wanted says whether one is to be sent.
func (u *Uploader) series(w *window, wanted func(key string) bool) (all []*series, err error) {
	places := make(map[string]*series)
	var some pieces
	for _, q := range w.entries {
		if q.values == nil {
			continue
		}
		names, err := u.names(q.values.facts)
		if err != nil {
			return nil, err
		}
		for i := range q.values.values {
			v := &q.values.values[i]
			f := &q.values.facts[v.fact]
			if f.aggregation.digested() > 0 { // it came late; the next pass is its
				continue
			}
			some.key = appendSeriesKey(some.key[:0], q.values.via, names[v.fact], v)
			s, known := places[string(some.key)]
			if !known && !wanted(string(some.key)) {
				places[string(some.key)] = nil
				continue
			}
			if known && s == nil {
				continue
			}
			if !known || len(s.points) == seriesPoints {
				s = some.next()
				s.key, s.via, s.fact, s.name, s.subject, s.labels = string(some.key), q.values.via, f, names[v.fact], v.subject, v.labels
				places[s.key] = s
				all = append(all, s)
			}
			s.points, s.refs = append(s.points, v.point(f.aggregation)), append(s.refs, ref{q, i})
		}
	}
	return all, nil
}

// pieces make room for many series at once, each with a point, since most have one.
type pieces struct {
	key    []byte // of the series at hand
	series []series
	points []api.Point
	refs   []ref
}

// seriesAtOnce is for how many series there is room in a piece.
const seriesAtOnce = 256

func (p *pieces) next() *series {
	if len(p.series) == 0 {
		p.series, p.points, p.refs = make([]series, seriesAtOnce), make([]api.Point, seriesAtOnce), make([]ref, seriesAtOnce)
	}
	s := &p.series[0]
	s.points, s.refs = p.points[:0:1], p.refs[:0:1]
	p.series, p.points, p.refs = p.series[1:], p.points[1:], p.refs[1:]
	return s
}

// appendSeriesKey writes what tells series apart.
func appendSeriesKey(b []byte, via, name string, v *value) []byte {
	for _, part := range [...]string{via, name, v.subject.Kind.String(), v.subject.Name} {
		b = append(append(b, part...), 0)
	}
	for _, l := range v.labels {
		b = append(append(b, l.Name...), 0)
		b = append(append(b, l.Value...), 0)
	}
	return b
}

// calls cuts series into calls that are as large as they may be.
func calls(all []*series) (list [][]*series) {
	from, size := 0, 2
	for i, s := range all {
		n := s.size()
		if size+n > callBytes && i > from {
			list = append(list, all[from:i])
			from, size = i, 2
		}
		size += n
	}
	if from < len(all) {
		list = append(list, all[from:])
	}
	return list
}

// size is what the series takes of a call's JSON, at most.
func (s *series) size() int {
	const head, number, point = len(`{"m":,"s":"","d":[],"dv":{}},`), 20, len(`[-9223372036854775808,-1.7976931348623157e+308],`)
	n := head + 2*number + point*len(s.points)
	for i := range s.points {
		if h := s.points[i].Histogram; h != nil {
			n += len(`[-1.7976931348623157e+308,10,[]]`) + len(h.Values)*len(`-1.7976931348623157e+308,`)
		}
	}
	for _, l := range s.labels {
		n += len(`"":"",`) + 6*(len(l.Name)+len(l.Value)) // every byte may become \u0000
	}
	return n
}

func points(all []*series) int {
	n := 0
	for _, s := range all {
		n += len(s.points)
	}
	return n
}

// halves cuts what is more than one point into two.
func halves(all []*series) (first, second []*series) {
	if n := len(all) / 2; n > 0 {
		return all[:n], all[n:]
	}
	s := all[0]
	n := len(s.points) / 2
	if n == 0 {
		return all, nil
	}
	return []*series{s.part(0, n)}, []*series{s.part(n, len(s.points))}
}
