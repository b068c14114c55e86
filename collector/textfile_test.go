package collector

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"scriptbridge/record"
)

func textfileOf(c *Collector, keep func(string) bool) (page []byte) {
	for piece := range c.Textfile(keep) {
		page = append(page, piece...)
	}
	return page
}

// checkTextfile holds the page for node_exporter against the text page: read as its
// textfile collector reads it, it has the same series, and no other one.
func checkTextfile(t testing.TB, c *Collector, asText parsed) {
	t.Helper()
	page := textfileOf(c, func(string) bool { return false })
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(page))
	if err != nil {
		t.Fatalf("node_exporter would refuse it: %v\n%s", err, page)
	}
	shown := map[string]float64{}
	for _, mf := range families {
		for _, m := range mf.GetMetric() {
			if m.TimestampMs != nil {
				t.Fatalf("%s has a time, for which node_exporter would refuse it\n%s", mf.GetName(), page)
			}
			addShown(shown, mf, m)
		}
	}
	wanted := map[string]float64{}
	for text, ls := range asText.labels {
		wanted[shownAs(ls.Get("__name__"), ls)] = asText.values[text]
	}
	for as, v := range wanted {
		if got, ok := shown[as]; !ok || !sameFloat(got, v) {
			t.Errorf("node_exporter shows %s as %v (%t), not %v\n%s", as, got, ok, v, page)
		}
	}
	if len(shown) != len(wanted) {
		t.Errorf("node_exporter shows %d series, not %d\n%v\n%s", len(shown), len(wanted), shown, page)
	}
}

// addShown adds what node_exporter makes of a metric: it fills in what a histogram or
// summary does not have.
func addShown(to map[string]float64, mf *dto.MetricFamily, m *dto.Metric) {
	b := labels.NewBuilder(labels.EmptyLabels())
	for _, l := range m.GetLabel() {
		b.Set(l.GetName(), l.GetValue())
	}
	add := func(suffix string, v float64, label string, bound float64) {
		b := labels.NewBuilder(b.Labels())
		if label != "" {
			b.Set(label, strconv.FormatFloat(bound, 'g', -1, 64))
		}
		to[shownAs(mf.GetName()+suffix, b.Labels())] = v
	}
	switch mf.GetType() {
	case dto.MetricType_HISTOGRAM:
		add("_bucket", float64(m.GetHistogram().GetSampleCount()), "le", math.Inf(1))
		for _, bucket := range m.GetHistogram().GetBucket() {
			add("_bucket", float64(bucket.GetCumulativeCount()), "le", bucket.GetUpperBound())
		}
		add("_sum", m.GetHistogram().GetSampleSum(), "", 0)
		add("_count", float64(m.GetHistogram().GetSampleCount()), "", 0)
	case dto.MetricType_SUMMARY:
		for _, q := range m.GetSummary().GetQuantile() {
			add("", q.GetValue(), "quantile", q.GetQuantile())
		}
		add("_sum", m.GetSummary().GetSampleSum(), "", 0)
		add("_count", float64(m.GetSummary().GetSampleCount()), "", 0)
	default:
		add("", m.GetCounter().GetValue()+m.GetGauge().GetValue()+m.GetUntyped().GetValue(), "", 0)
	}
}

// shownAs is a series with its bound as a number, however it is spelled.
func shownAs(name string, ls labels.Labels) string {
	b := labels.NewBuilder(ls)
	b.Set("__name__", name)
	for _, bound := range []string{"le", "quantile"} {
		if f, err := strconv.ParseFloat(ls.Get(bound), 64); err == nil {
			if f == 0 { // Prometheus has no other zero there, where the family has a type
				f = 0
			}
			b.Set(bound, strconv.FormatFloat(f, 'g', -1, 64))
		}
	}
	return b.Labels().String()
}

// The page for node_exporter has no type that would change a value there, no times,
// and of the process-wide families those that are asked for.
func TestTextfile(t *testing.T) {
	registry := prometheus.NewRegistry()
	for _, name := range []string{"go_x", "scriptbridge_x"} {
		registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: name}))
	}
	c, a, r := New(Options{Registry: registry}), verbatim("a", 1), receiver("r", 2)
	a.HonorTimestamps = true
	h, s := &record.Meta{Name: "h", Type: record.Histogram}, &record.Meta{Name: "s", Type: record.Summary}
	stamped := set(gaugeMeta, "g", 1)
	stamped.Time = time.Unix(1700000000, 0)
	put := func(samples ...record.Sample) {
		t.Helper()
		_ = c.Put(whole(a, samples...))
		want(t, reasons(c, a))
	}
	types := func() string {
		t.Helper()
		pages(t, c)
		var types []string
		for line := range bytes.Lines(textfileOf(c, func(f string) bool { return strings.HasPrefix(f, builtinPrefix) })) {
			if rest, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("# TYPE ")); ok && !bytes.HasPrefix(rest, []byte("scriptbridge_script")) && !bytes.HasPrefix(rest, []byte("scriptbridge_receiver")) {
				types = append(types, string(rest))
			}
		}
		return strings.Join(types, ", ")
	}
	check := func(want string) {
		t.Helper()
		for range 2 { // from the cache, too
			if got := types(); got != want {
				t.Errorf("types: %s, want %s", got, want)
			}
		}
	}
	put(stamped, set(h, "h_bucket", 1, "le", "1.0"), set(h, "h_bucket", 2, "le", "+Inf"), set(h, "h_sum", 3), set(h, "h_count", 2), set(s, "s", 3, "quantile", "0.50"), set(s, "s_sum", 3), set(s, "s_count", 1))
	check("g gauge, h histogram, s summary, scriptbridge_x gauge")
	put(stamped, set(h, "h_bucket", 2, "le", "+Inf"), set(s, "s", 3, "quantile", "0.5")) // node_exporter would give them a sum and a count
	check("g gauge, h_bucket untyped, s untyped, scriptbridge_x gauge")
	put(stamped, set(h, "h_bucket", 2, "le", "x"), set(s, "s", 3, "quantile", "y")) // for a word it would refuse all
	check("g gauge, h_bucket untyped, s untyped, scriptbridge_x gauge")
	put(set(h, "h_bucket", 1e20, "le", "+Inf"), set(h, "h_sum", 3), set(h, "h_count", 1e20), set(s, "s_sum", 3), set(s, "s_count", 1e20)) // more than it can count
	check("h_bucket untyped, h_sum untyped, h_count untyped, s_sum untyped, s_count untyped, scriptbridge_x gauge")
	put(set(&record.Meta{Name: "c_total", Type: record.Counter}, "c_total", -1), set(&record.Meta{Name: "i", Type: record.Info}, "i_info", 2)) // which OpenMetrics would not have
	check("c_total counter, i_info gauge, scriptbridge_x gauge")
	timer := &record.Meta{Name: "t", Type: record.Summary}
	_ = c.Put(partial(r, observe(timer, "t", 2, 0)))
	put()
	check("t summary, scriptbridge_x gauge")
	_ = c.Put(partial(r, observe(timer, "t", 2, 0.3), observe(timer, "u", 2, 1e20)))
	check("t summary, u untyped, u_sum untyped, u_count untyped, scriptbridge_x gauge")
}
