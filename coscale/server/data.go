package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
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
	entries := body.data.entries
	for i := range entries {
		if entries[i].subject == "" {
			entries[i].subject = subject
		}
	}
	return entries, nil
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
	in := &intake{h: h, now: c.now, bridge: len(c.via) > 0, via: c.via}
	for len(entries) > 0 {
		n := together(entries)
		if err := in.put(entries[:n]); err != nil {
			return nil, err
		}
		clear(entries[:n]) // whose memory is free then
		entries = entries[n:]
	}
	return coscale.StoredAnswer(in.points, in.refused, in.first, in.parts), nil
}

// maxTogether is about how many points are put at once: a sample takes several times
// the memory of its point.
const maxTogether = 50_000

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
	batch   *record.Batch
	reasons map[string]*record.LineError
	added   map[addedPoint]struct{}
	recent  []recentPoint
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
	return nil
}

// take makes the batch of entries. The caller holds putting.
func (in *intake) take(entries []entry) {
	in.batch = in.h.newBatch(in.now, in.via)
	in.reasons, in.added, in.recent = make(map[string]*record.LineError), make(map[addedPoint]struct{}), nil
	in.h.registry.mu.Lock()
	defer in.h.registry.mu.Unlock()
	n := 0
	for i := range entries {
		n += len(entries[i].points)
	}
	in.batch.Samples = make([]record.Sample, 0, n)
	for i := range entries {
		in.entry(&entries[i])
	}
	// A series' points may be spread over entries.
	byTime := func(a, b record.Sample) int { return a.Time.Compare(b.Time) }
	if !slices.IsSortedFunc(in.batch.Samples, byTime) {
		slices.SortStableFunc(in.batch.Samples, byTime)
	}
}

// entry takes the points of one metric, subject and set of dimensions.
func (in *intake) entry(e *entry) {
	r := in.h.registry
	meta := r.meta(e.metric)
	if meta == nil {
		in.refuse(coscale.UnknownMetric, e, allPoints, fmt.Errorf("there is no metric %d", e.metric))
		return
	}
	subject, known := r.subject(e.subject) // the number of one that is not there is a name as good as any
	switch _, _, err := coscale.ParseSubject(e.subject); {
	case err != nil:
		in.refuse("subject", e, allPoints, err)
		return
	case !known && in.bridge: // but a bridge has the name, and makes it again
		in.refuse(coscale.UnknownSubject, e, allPoints, fmt.Errorf("there is no subject %.40s", e.subject))
		return
	}
	labels := labelsOf(e.dimensions, meta.Dimensions)
	key := in.seriesKey(e.metric, subject, labels)
	for j, p := range e.points {
		at, err := checkTime(p.Time, in.now)
		if err != nil {
			in.refuse("time", e, j, err)
			continue
		}
		smp := record.Sample{Name: meta.Name, Labels: labels, Value: p.Value, Time: time.Unix(at, 0), Subject: subject, Meta: meta}
		switch {
		case (p.Histogram != nil) != (meta.Type == record.Summary):
			in.refuse("datatype", e, j, errors.New("only a metric with the dataType HISTOGRAM has histograms, and it has nothing else"))
			continue
		case p.Histogram != nil:
			if err := in.histogram(&smp, p.Histogram, addedPoint{key, at}); err != nil {
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
				in.add(&smp, addedPoint{key, at})
			} else {
				in.batch.Samples = append(in.batch.Samples, smp)
			}
			in.recent = append(in.recent, recentPoint{recentKey{e.metric, subject}, key, at, p.Value})
		}
		in.points++
	}
}

// labelsOf are the values of dimensions: those that the metric is linked to in
// that order, then the others by name.
func labelsOf(values []record.Label, linked []string) []record.Label {
	if len(values) == 0 {
		return nil
	}
	labels := make([]record.Label, 0, len(values))
	for _, name := range linked {
		if i := slices.IndexFunc(values, func(l record.Label) bool { return l.Name == name }); i >= 0 {
			labels = append(labels, values[i])
		}
	}
	for _, l := range values {
		if !slices.Contains(linked, l.Name) {
			labels = append(labels, l)
		}
	}
	return labels
}

// seriesKey is a number for a series: 64 bits of a hash. Collisions are ignored;
// among 100,000 series there is one with a probability of 3 in 10 billion.
func (in *intake) seriesKey(metric int64, s record.Subject, labels []record.Label) uint64 {
	b := binary.AppendVarint(append(in.key[:0], byte(s.Kind)), metric)
	text := func(t string) { // its length first, so that no two lists read alike
		b = append(binary.AppendVarint(b, int64(len(t))), t...)
	}
	text(s.Name)
	for _, l := range labels {
		if l.Value != "" {
			text(l.Name)
			text(l.Value)
		}
	}
	in.key = b
	return maphash.Bytes(in.h.added.seed, b)
}

// add has a sample added, unless all sinks have it; one that only some have is
// marked for those.
func (in *intake) add(smp *record.Sample, p addedPoint) {
	put, taken := in.h.added.find(p)
	if _, twice := in.added[p]; twice || taken {
		return
	}
	in.added[p] = struct{}{}
	smp.Op, smp.Retry = record.Add, put
	in.batch.Samples = append(in.batch.Samples, *smp)
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
	e := &record.LineError{Text: fmt.Sprintf("m %d, s %.40q", of.metric, of.subject), Reason: reason, Err: why, More: n - 1}
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
		switch same := p.Index == of.number && p.Reason == reason; {
		case same && point == allPoints && len(p.Points) == 0:
			return // another part of the same
		case same && point != allPoints && len(p.Points) > 0:
			p.Points = append(p.Points, of.first+point)
			return
		}
	}
	part := coscale.Refusal{Index: of.number, Reason: reason, Msg: fmt.Sprintf("%.*s", maxRefusedMsg, why)}
	if point != allPoints {
		part.Points = []int{of.first + point}
	}
	in.parts = append(in.parts, part)
}
