package collector

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"

	"scriptbridge/record"
)

// What OpenMetrics does not take under its type is unknown there, each name by
// itself, and as it was said in text. Prometheus reads the same series of both
// (pages).
func TestStrict(t *testing.T) {
	h, s := &record.Meta{Name: "h", Type: record.Histogram}, &record.Meta{Name: "s", Type: record.Summary}
	c, i := &record.Meta{Name: "c_total", Type: record.Counter}, &record.Meta{Name: "i", Type: record.Info, Unit: "volts"}
	bucket := func(v float64, le string) record.Sample { return set(h, "h_bucket", v, "le", le) }
	quantile := func(v float64, q string) record.Sample { return set(s, "s", v, "quantile", q) }
	at := func(smp record.Sample, seconds int64) record.Sample { smp.Time = time.Unix(seconds, 0); return smp }
	inf, nan := math.Inf(1), math.NaN()
	for _, tt := range []struct {
		name    string
		samples []record.Sample
		types   string // on OpenMetrics; "" where the type stays
	}{
		{"counter", []record.Sample{set(c, "c_total", 0), set(c, "c_created", -5)}, ""},
		{"counter without end", []record.Sample{set(c, "c_total", inf)}, ""},
		{"counter below 0", []record.Sample{set(c, "c_total", -1), set(c, "c_created", 1), set(c, "c_total", 2, "a", "b")}, "c_total unknown c_created unknown"},
		{"counter NaN", []record.Sample{set(c, "c_total", nan)}, "c_total unknown"},
		{"counter with one time", []record.Sample{at(set(c, "c_total", 1), 5), set(c, "c_created", 1)}, "c_total unknown c_created unknown"},
		{"info", []record.Sample{set(i, "i_info", 1)}, ""},
		{"info of 2", []record.Sample{set(i, "i_info", 2)}, "i_info unknown"},
		{"gauge", []record.Sample{set(gaugeMeta, "g", nan), set(nil, "u", -inf)}, ""},
		{"histogram", []record.Sample{bucket(1, "1"), bucket(1, "2.5"), bucket(3, "+Inf"), set(h, "h_sum", 4), set(h, "h_count", 3), set(h, "h_created", -1)}, ""},
		{"histogram, buckets alone", []record.Sample{bucket(1, "-1"), bucket(3, "+Inf")}, ""},
		{"histogram without +Inf", []record.Sample{bucket(1, "1"), set(h, "h_sum", 4), set(h, "h_count", 1)}, "h_bucket unknown h_sum unknown h_count unknown"},
		{"histogram, the end spelled otherwise", []record.Sample{bucket(1, "inf")}, "h_bucket unknown"},
		{"histogram, no buckets", []record.Sample{set(h, "h_sum", 4), set(h, "h_count", 1)}, "h_sum unknown h_count unknown"},
		{"histogram, no bound", []record.Sample{set(h, "h_bucket", 1), bucket(1, "+Inf")}, "h_bucket unknown"},
		{"histogram, a word for a bound", []record.Sample{bucket(0, "x"), bucket(1, "+Inf")}, "h_bucket unknown"},
		{"histogram that falls", []record.Sample{bucket(2, "1"), bucket(1, "+Inf")}, "h_bucket unknown"},
		{"histogram of fractions", []record.Sample{bucket(0.5, "+Inf")}, "h_bucket unknown"},
		{"histogram NaN", []record.Sample{bucket(nan, "1"), bucket(1, "+Inf")}, "h_bucket unknown"},
		{"histogram, another count", []record.Sample{bucket(1, "+Inf"), set(h, "h_sum", 4), set(h, "h_count", 2)}, "h_bucket unknown h_sum unknown h_count unknown"},
		{"histogram, no sum", []record.Sample{bucket(1, "+Inf"), set(h, "h_count", 1)}, "h_bucket unknown h_count unknown"},
		{"histogram, no count", []record.Sample{bucket(1, "+Inf"), set(h, "h_sum", 1)}, "h_bucket unknown h_sum unknown"},
		{"histogram, a sum below 0", []record.Sample{bucket(1, "+Inf"), set(h, "h_sum", -1), set(h, "h_count", 1)}, "h_bucket unknown h_sum unknown h_count unknown"},
		{"histogram, a sum and bounds below 0", []record.Sample{bucket(1, "-1"), bucket(1, "+Inf"), set(h, "h_sum", 1), set(h, "h_count", 1)}, "h_bucket unknown h_sum unknown h_count unknown"},
		{"histogram with a bare sample", []record.Sample{bucket(1, "+Inf"), set(h, "h", 1)}, "h unknown h_bucket unknown"},
		{"histogram with one time", []record.Sample{bucket(1, "1"), at(bucket(1, "+Inf"), 5)}, "h_bucket unknown"},
		{"histogram with another group that is bad", []record.Sample{bucket(1, "+Inf"), set(h, "h_bucket", 1, "le", "1", "a", "b")}, "h_bucket unknown"},
		{"summary", []record.Sample{quantile(1, "0.5"), quantile(nan, "1"), set(s, "s_sum", 4), set(s, "s_count", 3)}, ""},
		{"summary of a quantile that is none", []record.Sample{quantile(1, "2")}, "s unknown"},
		{"summary without quantile", []record.Sample{set(s, "s", 1), set(s, "s_count", 1)}, "s unknown s_count unknown"},
		{"summary below 0", []record.Sample{quantile(-1, "0.5")}, "s unknown"},
		{"summary, a sum below 0", []record.Sample{set(s, "s_sum", -4), set(s, "s_count", 3)}, "s_sum unknown s_count unknown"},
		{"summary, half a count", []record.Sample{set(s, "s_count", 0.5)}, "s_count unknown"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, src := New(Options{}), verbatim("v", 1)
			src.HonorTimestamps = true
			_ = c.Put(whole(src, tt.samples...))
			want(t, reasons(c, src))
			asText, asOM := pages(t, c)
			if len(asText.values) != len(asOM.values) {
				t.Errorf("%d series as text, %d on OpenMetrics", len(asText.values), len(asOM.values))
			}
			if got := typesOf(t, c, expfmt.FmtText); strings.Contains(got, "untyped") && tt.name != "gauge" {
				t.Errorf("text: %s", got)
			}
			if got := typesOf(t, c, expfmt.FmtOpenMetrics_1_0_0); got != tt.types && (tt.types != "" || strings.Contains(got, "unknown") && tt.name != "gauge") {
				t.Errorf("OpenMetrics: %s, want %s", got, tt.types)
			}
		})
	}
}

// typesOf are the types of a page, without what the bridge says.
func typesOf(t *testing.T, c *Collector, f expfmt.Format) string {
	t.Helper()
	var page bytes.Buffer
	if err := c.WritePage(&page, f, func(f string) bool { return !strings.HasPrefix(f, builtinPrefix) }); err != nil {
		t.Fatal(err)
	}
	var types []string
	for line := range strings.Lines(page.String()) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "# TYPE "); ok {
			types = append(types, rest)
		}
	}
	return strings.Join(types, " ")
}

// One source's bad sample costs the type of the whole family, on a page that is
// served too, for as long as it is there.
func TestStrictTogether(t *testing.T) {
	c, a, b, r := New(Options{}), verbatim("a", 1), verbatim("b", 2), receiver("r", 3)
	served := func() string {
		t.Helper()
		var theirs strings.Builder
		for line := range strings.Lines(string(get(t, c, expfmt.FmtOpenMetrics_1_0_0, false))) {
			if !strings.Contains(line, builtinPrefix) && line != "# EOF\n" {
				theirs.WriteString(line)
			}
		}
		return theirs.String()
	}
	counterOf := func(v float64) record.Sample {
		return set(&record.Meta{Name: "x_total", Type: record.Counter, Help: "X."}, "x_total", v)
	}
	good := "# HELP x X.\n# TYPE x counter\nx_total{script=\"a\"} 1\nx_total{script=\"b\"} 2\n"
	bad := "# HELP x_total X.\n# TYPE x_total unknown\nx_total{script=\"a\"} 1\nx_total{script=\"b\"} -2\n"
	_ = c.Put(whole(a, counterOf(1)))
	_ = c.Put(whole(b, counterOf(2)))
	for range 2 {
		if got := served(); got != good {
			t.Errorf("%s", got)
		}
		_ = c.Put(whole(b, counterOf(-2)))
		if got := served(); got != bad {
			t.Errorf("%s", got)
		}
		_ = c.Put(whole(a, counterOf(5))) // the first, which shows all, changes
		if got := served(); got != strings.Replace(bad, "} 1", "} 5", 1) {
			t.Errorf("%s", got)
		}
		_ = c.Put(whole(b, counterOf(-3))) // and another one
		if got := served(); got != strings.NewReplacer("} 1", "} 5", "-2", "-3").Replace(bad) {
			t.Errorf("%s", got)
		}
		_ = c.Put(whole(a, counterOf(1)))
		_ = c.Put(whole(b, counterOf(2)))
	}
	_ = c.Put(whole(b, counterOf(-2)))
	_ = c.Put(&record.Batch{Source: b, Gone: true})
	if got := served(); got != "# HELP x X.\n# TYPE x counter\nx_total{script=\"a\"} 1\n" {
		t.Errorf("%s", got)
	}
	_ = c.Put(&record.Batch{Source: a, Gone: true})

	// What is observed: a sum below 0 is no summary's.
	timer := &record.Meta{Name: "t", Type: record.Summary, Rare: &record.Rare{Quantiles: []float64{1}}}
	_ = c.Put(partial(r, observe(timer, "t", 0, 0)))
	if got := served(); got != "# HELP t t\n# TYPE t summary\nt{quantile=\"1.0\"} 0\nt_sum 0\nt_count 1\n" {
		t.Errorf("%s", got)
	}
	_ = c.Put(partial(r, observe(timer, "t", -4, 0)))
	if got := served(); got != "# HELP t t\n# TYPE t unknown\nt{quantile=\"1.0\"} 0\n# HELP t_sum t\n# TYPE t_sum unknown\nt_sum -4\n# HELP t_count t\n# TYPE t_count unknown\nt_count 2\n" {
		t.Errorf("%s", got)
	}
}

// A label of the operator's that would be the subject's gives way.
func TestSubjectLabels(t *testing.T) {
	c, r := New(Options{}), receiver("r", 1)
	r.Labels = []record.Label{{Name: "server", Value: "a"}, {Name: "site", Value: "x"}, {Name: "subject", Value: "b"}}
	smp := set(gaugeMeta, "g", 1)
	smp.Subject = record.Subject{Kind: record.Server, Name: "web-1"}
	_ = c.Put(partial(r, smp, set(gaugeMeta, "g", 2)))
	want(t, shown(c, r), `g{server="a",site="x",subject="b"} 2`, `g{server="web-1",site="x",subject="server"} 1`)
	pages(t, c)
}

// TestStrictForgets: what comes and goes between text pages leaves nothing behind.
func TestStrictForgets(t *testing.T) {
	c := New(Options{})
	for i := range 100 {
		for _, gone := range []bool{false, true} {
			b := whole(script("s", 0), set(gaugeMeta, fmt.Sprint("m", i), 1))
			b.Gone = gone
			if err := c.Put(b); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := len(c.layout.unchecked); n > 0 {
		t.Errorf("%d blocks that are gone are still to be judged", n)
	}
}
