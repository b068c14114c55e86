package collector

import (
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"

	"scriptbridge/record"
)

// A source that does not say the type of a metric joins the family of one that
// does, whoever comes first and whoever stands first, and leaves it with the
// last that did.
func TestUntyped(t *testing.T) {
	a, b, d := verbatim("a", 1), verbatim("b", 2), verbatim("d", 3)
	typed := func(typ record.Type, name string) *record.Meta {
		return &record.Meta{Name: name, Type: typ, Help: "What it is."}
	}
	for _, tt := range []struct {
		name    string
		typed   []record.Sample // of one source
		untyped []record.Sample // of two others
		want    string          // the page while all three are there
		alone   string          // and without the first
	}{
		{"gauge", []record.Sample{set(typed(record.Gauge, "x"), "x", 1)}, []record.Sample{set(nil, "x", 2)},
			"# HELP x What it is.\n# TYPE x gauge\nx{script=\"a\"} 2\nx{script=\"b\"} 1\nx{script=\"d\"} 2\n",
			"# TYPE x untyped\nx{script=\"a\"} 2\nx{script=\"d\"} 2\n"},
		{"counter", []record.Sample{set(typed(record.Counter, "x_total"), "x_total", 1)}, []record.Sample{set(nil, "x_total", 2), set(nil, "x_created", 3)},
			"# HELP x_total What it is.\n# TYPE x_total counter\nx_total{script=\"a\"} 2\nx_created{script=\"a\"} 3\nx_total{script=\"b\"} 1\nx_total{script=\"d\"} 2\nx_created{script=\"d\"} 3\n",
			"# TYPE x_created untyped\nx_created{script=\"a\"} 3\nx_created{script=\"d\"} 3\n# TYPE x_total untyped\nx_total{script=\"a\"} 2\nx_total{script=\"d\"} 2\n"},
		{"counter without _total", []record.Sample{set(typed(record.Counter, "x"), "x", 1)}, []record.Sample{set(nil, "x", 2)},
			"# HELP x What it is.\n# TYPE x counter\nx{script=\"a\"} 2\nx{script=\"b\"} 1\nx{script=\"d\"} 2\n",
			"# TYPE x untyped\nx{script=\"a\"} 2\nx{script=\"d\"} 2\n"},
		{"info", []record.Sample{set(typed(record.Info, "x"), "x_info", 1, "v", "1")}, []record.Sample{set(typed(record.Unknown, "x_info"), "x_info", 1, "v", "2")},
			"# HELP x_info What it is.\n# TYPE x_info gauge\nx_info{script=\"a\",v=\"2\"} 1\nx_info{script=\"b\",v=\"1\"} 1\nx_info{script=\"d\",v=\"2\"} 1\n",
			"# HELP x_info What it is.\n# TYPE x_info untyped\nx_info{script=\"a\",v=\"2\"} 1\nx_info{script=\"d\",v=\"2\"} 1\n"},
		{"histogram",
			[]record.Sample{set(typed(record.Histogram, "x"), "x_bucket", 1, "le", "+Inf"), set(typed(record.Histogram, "x"), "x_count", 1)},
			[]record.Sample{set(nil, "x_count", 4), set(nil, "x_sum", 5), set(nil, "x_bucket", 4, "le", "+Inf", "p", "a\\\"b\n"), set(nil, "x_bucket", 3, "le", "2.0", "p", "a\\\"b\n")},
			"# HELP x What it is.\n# TYPE x histogram\nx_bucket{script=\"a\",le=\"2.0\",p=\"a\\\\\\\"b\\n\"} 3\nx_bucket{script=\"a\",le=\"+Inf\",p=\"a\\\\\\\"b\\n\"} 4\nx_sum{script=\"a\"} 5\nx_count{script=\"a\"} 4\n" +
				"x_bucket{script=\"b\",le=\"+Inf\"} 1\nx_count{script=\"b\"} 1\n" +
				"x_bucket{script=\"d\",le=\"2.0\",p=\"a\\\\\\\"b\\n\"} 3\nx_bucket{script=\"d\",le=\"+Inf\",p=\"a\\\\\\\"b\\n\"} 4\nx_sum{script=\"d\"} 5\nx_count{script=\"d\"} 4\n",
			"# TYPE x_bucket untyped\nx_bucket{script=\"a\",le=\"+Inf\",p=\"a\\\\\\\"b\\n\"} 4\nx_bucket{script=\"a\",le=\"2.0\",p=\"a\\\\\\\"b\\n\"} 3\nx_bucket{script=\"d\",le=\"+Inf\",p=\"a\\\\\\\"b\\n\"} 4\nx_bucket{script=\"d\",le=\"2.0\",p=\"a\\\\\\\"b\\n\"} 3\n" +
				"# TYPE x_count untyped\nx_count{script=\"a\"} 4\nx_count{script=\"d\"} 4\n# TYPE x_sum untyped\nx_sum{script=\"a\"} 5\nx_sum{script=\"d\"} 5\n"},
		{"summary", []record.Sample{set(typed(record.Summary, "x"), "x_sum", 1)}, []record.Sample{set(nil, "x", 2, "quantile", "0.5"), set(nil, "x_count", 3)},
			"# HELP x What it is.\n# TYPE x summary\nx{script=\"a\",quantile=\"0.5\"} 2\nx_count{script=\"a\"} 3\nx_sum{script=\"b\"} 1\nx{script=\"d\",quantile=\"0.5\"} 2\nx_count{script=\"d\"} 3\n",
			"# TYPE x untyped\nx{script=\"a\",quantile=\"0.5\"} 2\nx{script=\"d\",quantile=\"0.5\"} 2\n# TYPE x_count untyped\nx_count{script=\"a\"} 3\nx_count{script=\"d\"} 3\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			batches := map[string]*record.Batch{"a": whole(a, tt.untyped...), "b": whole(b, tt.typed...), "d": whole(d, tt.untyped...)}
			for _, order := range []string{"abd", "adb", "bad", "dab", "abdabd"} {
				c := New(Options{})
				for _, who := range order {
					_ = c.Put(batches[string(who)])
				}
				if got := textPage(t, c); got != tt.want {
					t.Errorf("%s:\n%s\nwant:\n%s", order, got, tt.want)
				}
				for _, s := range []*record.Source{a, b, d} {
					want(t, reasons(c, s))
				}
				_ = c.Put(batches["d"]) // the same again
				if got := textPage(t, c); got != tt.want {
					t.Errorf("%s and d:\n%s\nwant:\n%s", order, got, tt.want)
				}
				_ = c.Put(&record.Batch{Source: b, Gone: true})
				if got := textPage(t, c); got != tt.alone {
					t.Errorf("%s without b:\n%s\nwant:\n%s", order, got, tt.alone)
				}
				_ = c.Put(batches["a"])
				_ = c.Put(batches["b"])
				if got := textPage(t, c); got != tt.want {
					t.Errorf("%s with b again:\n%s\nwant:\n%s", order, got, tt.want)
				}
			}
		})
	}
}

// Where two say different types, the one that stands first wins, and those who
// say none go with it.
func TestUntypedBetweenTypes(t *testing.T) {
	a, b, d, e := verbatim("a", 1), verbatim("b", 2), verbatim("d", 3), verbatim("e", 4)
	c := New(Options{})
	_ = c.Put(whole(a, set(nil, "x_total", 1), set(nil, "y", 1)))
	_ = c.Put(whole(d, set(gaugeMeta, "x_total", 3)))
	_ = c.Put(whole(e, set(counterMeta, "x_total", 4)))
	want(t, reasons(c, e), "x_total: type_conflict")
	if first, _ := c.Refusals(e.Kind, e.Name); len(first) != 1 || !strings.Contains(first[0].Text, `is a gauge of the script "d"`) {
		t.Errorf("%+v", first)
	}
	_ = c.Put(whole(b, set(counterMeta, "x_total", 2)))
	if got := textPage(t, c); got != "# TYPE x_total counter\nx_total{script=\"a\"} 1\nx_total{script=\"b\"} 2\n# TYPE y untyped\ny{script=\"a\"} 1\n" {
		t.Error(got)
	}
	_ = c.Put(whole(d, set(gaugeMeta, "x_total", 3)))
	want(t, reasons(c, d), "x_total: type_conflict")
	// What says the type no more, or another name, takes it along.
	_ = c.Put(whole(b, set(nil, "x_total", 2)))
	if got := textPage(t, c); got != "# TYPE x_total untyped\nx_total{script=\"a\"} 1\nx_total{script=\"b\"} 2\n# TYPE y untyped\ny{script=\"a\"} 1\n" {
		t.Error(got)
	}
	// A name that the other type has no sample of is none to join.
	_ = c.Put(whole(d, set(counterMeta, "y_total", 3)))
	want(t, reasons(c, d), "y_total: type_conflict")
	_ = c.Put(&record.Batch{Source: a, Gone: true})
	_ = c.Put(whole(e, set(nil, "y", 4)))
	_ = c.Put(whole(d, set(counterMeta, "y_total", 3)))
	want(t, shown(c, d), `y_total{script="d"} 3`)
	want(t, shown(c, e))
}

// textPage is the text page without what the bridge says.
func textPage(t *testing.T, c *Collector) string {
	t.Helper()
	pages(t, c)
	var page strings.Builder
	if err := c.WritePage(&page, expfmt.FmtText, func(f string) bool { return !strings.HasPrefix(f, builtinPrefix) }); err != nil {
		t.Fatal(err)
	}
	return page.String()
}
