package server

import (
	"encoding/binary"
	"encoding/json"
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

// maxPoints bounds the points of one request. The CLI's largest call, 8 MiB of
// JSON, holds some 700 000 at most.
const maxPoints = 1_000_000

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

// entry is one of the data array: with m, s and d, as all known clients send it,
// or with the words of the vendor's Swagger description.
type entry struct {
	coscale.Data
	MetricID  int64           `json:"metricId"`  // for m,
	SubjectID string          `json:"subjectId"` // s
	Values    []coscale.Point `json:"data"`      // and d
}

// readEntries reads the data array of a request; subject is what entries speak
// of that do not say so.
func readEntries(form fields, subject string) ([]entry, error) {
	text := []byte(form.get("data"))
	if cdata, ok := form.lookup("cdata"); ok {
		if len(cdata) > maxCdata {
			return nil, tooLarge("cdata", maxCdata)
		}
		var err error
		if text, err = gunzipData(cdata); err != nil {
			return nil, err
		}
	}
	if len(text) == 0 {
		return nil, badRequest("there is neither data nor cdata")
	}
	var entries []entry
	if err := json.Unmarshal(text, &entries); err != nil {
		return nil, badRequest("the data cannot be read: %v", err)
	}
	points := 0
	for i := range entries {
		e := &entries[i]
		if e.Metric == 0 {
			e.Metric = e.MetricID
		}
		if e.Subject == "" {
			e.Subject = e.SubjectID
		}
		if e.Subject == "" {
			e.Subject = subject
		}
		if len(e.Points) == 0 {
			e.Points = e.Values
		}
		points += len(e.Points)
	}
	if points > maxPoints {
		return nil, refusal(http.StatusRequestEntityTooLarge, "too_large", "", "there are %d points, more than %d; send them in parts", points, maxPoints)
	}
	return entries, nil
}

// insertData takes points: all that can be used are in one batch.
func (h *Handler) insertData(c *call, subject string) (any, error) {
	form, err := c.form(maxData)
	if err != nil {
		return nil, err
	}
	if source := form.get("source"); subject == "" && source != "" { // as the CLI of 2015 sends it
		if _, _, err := coscale.ParseSubject(source); err == nil {
			subject = source // for others say in it who they are
		}
	}
	entries, err := readEntries(form, subject)
	if err != nil {
		return nil, err
	}
	h.putting.Lock()
	defer h.putting.Unlock()
	in := h.take(c, entries)
	if in.points > 0 || in.batch.Err != nil {
		if err := h.put(in.batch); err != nil {
			h.added.keep(in.added, false, c.now) // some sinks have it
			return nil, err
		}
	}
	h.added.keep(in.added, true, c.now)
	h.recent.keep(in.recent, c.now)
	return coscale.StoredAnswer(in.points, in.refused, in.first, in.parts), nil
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

// intake is one request's points on their way into a batch.
type intake struct {
	h       *Handler
	now     time.Time
	bridge  bool // it comes from one, which reads more than words
	batch   *record.Batch
	points  int // in the batch, a histogram counted as one
	refused int
	reasons map[string]*record.LineError
	first   error // that refused any
	parts   []coscale.Refusal
	named   int // points that parts name

	added  map[addedPoint]struct{}
	recent []recentPoint
	key    []byte // scratch
}

// take makes the batch of a request's entries. The caller holds putting.
func (h *Handler) take(c *call, entries []entry) *intake {
	in := &intake{
		h: h, now: c.now, bridge: len(c.via) > 0, batch: h.newBatch(c.now, c.via),
		reasons: make(map[string]*record.LineError), added: make(map[addedPoint]struct{}),
	}
	h.registry.mu.Lock()
	defer h.registry.mu.Unlock()
	n := 0
	for i := range entries {
		n += len(entries[i].Points)
	}
	in.batch.Samples = make([]record.Sample, 0, n)
	for i := range entries {
		in.entry(i, &entries[i].Data)
	}
	// A series' points may be spread over entries.
	byTime := func(a, b record.Sample) int { return a.Time.Compare(b.Time) }
	if !slices.IsSortedFunc(in.batch.Samples, byTime) {
		slices.SortStableFunc(in.batch.Samples, byTime)
	}
	return in
}

// entry takes the points of one metric, subject and set of dimensions, which
// are the call's number i.
func (in *intake) entry(i int, d *coscale.Data) {
	r := in.h.registry
	meta := r.meta(d.Metric)
	if meta == nil {
		in.refuse(coscale.UnknownMetric, i, allPoints, d, fmt.Errorf("there is no metric %d", d.Metric))
		return
	}
	subject, known := r.subject(d.Subject) // the number of one that is not there is a name as good as any
	switch _, _, err := coscale.ParseSubject(d.Subject); {
	case err != nil:
		in.refuse("subject", i, allPoints, d, err)
		return
	case !known && in.bridge: // but a bridge has the name, and makes it again
		in.refuse(coscale.UnknownSubject, i, allPoints, d, fmt.Errorf("there is no subject %.40s", d.Subject))
		return
	}
	labels := labelsOf(d.Dimensions, meta.Dimensions)
	key := in.seriesKey(d.Metric, subject, labels)
	for j, p := range d.Points {
		at, err := checkTime(p.Time, in.now)
		if err != nil {
			in.refuse("time", i, j, d, err)
			continue
		}
		smp := record.Sample{Name: meta.Name, Labels: labels, Value: p.Value, Time: time.Unix(at, 0), Subject: subject, Meta: meta}
		switch {
		case (p.Histogram != nil) != (meta.Type == record.Summary):
			in.refuse("datatype", i, j, d, errors.New("only a metric with the dataType HISTOGRAM has histograms, and it has nothing else"))
			continue
		case p.Histogram != nil:
			if err := in.histogram(&smp, p.Histogram, addedPoint{key, at}); err != nil {
				in.refuse("histogram", i, j, d, err)
				continue
			}
		case math.IsNaN(p.Value) || math.IsInf(p.Value, 0):
			in.refuse("value", i, j, d, fmt.Errorf("%v is no value", p.Value))
			continue
		case meta.Datatype == "COUNT" && p.Value < 0:
			in.refuse("negative", i, j, d, fmt.Errorf("a COUNT cannot go down, as by %v; send a GAUGE", p.Value))
			continue
		default:
			if meta.Datatype == "COUNT" {
				in.add(&smp, addedPoint{key, at})
			} else {
				in.batch.Samples = append(in.batch.Samples, smp)
			}
			in.recent = append(in.recent, recentPoint{recentKey{d.Metric, subject}, key, at, p.Value})
		}
		in.points++
	}
}

// labelsOf are the values of dimensions: those that the metric is linked to in
// that order, then the others by name.
func labelsOf(values map[string]string, linked []string) []record.Label {
	if len(values) == 0 {
		return nil
	}
	labels := make([]record.Label, 0, len(values))
	for _, name := range linked {
		if value, ok := values[name]; ok {
			labels = append(labels, record.Label{Name: name, Value: value})
		}
	}
	known := len(labels)
	if known < len(values) {
		for name, value := range values {
			if !slices.Contains(linked, name) {
				labels = append(labels, record.Label{Name: name, Value: value})
			}
		}
		slices.SortFunc(labels[known:], func(a, b record.Label) int { return strings.Compare(a.Name, b.Name) })
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

// refuse counts points that are not taken, one of an entry, by its number, or
// all; and tells sinks of them: once for each reason, with the number.
func (in *intake) refuse(reason string, entry, point int, d *coscale.Data, why error) {
	n := 1
	if point == allPoints {
		n = len(d.Points)
	}
	if n == 0 {
		return
	}
	in.refused += n
	if in.first == nil {
		in.first = why
	}
	in.name(reason, entry, point, n, why)
	if e := in.reasons[reason]; e != nil {
		e.More += n
		return
	}
	e := &record.LineError{Text: fmt.Sprintf("m %d, s %.40q", d.Metric, d.Subject), Reason: reason, Err: why, More: n - 1}
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
func (in *intake) name(reason string, entry, point, n int, why error) {
	if !in.bridge || len(in.parts) == maxRefusals || in.named >= maxRefusedPoints {
		return
	}
	in.named += n
	if last := len(in.parts) - 1; point != allPoints && last >= 0 {
		if p := &in.parts[last]; p.Index == entry && p.Reason == reason && len(p.Points) > 0 {
			p.Points = append(p.Points, point)
			return
		}
	}
	part := coscale.Refusal{Index: entry, Reason: reason, Msg: fmt.Sprintf("%.*s", maxRefusedMsg, why)}
	if point != allPoints {
		part.Points = []int{point}
	}
	in.parts = append(in.parts, part)
}
