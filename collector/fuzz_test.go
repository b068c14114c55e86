package collector

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/expfmt"

	"scriptbridge/record"
)

// tape makes batches of arbitrary bytes.
type tape struct {
	b   []byte
	few bool // receivers with few words, so that their series meet
}

func (t *tape) byte() byte {
	if len(t.b) == 0 {
		return 0
	}
	b := t.b[0]
	t.b = t.b[1:]
	return b
}

func (t *tape) chance(of int) bool { return int(t.byte())%of == 0 }

// text is one of a few words that like to meet, or raw bytes of the tape.
func (t *tape) text() string {
	words := []string{
		"", "a", "A", "b", "a total", "a_created", "a info", "total", "5", "a bytes", "event", "events", "event_info",
		"script", "exported_script", "Team", "__name__", "le", "!", "?", "script_series", "info", "go_x", "metric", "subject", "message",
		"a_total", "a_info", "a_bucket", "a_sum", "a_count", "le", "quantile", "1", "1.0", "+Inf", "-0", "0", "9", "A:b", "B",
		"x\xff", "q\"\\\n", "ä", strings.Repeat("n", 180), strings.Repeat("v", 1030),
	}
	i := int(t.byte())
	if t.few {
		return []string{"a", "a", "b", "", "le", "quantile", "0.5", "1"}[i%8]
	}
	if i < 200 {
		return words[i%len(words)]
	}
	n := min(int(t.byte()%12), len(t.b))
	s := string(t.b[:n])
	t.b = t.b[n:]
	return s
}

func (t *tape) value() float64 {
	values := []float64{0, 1, -1, 2.5, math.NaN(), math.Inf(1), math.Inf(-1), 1e300, -1e-300, 1e15, 123456789012}
	return values[int(t.byte())%len(values)]
}

func (t *tape) weight() float64 {
	weights := []float64{0, 1, 0.1, 1e7, 10. / 3, 1e308, -1, math.NaN(), math.Inf(1)}
	return weights[int(t.byte())%len(weights)]
}

// most is one of two bounds.
func (t *tape) most(many, few byte) byte {
	if t.few {
		return few
	}
	return many
}

func (t *tape) labels() []record.Label {
	var ls []record.Label
	for n := t.byte() % t.most(4, 2); n > 0; n-- {
		ls = append(ls, record.Label{Name: t.text(), Value: t.text()})
	}
	return ls
}

func (t *tape) meta() *record.Meta {
	m := &record.Meta{Name: t.text(), Type: record.Type(t.byte() % 6)}
	switch t.byte() % 7 {
	case 0:
		m.Unit, m.Help = t.text(), t.text()
	case 1:
		m.ID, m.Datatype, m.Calctype = t.text(), "DOUBLE", record.CalctypeAverage
	case 2:
		m.Rare = &record.Rare{Rename: t.text()}
	case 3:
		m.Dimensions = []string{t.text(), t.text()}
	case 4:
		m.Rare = &record.Rare{Buckets: []float64{t.value(), t.value(), 3}, Quantiles: []float64{t.value(), 0.5}}
	}
	return m
}

func (t *tape) source() *record.Source {
	s := &record.Source{Kind: record.Script, Name: string('a' + t.byte()%3), Rank: int(t.byte() % 4), AverageWindow: time.Minute}
	if t.few || t.chance(3) {
		s.Kind = record.Receiver
	}
	if t.few {
		s.Verbatim = t.chance(2)
		return s
	}
	s.Prefix = []string{"", "a", "b", "script", "a_event", "scriptbridge", "Ä", "go"}[t.byte()%8]
	if t.chance(3) {
		s.Labels = t.labels()
	}
	if t.chance(3) {
		s.MaxSeries = int(t.byte() % 4)
	}
	s.HonorTimestamps = t.chance(3)
	s.Verbatim = t.chance(2)
	return s
}

// batch makes the next batch of one of the sources, which it may replace.
func (t *tape) batch(sources map[sourceKey]*record.Source, now time.Time) *record.Batch {
	s := t.source()
	key := sourceKey{s.Kind, s.Name}
	if old := sources[key]; old != nil && !t.chance(4) {
		s = old
	}
	sources[key] = s
	b := &record.Batch{Source: s, Time: now, Complete: t.chance(2), MaxAge: time.Duration(t.byte()%4) * time.Minute, Gone: t.chance(16)}
	metas := []*record.Meta{nil, t.meta(), t.meta(), t.meta()}
	if t.chance(2) {
		b.Declared = &record.Declared{Metrics: metas[1:], Events: []*record.EventMeta{{Name: t.text(), Attributes: []string{t.text(), "a"}}}}
	}
	for n := t.byte() % 8; n > 0; n-- {
		smp := record.Sample{Labels: t.labels(), Value: t.value(), Op: record.Op(t.byte() % 3), Meta: metas[t.byte()%4], Line: int(n)}
		if smp.Op == record.Observe {
			smp.Weight = t.weight()
		}
		if smp.Name = t.text(); smp.Meta != nil && !t.chance(3) {
			smp.Name = smp.Meta.Name + []string{"", "_total", "_info", "_bucket", "_sum", "_count", "_created"}[t.byte()%7]
			smp.Labels = append(smp.Labels, record.Label{Name: []string{"le", "quantile", "a"}[t.byte()%3], Value: t.text()})
		}
		if t.chance(4) {
			smp.Subject = record.Subject{Kind: record.SubjectKind(t.byte() % 4), Name: t.text()}
			smp.Time = now.Add(time.Duration(t.byte())*time.Second - 2*time.Minute)
		}
		if t.chance(8) {
			smp.Time = time.Unix(int64(t.byte())-100, 1e6)
		}
		b.Samples = append(b.Samples, smp)
	}
	for n := t.byte() % 3; n > 0; n-- {
		e := record.Event{ID: t.text(), Name: t.text(), Message: t.text(), Start: now, Attributes: t.labels()}
		if b.Declared != nil {
			e.Meta = b.Declared.Events[0]
		}
		if t.chance(2) {
			e.Stop = now
		}
		b.Events = append(b.Events, e)
	}
	if t.chance(2) {
		b.Run = &record.Run{Result: record.Results()[t.byte()%5], ExitCode: int(t.byte())}
		b.Err = &record.LineError{Reason: t.text(), Err: io.EOF}
	}
	return b
}

// TestPagesAtRandom runs what FuzzPages runs on a few long tapes.
func TestPagesAtRandom(t *testing.T) {
	for seed := range uint64(12) {
		noise := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
		data := make([]byte, 3000)
		_, _ = noise.Read(data)
		testPages(t, data)
	}
}

// FuzzPages puts batches of several quarrelling sources, and wants both pages
// to be good after each: accepted by Prometheus's parsers, no series twice, no
// family split, and every accepted sample on them with its value.
func FuzzPages(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03\x04\x05\x06\x07"))
	f.Add(bytes.Repeat([]byte{1, 2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47}, 30))
	f.Add(bytes.Repeat([]byte("\x01\x00\x10\xff\x20a b c\x03"), 40))
	f.Fuzz(testPages)
}

func testPages(t *testing.T, data []byte) {
	synctest.Test(t, func(t *testing.T) {
		c, without := New(Options{Retention: 2 * time.Minute}), New(Options{Retention: 2 * time.Minute})
		sources := map[sourceKey]*record.Source{}
		in, said, handles := &tape{b: data}, map[sourceKey][]record.Sample{}, handles{}
		for in.few = in.chance(2); len(in.b) > 0; {
			b := in.batch(sources, time.Now())
			again(b, said, in.chance(2))
			handles.give(b)
			_ = c.Put(b)
			_ = without.Put(b.Clone()) // which has no handles
			checkAccepted(t, c, b)
			checkPages(t, c, sources)
			checkSame(t, c, without)
			if in.chance(3) {
				time.Sleep(time.Duration(in.byte()) * time.Second) // the bubble's clock
				checkPages(t, c, sources)
			}
		}
	})
}

// again has a batch begin with what its source said before, as most do, where it is
// to; and keeps what it says.
func again(b *record.Batch, said map[sourceKey][]record.Sample, repeat bool) {
	key := sourceKey{b.Source.Kind, b.Source.Name}
	if repeat {
		b.Samples = slices.Concat(said[key], b.Samples)
	}
	for i := range b.Samples {
		b.Samples[i].Line = i + 1
	}
	said[key] = b.Samples[max(0, len(b.Samples)-20):]
}

// handles are those of series, by how they are spelled.
type handles map[string]*handle

type handle struct {
	record.Handle
	meta *record.Meta
}

// give gives the samples of a batch their handles, and what has a handle the same Meta
// again.
func (hs handles) give(b *record.Batch) {
	for i := range b.Samples {
		smp := &b.Samples[i]
		key := fmt.Sprintf("%v %q %q %q %d %q %d", b.Source.Kind, b.Source.Name, smp.Name, smp.Labels, smp.Subject.Kind, smp.Subject.Name, smp.Op)
		if smp.Meta != nil {
			key += fmt.Sprintf(" %q", fmt.Sprint(*smp.Meta))
		}
		h := hs[key]
		if h == nil {
			h = &handle{meta: smp.Meta}
			hs[key] = h
		}
		smp.Handle, smp.Meta = &h.Handle, h.meta
	}
}

// checkSame checks that two collectors have the same page.
func checkSame(t *testing.T, a, b *Collector) {
	t.Helper()
	for _, f := range []expfmt.Format{expfmt.FmtText, expfmt.FmtOpenMetrics_1_0_0} {
		if diff := cmp.Diff(string(get(t, a, f, false)), string(get(t, b, f, false))); diff != "" {
			t.Fatalf("with handles -, without +:\n%s", diff)
		}
	}
}

// checkAccepted checks that every sample of a batch that was not refused has
// its series, with its value where it was the last to set it.
func checkAccepted(t *testing.T, c *Collector, b *record.Batch) {
	t.Helper()
	if b.Gone {
		return
	}
	s := c.sources[sourceKey{b.Source.Kind, b.Source.Name}]
	refused := map[int]bool{}
	for _, r := range s.refusals {
		refused[r.Line] = true
	}
	for i := range b.Samples {
		smp := &b.Samples[i]
		if refused[smp.Line] {
			continue
		}
		m := c.typed(s, s.metric(smp.Name, smp.Meta, smp.Op == record.Observe))
		key, _ := s.appendKey(nil, m, smp)
		se := s.series.get(key)
		if se == nil || se.batch == s.batch && se.line() == smp.Line && smp.Op == record.Set &&
			(m.meta == nil || m.meta.Calctype == "") && !sameFloat(se.value, smp.Value) {
			t.Fatalf("%+v was not refused, and its series is %+v", smp, se)
		}
	}
}

// checkPages checks the pages against each other, and against Series.
func checkPages(t *testing.T, c *Collector, sources map[sourceKey]*record.Source) {
	t.Helper()
	asText, asOM := pages(t, c)
	if len(asText.values) != len(asOM.values) {
		t.Fatalf("%d series as text, %d on OpenMetrics", len(asText.values), len(asOM.values))
	}
	inOM := make(map[string]string) // le is spelled otherwise there
	for text := range asOM.values {
		inOM[asOM.labels[text].String()] = text
	}
	for text, v := range asText.values {
		om, ok := inOM[asText.labels[text].String()]
		if !ok || !sameFloat(v, asOM.values[om]) || asText.stamps[text]-asOM.stamps[om] > 1 { // the parser cuts 1.001 s to 1000 ms
			t.Fatalf("%s: %v at %d as text, %v at %d on OpenMetrics", text, v, asText.stamps[text], asOM.values[om], asOM.stamps[om])
		}
	}
	for _, s := range c.sources {
		for se := range s.series.All {
			checkDistribution(t, se)
		}
	}
	for key := range sources {
		views := c.Series(key.kind, key.name)
		if n := c.Count(key.kind, key.name); n != len(views) {
			t.Fatalf("%v: %d series, Count %d", key, len(views), n)
		}
		for _, view := range views {
			if v, ok := asText.values[view.Text]; !ok || !sameFloat(v, view.Value) {
				t.Fatalf("%v: %+v is %v on the page", key, view, v)
			}
		}
	}
	checkShown(t, c, asOM)
	checkServed(t, c, asText, expfmt.FmtText)
	checkServed(t, c, asOM, expfmt.FmtOpenMetrics_1_0_0)
}

// checkShown checks that what is shown of each source is, all together, the page.
func checkShown(t *testing.T, c *Collector, asOM parsed) {
	t.Helper()
	left := maps.Clone(asOM.values)
	for _, s := range c.Sources() {
		shown := c.Shown(s, false)
		lines := 0
		for _, text := range [][]byte{shown.Text, shown.Sums} {
			part := parsePage(t, append(bytes.Clone(text), "# EOF\n"...), expfmt.FmtOpenMetrics_1_0_0)
			lines += len(part.values)
			for series, v := range part.values {
				if on, ok := left[series]; !ok || !sameFloat(v, on) || part.stamps[series] != asOM.stamps[series] {
					t.Fatalf("%s of %s: %v at %d is shown, on the page it is %v (%v) at %d", series, s.Name, v, part.stamps[series], on, ok, asOM.stamps[series])
				}
				delete(left, series)
			}
			for name, typ := range part.types {
				if asOM.types[name] != typ {
					t.Fatalf("%s of %s is shown as %s, on the page it is %s", name, s.Name, typ, asOM.types[name])
				}
			}
		}
		if lines != shown.Lines {
			t.Fatalf("%d lines are shown of %s, and %d are told", lines, s.Name, shown.Lines)
		}
	}
	if len(left) > 0 {
		t.Fatalf("nothing shows %v", left)
	}
}

// checkDistribution checks that counts are whole, do not fall from bucket to
// bucket, and end in _count.
func checkDistribution(t *testing.T, se *series) {
	t.Helper()
	d := se.distribution()
	if d == nil {
		return
	}
	bounds, values := len(d.bounds.values), d.values()
	counts := values[bounds+1:]
	if d.bounds.kind == histogram {
		counts = slices.Concat(values[:bounds], counts)
		if counts[bounds] != counts[bounds-1] {
			t.Fatalf("%s: %v", se.text(), values)
		}
	}
	for i, v := range counts {
		if v != math.Trunc(v) || v < 0 || math.IsInf(v, 0) || i > 0 && v < counts[i-1] {
			t.Fatalf("%s: %v", se.text(), values)
		}
	}
}

// checkServed checks that what a scrape gets, out of the chunks, is the page.
func checkServed(t *testing.T, c *Collector, want parsed, f expfmt.Format) {
	t.Helper()
	if got := parsePage(t, get(t, c, f, true), f); len(got.values) != len(want.values) {
		t.Fatalf("%d series served, %d written", len(got.values), len(want.values))
	}
}
