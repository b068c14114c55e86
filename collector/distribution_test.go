package collector

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/expfmt"

	"scriptbridge/record"
)

// statsd is a receiver whose names are ready for the page.
func statsd(name string, rank int) *record.Source {
	s := receiver(name, rank)
	s.Verbatim = true
	return s
}

func observe(meta *record.Meta, name string, value, weight float64, labels ...string) record.Sample {
	s := set(meta, name, value, labels...)
	s.Op, s.Weight = record.Observe, weight
	return s
}

var (
	summaryMeta   = &record.Meta{Type: record.Summary}
	histogramMeta = &record.Meta{Type: record.Histogram, Rare: &record.Rare{Buckets: []float64{1, 2.5, 1e7}}}
)

func TestObserveSummary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := New(Options{}), statsd("statsd", 0)
		lines := func(q50, q90, q99, sum, count string) []string {
			return []string{
				`t_seconds{path="/",quantile="0.5"} ` + q50, `t_seconds{path="/",quantile="0.9"} ` + q90, `t_seconds{path="/",quantile="0.99"} ` + q99,
				`t_seconds_sum{path="/"} ` + sum, `t_seconds_count{path="/"} ` + count,
			}
		}
		_ = c.Put(partial(s, observe(summaryMeta, "t_seconds", 0.25, 0, "path", "/")))
		want(t, shown(c, s), lines("0.25", "0.25", "0.25", "0.25", "1")...)
		want(t, onPage(t, c, "scriptbridge_receiver_series"), `scriptbridge_receiver_series{receiver="statsd"} 5`)
		// A weight counts as often as it says, and need not be whole.
		time.Sleep(time.Minute)
		_ = c.Put(partial(s, observe(summaryMeta, "t_seconds", 8, 2.25, "path", "/"), observe(summaryMeta, "t_seconds", 8, 0.25, "path", "/")))
		want(t, shown(c, s), lines("7.924973703917074", "7.924973703917074", "7.924973703917074", "20.25", "4")...) // 3.5 of them
		time.Sleep(time.Minute)
		_ = c.Put(partial(s, observe(summaryMeta, "t_seconds", -1, 1e9, "path", "/")))
		want(t, shown(c, s), lines("-1", "-1", "-1", "-9.9999997975e+08", "1.000000004e+09")...)

		// What is ten minutes old has no say in a quantile, though nothing comes.
		time.Sleep(8*time.Minute - 1)
		scraped := func() string { return string(get(t, c, expfmt.FmtText, false)) }
		if got := scraped(); !strings.Contains(got, `quantile="0.5"} -1`+"\n") {
			t.Error(got)
		}
		time.Sleep(time.Nanosecond)
		_ = c.Put(partial(s, observe(summaryMeta, "t_seconds", 4, 0, "path", "/")))
		want(t, shown(c, s), lines("-1", "-1", "-1", "-9.9999997575e+08", "1.000000005e+09")...)
		time.Sleep(2 * time.Minute)
		if got := scraped(); !strings.Contains(got, `t_seconds{path="/",quantile="0.5"} 4`+"\n") {
			t.Error(got)
		}
		time.Sleep(8 * time.Minute)
		if got := scraped(); !strings.Contains(got, `t_seconds{path="/",quantile="0.5"} NaN`+"\n") || !strings.Contains(got, `t_seconds_count{path="/"} 1000000005`+"\n") {
			t.Error(got)
		}
		want(t, shown(c, s), lines("NaN", "NaN", "NaN", "-9.9999997575e+08", "1.000000005e+09")...)
	})
}

// TestObserveExpires: a distribution ends like any series, and begins at 0.
func TestObserveExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := New(Options{}), statsd("statsd", 0)
		none := &record.Meta{Type: record.Summary, Rare: &record.Rare{Quantiles: []float64{}}}
		_ = c.Put(aged(partial(s, observe(none, "t", 1, 0)), 5*time.Minute))
		time.Sleep(5*time.Minute - 1)
		want(t, shown(c, s), `t_sum 1`, `t_count 1`)
		_ = c.Put(aged(partial(s, observe(none, "t", 2, 0)), 5*time.Minute))
		want(t, shown(c, s), `t_sum 3`, `t_count 2`)
		time.Sleep(5 * time.Minute)
		want(t, shown(c, s))
		if n := c.Count(s.Kind, s.Name); n != 0 {
			t.Errorf("%d series", n)
		}
		_ = c.Put(aged(partial(s, observe(none, "t", 4, 0)), 5*time.Minute))
		want(t, shown(c, s), `t_sum 4`, `t_count 1`)
		// A whole batch that observes nothing leaves it, as it leaves a sum.
		_ = c.Put(whole(s))
		want(t, shown(c, s), `t_sum 4`, `t_count 1`)
	})
}

// TestQuantiles holds them to the accuracy that is promised, wherever values
// lie, and to their weights.
func TestQuantiles(t *testing.T) {
	c, s := New(Options{}), statsd("statsd", 0)
	meta := &record.Meta{Type: record.Summary, Rare: &record.Rare{Quantiles: []float64{0.99, 0.25, 1, math.NaN(), 0, 0.25, 1.5, -1}}}
	var b record.Batch
	b.Source = s
	for i := range 1001 {
		v := float64(i)
		b.Samples = append(b.Samples,
			observe(meta, "above", v, 0), observe(meta, "below", -v/1e6, 0), observe(meta, "around", v-500, 1e6),
			observe(meta, "weighed", v, 1000-v), observe(meta, "ends", []float64{1e308, -1e308, 5e-324}[i%3], 0.25))
	}
	_ = c.Put(&b)
	values := map[string]float64{}
	for _, v := range c.Series(s.Kind, s.Name) {
		values[v.Text] = v.Value
	}
	for name, exact := range map[string][]float64{
		"above": {0, 250, 990, 1000}, "below": {-1e-3, -0.75e-3, -0.01e-3, 0}, "around": {-500, -250, 490, 500},
		"weighed": {0, 134, 900, 1000}, "ends": {-1e308, -1e308, 1e308, 1e308},
	} {
		for i, q := range []string{"0", "0.25", "0.99", "1"} {
			got, ok := values[fmt.Sprintf(`%s{quantile="%s"}`, name, q)]
			if !ok || math.Abs(got-exact[i]) > 0.011*math.Abs(exact[i]) {
				t.Errorf("%s: quantile %s is %v, want about %v", name, q, got, exact[i])
			}
		}
	}
	if len(values) != 5*6 {
		t.Errorf("%d lines", len(values))
	}
}

// TestQuantilesOfFew holds them to the nearest rank, as client_golang has it:
// of two values the larger is the one that 99 % do not exceed.
func TestQuantilesOfFew(t *testing.T) {
	for _, values := range [][]float64{{1, 2}, {-2, -1}, {1, 2, 3}, {-1, 0, 1}, {7}} {
		c, s := New(Options{}), statsd("statsd", 0)
		var b record.Batch
		b.Source = s
		for _, v := range values {
			b.Samples = append(b.Samples, observe(&record.Meta{Type: record.Summary}, "few", v, 0))
		}
		_ = c.Put(&b)
		got := map[string]float64{}
		for _, v := range c.Series(s.Kind, s.Name) {
			got[v.Text] = v.Value
		}
		n := len(values)
		for q, exact := range map[string]float64{"0.5": values[(n-1)/2], "0.9": values[n-1], "0.99": values[n-1]} {
			if v, ok := got[`few{quantile="`+q+`"}`]; !ok || math.Abs(v-exact) > 0.011*math.Abs(exact) {
				t.Errorf("%v: quantile %s is %v, want about %v", values, q, v, exact)
			}
		}
	}
}

func TestObserveHistogram(t *testing.T) {
	c, s := New(Options{}), statsd("statsd", 0)
	s.Labels = []record.Label{{Name: "le", Value: "no"}, {Name: "env", Value: "x"}}
	_ = c.Put(partial(s,
		observe(histogramMeta, "h", 1, 0), observe(histogramMeta, "h", 2, 1.5), observe(histogramMeta, "h", -3, 0), observe(histogramMeta, "h", 1e9, 10),
		observe(histogramMeta, "l", 7, 0, "le", "theirs", "quantile", "kept")))
	want(t, shown(c, s),
		`h_bucket{env="x",le="1"} 2`, `h_bucket{env="x",le="2.5"} 4`, `h_bucket{env="x",le="1e+07"} 4`, `h_bucket{env="x",le="+Inf"} 14`, `h_sum{env="x"} 1.0000000001e+10`, `h_count{env="x"} 14`,
		`l_bucket{env="x",exported_le="theirs",quantile="kept",le="1"} 0`, `l_bucket{env="x",exported_le="theirs",quantile="kept",le="2.5"} 0`,
		`l_bucket{env="x",exported_le="theirs",quantile="kept",le="1e+07"} 1`, `l_bucket{env="x",exported_le="theirs",quantile="kept",le="+Inf"} 1`,
		`l_sum{env="x",exported_le="theirs",quantile="kept"} 7`, `l_count{env="x",exported_le="theirs",quantile="kept"} 1`)
	var page bytes.Buffer
	_ = c.WritePage(&page, expfmt.FmtOpenMetrics_1_0_0, func(family string) bool { return family == "h" })
	if got, want := page.String(), `# TYPE h histogram
h_bucket{env="x",le="1.0"} 2
h_bucket{env="x",le="2.5"} 4
h_bucket{env="x",le="1e+07"} 4
h_bucket{env="x",le="+Inf"} 14
h_sum{env="x"} 10000000001
h_count{env="x"} 14
# EOF
`; got != want {
		t.Errorf("got:\n%s", got)
	}
	// Other buckets begin anew; the same ones, said again, do not.
	again, fewer := *histogramMeta, &record.Meta{Type: record.Histogram}
	_ = c.Put(partial(s, observe(&again, "h", 1, 0), observe(fewer, "l", 1, 0, "le", "theirs", "quantile", "kept")))
	want(t, shown(c, s),
		`h_bucket{env="x",le="1"} 3`, `h_bucket{env="x",le="2.5"} 5`, `h_bucket{env="x",le="1e+07"} 5`, `h_bucket{env="x",le="+Inf"} 15`, `h_sum{env="x"} 1.0000000002e+10`, `h_count{env="x"} 15`,
		`l_bucket{env="x",exported_le="theirs",quantile="kept",le="+Inf"} 1`, `l_sum{env="x",exported_le="theirs",quantile="kept"} 1`, `l_count{env="x",exported_le="theirs",quantile="kept"} 1`)
	if n := c.Count(s.Kind, s.Name); n != 9 {
		t.Errorf("%d series", n)
	}
}

func TestObserveRefuses(t *testing.T) {
	set1 := func(name string, labels ...string) record.Sample {
		return set(&record.Meta{Name: "t", Type: record.Summary}, name, 9, labels...)
	}
	noQuantiles := &record.Meta{Type: record.Summary, Rare: &record.Rare{Quantiles: []float64{}}}
	for _, tt := range []struct {
		name    string
		samples []record.Sample
		series  []string
		refused []string
	}{
		{"what no sum can take", []record.Sample{
			observe(noQuantiles, "t", math.NaN(), 0), observe(noQuantiles, "t", math.Inf(1), 0), observe(noQuantiles, "t", math.Inf(-1), 0),
			observe(noQuantiles, "t", 1, -1), observe(noQuantiles, "t", 1, math.NaN()), observe(noQuantiles, "t", 1, math.Inf(1)), observe(noQuantiles, "t", 1e300, 1e300)},
			nil, []string{"t: not_finite", "t: not_finite", "t: not_finite", "t: bad_weight", "t: bad_weight", "t: bad_weight", "t: not_finite"}},
		{"what would overflow", []record.Sample{
			observe(noQuantiles, "t", 1e308, 0), observe(noQuantiles, "t", 1e308, 0), observe(noQuantiles, "t", 0, 1e308), observe(noQuantiles, "t", 0, 1e308), add(counterMeta, "n", 1e308), add(counterMeta, "n", 1e308)},
			[]string{`n 1e+308`, `t_sum 1e+308`, `t_count 1e+308`}, []string{"t: not_finite", "t: not_finite", "n: not_finite"}},
		{"more lines than max_series", []record.Sample{
			observe(nil, "a", 1, 0), observe(nil, "b", 1, 0), observe(noQuantiles, "c", 1, 0), set(gaugeMeta, "d", 1), set(gaugeMeta, "e", 1)},
			[]string{`a{quantile="0.5"} 1`, `a{quantile="0.9"} 1`, `a{quantile="0.99"} 1`, `a_sum 1`, `a_count 1`, `c_sum 1`, `c_count 1`, `d 1`},
			[]string{"b: max_series", "e: max_series"}},
		{"a part of what is observed", []record.Sample{
			observe(noQuantiles, "t", 1, 0), set1("t_count"), set1("t", "quantile", "0.5"), set1("t_sum", "x", "1")},
			[]string{`t_sum{x="1"} 9`, `t_sum 1`, `t_count 1`, `t{quantile="0.5"} 9`}, []string{"t_count: duplicate"}},
		{"what parts of are set", []record.Sample{
			set1("t", "quantile", "0.50"), observe(summaryMeta, "t", 1, 0), observe(noQuantiles, "t", 1, 0)},
			[]string{`t_sum 1`, `t_count 1`, `t{quantile="0.50"} 9`}, []string{"t: duplicate"}},
		{"another type", []record.Sample{
			add(counterMeta, "t", 1), observe(summaryMeta, "t", 1, 0), observe(noQuantiles, "u", 1, 0), observe(histogramMeta, "u", 1, 0), add(counterMeta, "u_count", 1)},
			[]string{`t 1`, `u_sum 1`, `u_count 1`}, []string{"t: duplicate_name", "u: duplicate_name", "u_count: duplicate_name"}},
		{"a name of ours", []record.Sample{observe(nil, "scriptbridge_x", 1, 0), observe(nil, "statsd_event", 1, 0)}, nil, []string{"scriptbridge_x: reserved", "statsd_event: reserved"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, s := New(Options{}), statsd("statsd", 0)
			s.MaxSeries = 8
			_ = c.Put(partial(s, tt.samples...))
			want(t, shown(c, s), tt.series...)
			want(t, reasons(c, s), tt.refused...)
			checkPages(t, c, map[sourceKey]*record.Source{{s.Kind, s.Name}: s})
		})
	}
}

// TestObservedByTwo: two receivers cannot have one series, scripts can share a
// family with them.
func TestObservedByTwo(t *testing.T) {
	for _, first := range []int{0, 1} {
		c, a, b, s := New(Options{}), statsd("a", 1), statsd("b", 2), verbatim("s", 0)
		meta := &record.Meta{Name: "t", Type: record.Summary, Rare: &record.Rare{Quantiles: []float64{0.5}}}
		batches := []*record.Batch{
			partial(a, observe(meta, "t", 1, 0)),
			partial(b, set(meta, "t", 2, "quantile", "0.5"), set(meta, "t_sum", 2), set(meta, "t_sum", 2, "x", "1"), observe(meta, "t", 3, 0, "x", "2")),
		}
		_ = c.Put(whole(s, set(meta, "t_count", 4)))
		_ = c.Put(batches[first])
		_ = c.Put(batches[1-first])
		want(t, onPage(t, c, "t"),
			`t_count 1`, `t_count{script="s"} 4`, `t_count{x="2"} 1`, `t_sum 1`, `t_sum{x="1"} 2`, `t_sum{x="2"} 3`, `t{quantile="0.5"} 1`, `t{x="2",quantile="0.5"} 3`)
		want(t, onPage(t, c, "scriptbridge_receiver_refused"), `scriptbridge_receiver_refused_total{receiver="b",reason="duplicate"} 2`)
		_ = c.Put(&record.Batch{Source: a, Gone: true})
		want(t, onPage(t, c, "scriptbridge_receiver_series"), `scriptbridge_receiver_series{receiver="b"} 4`)
		want(t, onPage(t, c, "t_count"), `t_count{script="s"} 4`, `t_count{x="2"} 1`)
		checkPages(t, c, nil)
	}
}

// TestSetSummary: a summary that came ready-made, from a source whose names are
// not Prometheus's, without a sum.
func TestSetSummary(t *testing.T) {
	c, s := New(Options{}), receiver("coscale", 0)
	s.Prefix = "coscale"
	latency := &record.Meta{ID: "7", Name: "Request latency", Unit: "ms", Type: record.Summary, Help: "How long.", Datatype: "DOUBLE", Calctype: "Instant"}
	other := &record.Meta{Name: "other", Type: record.Summary}
	of := func(smp record.Sample) record.Sample {
		smp.Subject = record.Subject{Kind: record.Server, Name: "web-1"}
		return smp
	}
	_ = c.Put(partial(s,
		of(set(latency, "Request latency_count", 20, "Page", "/")), of(set(latency, "Request latency", 12.5, "quantile", "0.95", "Page", "/", "server", "theirs")),
		of(set(latency, "Request latency", 3, "quantile", "0.5", "Page", "/")), set(other, "another", 1, "quantile", "0.5"), observe(histogramMeta, "Sizes", 2, 0)))
	want(t, reasons(c, s))
	var page bytes.Buffer
	_ = c.WritePage(&page, expfmt.FmtOpenMetrics_1_0_0, func(family string) bool { return strings.HasPrefix(family, "coscale") })
	if got, want := page.String(), `# HELP coscale_another other
# TYPE coscale_another unknown
coscale_another{quantile="0.5"} 1
# HELP coscale_request_latency_milliseconds How long.
# TYPE coscale_request_latency_milliseconds summary
# UNIT coscale_request_latency_milliseconds milliseconds
coscale_request_latency_milliseconds{exported_server="theirs",page="/",quantile="0.95",server="web-1",subject="server"} 12.5
coscale_request_latency_milliseconds{page="/",quantile="0.5",server="web-1",subject="server"} 3
coscale_request_latency_milliseconds_count{page="/",server="web-1",subject="server"} 20
# HELP coscale_sizes Sizes
# TYPE coscale_sizes histogram
coscale_sizes_bucket{le="1.0"} 0
coscale_sizes_bucket{le="2.5"} 1
coscale_sizes_bucket{le="1e+07"} 1
coscale_sizes_bucket{le="+Inf"} 1
coscale_sizes_sum 2
coscale_sizes_count 1
# EOF
`; got != want {
		t.Errorf("got:\n%s", got)
	}
	checkPages(t, c, map[sourceKey]*record.Source{{s.Kind, s.Name}: s})

	// Declared, it is one metric; another that comes to a name of its parts is refused.
	count := &record.Meta{ID: "8", Name: "Request latency milliseconds count", Type: record.Gauge, Datatype: "DOUBLE"}
	b := partial(s, set(latency, "Request latency_count", 21), set(count, count.Name, 1))
	b.Declared = &record.Declared{Metrics: []*record.Meta{latency, count}}
	_ = c.Put(b)
	want(t, reasons(c, s), "Request latency milliseconds count: duplicate_name")
	want(t, onPage(t, c, "scriptbridge_metric_info"),
		`scriptbridge_metric_info{receiver="coscale",metric="coscale_request_latency_milliseconds",name="Request latency",unit="ms",datatype="DOUBLE",calctype="Instant"} 1`)
}

// TestReceiverNames: a receiver that keeps its names may say a thing twice, and
// the later one holds.
func TestReceiverNames(t *testing.T) {
	c, s := New(Options{}), statsd("statsd", 0)
	hits := &record.Meta{Name: "web.hits", Type: record.Counter}
	_ = c.Put(partial(s, set(gaugeMeta, "g", 1), set(gaugeMeta, "g", 2), add(hits, "web_hits", 1), add(hits, "web_hits", 2), add(hits, "web_errors_total", 4), set(gaugeMeta, "bad name", 1)))
	want(t, shown(c, s), `g 2`, `web_errors_total 4`, `web_hits 3`)
	want(t, reasons(c, s), "bad name: bad_name")
	_, asOM := pages(t, c)
	if got := fmt.Sprint(asOM.types["web_hits"], " ", asOM.types["web_errors"]); got != "unknown counter" {
		t.Error(got)
	}
}

func TestLatePoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, r := New(Options{}), receiver("coscale", 0)
		r.HonorTimestamps = true
		at := func(seconds int, value float64) record.Sample {
			s := set(gaugeMeta, "a", value)
			s.Time = time.Now().Add(time.Duration(seconds) * time.Second)
			return s
		}
		put := func(want float64, samples ...record.Sample) {
			t.Helper()
			_ = c.Put(aged(partial(r, samples...), time.Minute))
			if got := c.Series(r.Kind, r.Name); len(got) != 1 || got[0].Value != want {
				t.Errorf("%v, want %v", got, want)
			}
		}
		put(2, at(-20, 1), at(-10, 2), at(-30, 3))
		put(2, at(-11, 4))
		put(5, at(-10, 5))                          // the same moment again is a correction
		put(6, set(gaugeMeta, "a", 6))              // without a time it is of now
		put(6, at(-1, 7))                           // which is before that
		put(8, at(3600, 8))                         // a clock that is ahead
		put(9, at(0, 9))                            // does not stop the others
		put(9, observe(nil, "a", 1, 0), at(-5, 10)) // a conflict is told all the same
		want(t, reasons(c, r), "a: duplicate_name")
		asText, _ := pages(t, c)
		if got := asText.stamps["a"]; got != time.Now().UnixMilli() {
			t.Errorf("stamp %d", got)
		}
		// A late point does not renew.
		time.Sleep(59 * time.Second)
		put(9, at(-60, 11))
		time.Sleep(time.Second)
		want(t, shown(c, r))
		// A series that is not there begins with any point.
		put(12, at(-3600, 12))
		put(13, at(-3599, 13))
		// A whole batch is the present state, but within it the newest holds.
		_ = c.Put(whole(r, at(-4000, 14), at(-3900, 15), at(-4100, 16)))
		want(t, shown(c, r), "a 15")
	})
}

// TestLateAfterNow: a value without a time of its own is of its batch, and what
// is older than that changes nothing, whichever came first. None of these is
// late itself, however far a clock was set back.
func TestLateAfterNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, r := New(Options{}), receiver("coscale", 0)
		began := time.Now()
		put := func(want, value float64, batch, own time.Duration) {
			t.Helper()
			s := set(gaugeMeta, "a", value)
			if own != 0 {
				s.Time = began.Add(own)
			}
			b := aged(partial(r, s), time.Minute)
			b.Time = began.Add(batch)
			_ = c.Put(b)
			if got := c.Series(r.Kind, r.Name); len(got) != 1 || got[0].Value != want {
				t.Errorf("%v, want %v", got, want)
			}
		}
		const hour = time.Hour
		put(1, 1, 0, 0)
		put(1, 2, time.Second, -2*time.Second)
		put(3, 3, 2*time.Second, time.Second)
		put(4, 4, 3*time.Second, 0)
		put(4, 5, 4*time.Second, 2*time.Second)
		put(6, 6, 5*time.Second-hour, 0)
		put(7, 7, 6*time.Second-hour, 6*time.Second) // ahead of our clock, and so of now
		put(7, 8, 7*time.Second-hour, 5*time.Second-hour)
		put(9, 9, 8*time.Second-hour, 7*time.Second-hour)
	})
}

// TestOlderTimestamps: what a script prints is its present state, though its
// timestamps are older than those before.
func TestOlderTimestamps(t *testing.T) {
	c := New(Options{})
	s := &record.Source{Kind: record.Script, Name: "p", Verbatim: true, HonorTimestamps: true}
	for _, at := range []int64{1700000100, 1700000000} {
		smp := set(&record.Meta{Name: "a", Type: record.Gauge}, "a", float64(at))
		smp.Time = time.Unix(at, 0)
		_ = c.Put(whole(s, smp))
		asText, _ := pages(t, c)
		if got := asText.stamps[`a{script="p"}`]; got != at*1000 {
			t.Errorf("stamp %d, want %d", got, at*1000)
		}
	}
	want(t, shown(c, s), `a{script="p"} 1.7e+09`)
}

// TestWeightIsFree: a weight costs neither time nor memory.
func TestWeightIsFree(t *testing.T) {
	c, s := New(Options{}), statsd("statsd", 0)
	cost := func(weight float64) float64 {
		b := partial(s, observe(summaryMeta, "t", 1, weight))
		_ = c.Put(b)
		return testing.AllocsPerRun(100, func() { _ = c.Put(b) })
	}
	if one, many := cost(0), cost(1e7); many != one {
		t.Errorf("%v allocations for one observation, %v for ten million", one, many)
	}
}
