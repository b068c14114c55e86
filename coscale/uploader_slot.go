package coscale

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"scriptbridge/record"
	"scriptbridge/spool"
)

// callBytes bounds the JSON of a data call (spec/coscale-api.md, 5), and
// seriesPoints what one series has of it.
const (
	callBytes    = 8 << 20
	seriesPoints = 20_000
)

// series is what is sent of one series in one call.
type series struct {
	fact    *fact
	name    string // with its unit, where it must, and suffix
	subject record.Subject
	labels  []record.Label
	points  []Point
}

// seriesSet are series in the order in which they came.
type seriesSet struct {
	places map[string]int
	all    []*series
}

// sending is a slot on its way.
type sending struct {
	start    time.Time
	keys     []spool.Key
	digests  map[string]*digest
	order    []*digest
	observed int // observations that all of them hold
	room     int // for how many there is room
}

// sendSlot sends all that is queued of a slot, in windows, so that memory does
// not grow with it; the digests come last, for they need all of it. Only then
// the entries are removed: what is sent twice, since the process ended before,
// is the same values at the same times.
func (u *Uploader) sendSlot(ctx context.Context, start, end time.Time) error {
	s := sending{start: start, digests: make(map[string]*digest), room: maxObserved}
	var after spool.Key
	for {
		entries, err := u.spool.Read(after, end, windowBytes)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			break
		}
		after = entries[len(entries)-1].Key
		if err := u.sendWindow(ctx, &s, entries); err != nil {
			return err
		}
	}
	derived := make([]*series, 0, len(s.order))
	for _, d := range s.order {
		d.of.points, d.observed = []Point{d.point(start, u.interval)}, nil
		derived = append(derived, d.of)
	}
	if err := u.sendSeries(ctx, derived); err != nil {
		return err
	}
	return u.spool.Update(func(tx *spool.Tx) error { return tx.Remove(s.keys...) })
}

func (u *Uploader) sendWindow(ctx context.Context, s *sending, entries []spool.Entry) error {
	set := seriesSet{places: make(map[string]int)}
	var events []*event
	for _, e := range entries {
		if e.Key.Time().Before(s.start) { // it came late; the next turn is its
			continue
		}
		var err error
		switch {
		case len(e.Data) > 0 && e.Data[0] == valuesEntry:
			var v *values
			if v, err = decodeValues(e.Data[1:]); err == nil {
				err = u.gather(s, &set, v)
			}
		case len(e.Data) > 0 && e.Data[0] == eventEntry:
			var one *event
			if one, err = decodeEvent(e.Data[1:]); err == nil {
				events = append(events, one)
			}
		default:
			err = errEntry
		}
		if errors.Is(err, errEntry) {
			err = u.setAside(e.Items, e.Data, err)
		}
		if err != nil {
			return err
		}
		s.keys = append(s.keys, e.Key)
	}
	if err := u.sendSeries(ctx, set.all); err != nil {
		return err
	}
	for _, e := range events {
		if err := u.sendEvent(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// gather brings an entry's values to the series that they belong to.
func (u *Uploader) gather(s *sending, set *seriesSet, v *values) error {
	names := make([]string, len(v.facts))
	err := u.spool.View(func(tx *spool.Tx) error {
		for i := range v.facts {
			names[i] = metricName(tx, &v.facts[i])
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := range v.values {
		one := &v.values[i]
		f := &v.facts[one.fact]
		key := seriesKey(names[one.fact], one)
		if f.shape != eachValue {
			s.digest(key, one, f, names[one.fact])
			continue
		}
		se := set.find(key, func() *series { return one.series(f, names[one.fact]) })
		se.points = append(se.points, Point{Time: one.time, Value: one.value})
	}
	return nil
}

// metricName is a metric's name at the other end.
func metricName(tx *spool.Tx, f *fact) string {
	name := f.name
	if f.unit != "" && len(readUnits(tx.Get(unitsKey(f)))) > 1 {
		name += " (" + f.unit + ")"
	}
	return name + f.suffix
}

func seriesKey(name string, v *value) string {
	var b strings.Builder
	for _, part := range []string{name, v.subject.Kind.String(), v.subject.Name} {
		b.WriteString(part)
		b.WriteByte(0)
	}
	for _, l := range v.labels {
		b.WriteString(l.Name)
		b.WriteByte(0)
		b.WriteString(l.Value)
		b.WriteByte(0)
	}
	return b.String()
}

func (v *value) series(f *fact, name string) *series {
	return &series{fact: f, name: name, subject: v.subject, labels: v.labels}
}

func (set *seriesSet) find(key string, begin func() *series) *series {
	if place, ok := set.places[key]; ok && len(set.all[place].points) < seriesPoints {
		return set.all[place]
	}
	set.places[key] = len(set.all)
	set.all = append(set.all, begin())
	return set.all[len(set.all)-1]
}

// sendSeries sends series in calls that are as large as they may be.
func (u *Uploader) sendSeries(ctx context.Context, all []*series) error {
	from, size := 0, 2
	for i, s := range all {
		n := s.size()
		if size+n > callBytes && i > from {
			if err := u.deliver(ctx, all[from:i]); err != nil {
				return err
			}
			from, size = i, 2
		}
		size += n
	}
	if from == len(all) {
		return nil
	}
	return u.deliver(ctx, all[from:])
}

// size is what the series takes of a call's JSON, at most.
func (s *series) size() int {
	const head, number, point = len(`{"m":,"s":"","d":[],"dv":{}},`), 20, len(`[-9223372036854775808,-1.7976931348623157e+308],`)
	n := head + 2*number + point*len(s.points)
	if s.fact.shape.observes() {
		n += len(`[-1.7976931348623157e+308,10,[]]`) + len(percentiles)*len(`-1.7976931348623157e+308,`)
	}
	for _, l := range s.labels {
		n += len(`"":"",`) + 6*(len(l.Name)+len(l.Value)) // every byte may become \u0000
	}
	return n
}

// deliver sends series in one call. What is refused for good is sent again in
// halves, until the culprits are alone, which go aside.
func (u *Uploader) deliver(ctx context.Context, all []*series) error {
	data, all, err := u.resolve(ctx, all)
	if err != nil || len(all) == 0 {
		return err
	}
	err = u.spool.Retry(ctx, u.bounded(func(ctx context.Context) error { return final(u.client.InsertData(ctx, data)) }))
	if err == nil {
		u.spool.Sent(points(all))
		return nil
	}
	if !isFinal(err) {
		return err
	}
	var some *RefusedError
	if errors.As(err, &some) {
		if refused, left, again := split(all, some); len(refused)+len(again) > 0 {
			return u.deliverRest(ctx, all, some, refused, left, again)
		}
	}
	if isNotFound(err) || errors.As(err, &some) && strings.HasPrefix(some.Reason, "there is no metric ") {
		forgot, err := u.forget(err)
		if err != nil {
			return err
		}
		if forgot {
			return u.deliver(ctx, all)
		}
	}
	first, second := halves(all)
	if second == nil {
		return u.refuse(all[0], err)
	}
	if err := u.deliver(ctx, first); err != nil {
		return err
	}
	return u.deliver(ctx, second)
}

// deliverRest deals with what an answer named of the points that it refused:
// those whose ids are not known there are sent again, with new ones.
func (u *Uploader) deliverRest(ctx context.Context, all []*series, answer *RefusedError, refused, left, again []*series) error {
	if len(again) > 0 {
		forgot, err := u.forget(answer)
		if err != nil {
			return err
		}
		if forgot {
			left = append(left, again...)
		} else {
			refused = append(refused, again...)
		}
	}
	u.spool.Sent(points(all) - points(left) - points(refused))
	for _, s := range refused {
		if err := u.refuse(s, answer); err != nil {
			return err
		}
	}
	if len(left) == 0 {
		return nil
	}
	return u.deliver(ctx, left)
}

// split sorts what an answer says of the points of a call: those that it
// refuses; those of which it does not say whether it has them, which it does
// where it names fewer than it refuses; and those whose ids it does not know.
func split(all []*series, answer *RefusedError) (refused, unsaid, unknown []*series) {
	named := make([]bool, len(all))
	count := 0
	for _, r := range answer.Points {
		if r.Index < 0 || r.Index >= len(all) {
			continue
		}
		part := all[r.Index].only(r.Points)
		count += len(part.points)
		named[r.Index] = true
		if r.Reason == unknownMetric || r.Reason == unknownSubject {
			unknown = append(unknown, part)
		} else {
			refused = append(refused, part)
		}
	}
	if count < answer.Refused {
		for i, s := range all {
			if !named[i] {
				unsaid = append(unsaid, s)
			}
		}
	}
	return refused, unsaid, unknown
}

// only is the series with those of its points, by their numbers; none: all.
func (s *series) only(numbers []int) *series {
	if len(numbers) == 0 {
		return s
	}
	part := *s
	part.points = nil
	for _, n := range numbers {
		if n >= 0 && n < len(s.points) {
			part.points = append(part.points, s.points[n])
		}
	}
	return &part
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
	left, right := *s, *s
	left.points, right.points = s.points[:n], s.points[n:]
	return []*series{&left}, []*series{&right}
}

// resolve makes what the series refer to and gives the call's data; left are
// the series whose objects were not refused.
func (u *Uploader) resolve(ctx context.Context, all []*series) (data []Data, left []*series, err error) {
	for _, s := range all {
		var one Data
		err := u.retry(ctx, func(ctx context.Context) (err error) {
			if one.Subject, err = u.subject(ctx, s.subject); err == nil {
				one.Metric, err = u.metric(ctx, s)
			}
			return err
		})
		if isFinal(err) {
			err = u.refuse(s, err)
			if err == nil {
				continue
			}
		}
		if err != nil {
			return nil, nil, err
		}
		one.Points = s.points
		if len(s.labels) > 0 {
			one.Dimensions = make(map[string]string, len(s.labels))
			for _, l := range s.labels {
				one.Dimensions[l.Name] = l.Value
			}
		}
		data, left = append(data, one), append(left, s)
	}
	return data, left, nil
}

// retry is spool.Retry for what uses ids: after a 404 they are forgotten and
// found anew, once.
func (u *Uploader) retry(ctx context.Context, attempt func(context.Context) error) error {
	for {
		err := u.spool.Retry(ctx, u.bounded(attempt))
		if !isFinal(err) || !isNotFound(err) {
			return err
		}
		forgot, fail := u.forget(err)
		if fail != nil {
			return fail
		}
		if !forgot {
			return err
		}
	}
}

// refuse puts a series aside.
func (u *Uploader) refuse(s *series, why error) error {
	type aside struct {
		Metric     string            `json:"metric"`
		Unit       string            `json:"unit,omitempty"`
		Subject    string            `json:"subject"`
		Name       string            `json:"name,omitempty"`
		Dimensions map[string]string `json:"dimensions,omitempty"`
		Points     []Point           `json:"points"` // Unix seconds, value
	}
	a := aside{Metric: s.name, Unit: s.fact.unit, Subject: s.subject.Kind.String(), Name: s.subject.Name, Points: s.points}
	if s.subject.Kind == record.Host {
		a.Name = u.server
	}
	if len(s.labels) > 0 {
		a.Dimensions = make(map[string]string)
	}
	for _, l := range s.labels {
		a.Dimensions[l.Name] = l.Value
	}
	return u.setAside(len(s.points), a, why)
}

func (u *Uploader) setAside(items int, what any, why error) error {
	text, err := json.Marshal(what)
	if err != nil {
		return err
	}
	return u.spool.SetAside(items, text, why)
}
