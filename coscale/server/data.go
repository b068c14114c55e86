package server

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"scriptbridge/coscale"
	"scriptbridge/record"
)

// routeData finds what a path below data means: points that are sent, or values
// that are asked for.
func (h *Handler) routeData(c *call, path []string) (any, error) {
	if err := c.only(http.MethodPost); err != nil {
		return nil, err
	}
	c.within(dataTime)
	switch joined := strings.ToLower(strings.Join(path, "/")); {
	case joined == "dimension/getcalculated" || joined == "getbatch":
		return h.getData(c, false)
	case joined == "dimension/getcalculated/calculated":
		return h.getData(c, true)
	case len(path) == 0:
		return h.insertData(c, "")
	case len(path) == 1:
		if _, _, err := coscale.ParseSubject(path[0]); err != nil {
			return nil, notFound("%v", err)
		}
		return h.insertData(c, path[0])
	}
	return nil, noPath(c)
}

// readData reads the data of a request; subject is what entries speak of that do not
// say so.
func readData(c *call, subject string) ([]entry, error) {
	if err := c.plain(); err != nil {
		return nil, err
	}
	body := dataBody{r: c.body}
	if err := body.read(); err != nil {
		return nil, err
	}
	if subject == "" && body.source != "" { // as the CLI of 2015 sends it
		if _, _, err := coscale.ParseSubject(body.source); err == nil {
			subject = body.source // for others say in it who they are
		}
	}
	if subject != "" {
		body.data.speakOf(subject)
	}
	return body.data.entries, nil
}

// insertData takes points: all that can be used are in one batch, unless they are very
// many. What was put stays put when a later batch is not taken: the client sends all
// again, and what is there is known by its time.
func (h *Handler) insertData(c *call, subject string) (any, error) {
	leave, err := c.acquire(c.begin(maxData))
	if err != nil {
		return nil, err
	}
	defer leave()
	entries, err := readData(c, subject)
	if err != nil {
		return nil, err
	}
	h.putting.Lock()
	defer h.putting.Unlock()
	in := &intake{h: h, now: c.now, bridge: len(c.via) > 0, via: c.via, samples: h.samples, recent: h.points}
	for len(entries) > 0 {
		n := together(entries)
		if err := in.put(entries[:n]); err != nil {
			return nil, err
		}
		clear(entries[:n]) // whose memory is free then
		entries = entries[n:]
	}
	if cap(in.samples) <= keptSamples { // for the next request
		h.samples, h.points = in.samples, in.recent
	}
	return coscale.StoredAnswer(in.points, in.refused, in.first, in.parts), nil
}

// maxTogether is about how many points are put at once: a sample takes several times
// the memory of its point.
const maxTogether = 50_000

// keptSamples is for how many samples there is room kept between requests.
const keptSamples = 10_000

// together gives how many of entries are put at once.
func together(entries []entry) int {
	points := 0
	for n := range entries {
		for i := range entries[n].points {
			points += weight(&entries[n].points[i])
		}
		if points >= maxTogether {
			return n + 1
		}
	}
	return len(entries)
}

// newBatch makes a batch, with a declaration when that is due, of what came
// through bridges. The caller holds putting.
func (h *Handler) newBatch(now time.Time, via []string) *record.Batch {
	h.registry.mu.Lock()
	defer h.registry.mu.Unlock()
	return &record.Batch{Source: h.o.Source, Time: now, MaxAge: h.o.TTL, Declared: h.declaration.due(h.registry, now), Via: via}
}

// put hands a batch to the sink. The caller holds putting.
func (h *Handler) put(b *record.Batch) error {
	if err := h.o.Sink.Put(b); err != nil {
		return err
	}
	if b.Declared != nil {
		h.declaration.taken(b.Declared, b.Time)
	}
	return nil
}

// intake is one request's points on their way into batches.
type intake struct {
	h       *Handler
	now     time.Time
	via     []string
	bridge  bool // it comes from one, which reads more than words
	points  int  // in all batches, a histogram counted as one
	refused int
	first   error // that refused any
	parts   []coscale.Refusal
	named   int    // points that parts name
	key     []byte // scratch

	// Of the batch that is made:
	batch    *record.Batch
	samples  []record.Sample // its own
	unsorted bool            // by their times
	reasons  map[string]*record.LineError
	added    map[addedPoint]struct{}
	recent   []recentPoint
}

// put makes a batch of entries and hands it to the sink. The caller holds putting.
func (in *intake) put(entries []entry) error {
	before := in.points
	in.take(entries)
	if in.points > before || in.batch.Err != nil {
		if err := in.h.put(in.batch); err != nil {
			in.h.added.keep(in.added, false, in.now) // some sinks have it
			return err
		}
	}
	in.h.added.keep(in.added, true, in.now)
	in.h.recent.keep(in.recent, in.now)
	clear(in.samples)
	clear(in.recent)
	return nil
}

// take makes the batch of entries. The caller holds putting.
func (in *intake) take(entries []entry) {
	in.batch = in.h.newBatch(in.now, in.via)
	in.reasons, in.added, in.recent, in.unsorted = nil, nil, in.recent[:0], false
	in.h.registry.mu.Lock()
	defer in.h.registry.mu.Unlock()
	n := 0
	for i := range entries {
		n += len(entries[i].points)
	}
	in.samples = slices.Grow(in.samples[:0], n)
	in.recent = slices.Grow(in.recent, n)
	for i := range entries {
		in.entry(&entries[i])
	}
	if in.unsorted { // a series' points may be spread over entries
		in.sort()
	}
	in.batch.Samples = in.samples
}

// sort brings the samples in the order of their times, those of one time as they came.
func (in *intake) sort() {
	type place struct {
		at int64
		i  int
	}
	order := make([]place, len(in.samples))
	for i := range in.samples {
		order[i] = place{in.samples[i].Time.Unix(), i}
	}
	slices.SortFunc(order, func(a, b place) int { return cmp.Or(cmp.Compare(a.at, b.at), a.i-b.i) })
	// Each is moved once: samples are large.
	const done = -1
	for begin := range order {
		if order[begin].i == done {
			continue
		}
		first, to := in.samples[begin], begin
		for {
			from := order[to].i
			order[to].i = done
			if from == begin {
				in.samples[to] = first
				break
			}
			in.samples[to] = in.samples[from]
			to = from
		}
	}
}

// push appends a sample.
func (in *intake) push(smp *record.Sample) {
	if n := len(in.samples); n > 0 && smp.Time.Before(in.samples[n-1].Time) {
		in.unsorted = true
	}
	in.samples = append(in.samples, *smp)
}

// entry takes the points of one metric, subject and set of dimensions.
func (in *intake) entry(e *entry) {
	t := in.targetOf(e)
	if t == nil {
		return
	}
	meta := t.meta
	smp := record.Sample{Name: meta.Name, Labels: t.labels, Subject: t.subject, Meta: meta}
	for j := range e.points {
		p := &e.points[j]
		at, err := checkTime(p.Time, in.now)
		if err != nil {
			in.refuse("time", e, j, err)
			continue
		}
		smp.Value, smp.Time = p.Value, time.Unix(at, 0)
		switch {
		case (p.Histogram != nil) != (meta.Type == record.Summary):
			in.refuse("datatype", e, j, errors.New("only a metric with the dataType HISTOGRAM has histograms, and it has nothing else"))
			continue
		case p.Histogram != nil:
			if err := in.histogram(smp, p.Histogram, addedPoint{t.series, at}); err != nil {
				in.refuse("histogram", e, j, err)
				continue
			}
		case math.IsNaN(p.Value) || math.IsInf(p.Value, 0):
			in.refuse("value", e, j, fmt.Errorf("%v is no value", p.Value))
			continue
		case meta.Datatype == "COUNT" && p.Value < 0:
			in.refuse("negative", e, j, fmt.Errorf("a COUNT cannot go down, as by %v; send a GAUGE", p.Value))
			continue
		default:
			if meta.Datatype == "COUNT" {
				in.add(smp, addedPoint{t.series, at})
			} else {
				in.push(&smp)
			}
			in.recent = append(in.recent, recentPoint{t, at, p.Value})
		}
		in.points++
	}
}

// add has a sample added, unless all sinks have it; one that only some have is
// marked for those.
func (in *intake) add(smp record.Sample, p addedPoint) {
	put, taken := in.h.added.find(p)
	if _, twice := in.added[p]; twice || taken {
		return
	}
	if in.added == nil {
		in.added = make(map[addedPoint]struct{})
	}
	in.added[p] = struct{}{}
	smp.Op, smp.Retry = record.Add, put
	in.push(&smp)
}

// allPoints stands for every point of an entry.
const allPoints = -1

// refuse counts points that are not taken, one of an entry or of a part of one, by its
// number in that, or all; and tells sinks of them: once for each reason, with the number.
func (in *intake) refuse(reason string, of *entry, point int, why error) {
	n := 1
	if point == allPoints {
		n = len(of.points)
	}
	if n == 0 {
		return
	}
	in.refused += n
	if in.first == nil {
		in.first = why
	}
	in.name(reason, of, point, n, why)
	if e := in.reasons[reason]; e != nil {
		e.More += n
		return
	}
	metric, subject, _ := of.of.parts()
	e := &record.LineError{Text: fmt.Sprintf("m %d, s %.40q", metric, subject), Reason: reason, Err: why, More: n - 1}
	if in.reasons == nil {
		in.reasons = make(map[string]*record.LineError)
	}
	in.reasons[reason] = e
	in.batch.Err = errors.Join(in.batch.Err, e)
}

// Bounds on what an answer names: whoever has more refused finds them out by
// sending less at once.
const (
	maxRefusals      = 1000
	maxRefusedPoints = 10_000
	maxRefusedMsg    = 100
)

// name notes which points were refused, for who reads more than words.
func (in *intake) name(reason string, of *entry, point, n int, why error) {
	if !in.bridge || len(in.parts) == maxRefusals || in.named >= maxRefusedPoints {
		return
	}
	in.named += n
	if last := len(in.parts) - 1; last >= 0 {
		p := &in.parts[last]
		switch same := p.Index == int(of.number) && p.Reason == reason; {
		case same && point == allPoints && len(p.Points) == 0:
			return // another part of the same
		case same && point != allPoints && len(p.Points) > 0:
			p.Points = append(p.Points, int(of.first)+point)
			return
		}
	}
	part := coscale.Refusal{Index: int(of.number), Reason: reason, Msg: fmt.Sprintf("%.*s", maxRefusedMsg, why)}
	if point != allPoints {
		part.Points = []int{int(of.first) + point}
	}
	in.parts = append(in.parts, part)
}
