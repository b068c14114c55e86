package selfmetrics

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// page is a page of both formats, with the error; without the values of the process,
// which change from one look to the next.
func page(families []*dto.MetricFamily, err error) string {
	var buf bytes.Buffer
	for _, f := range families {
		_, _ = expfmt.MetricFamilyToText(&buf, f)
		_, _ = expfmt.MetricFamilyToOpenMetrics(&buf, f)
	}
	fmt.Fprintln(&buf, err)
	return regexp.MustCompile(`(?m)^((?:go|process)_\S+) .*$`).ReplaceAllString(buf.String(), "$1")
}

// unchecked describes nothing, so that nothing is held against it before it collects.
type unchecked func(ch chan<- prometheus.Metric)

func (unchecked) Describe(chan<- *prometheus.Desc)      {}
func (c unchecked) Collect(ch chan<- prometheus.Metric) { c(ch) }

// TestGather has every kind of metric gathered in both ways.
func TestGather(t *testing.T) {
	r := NewRegistry()
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "b_total", Help: "A \\ and a \"quote\",\nhelp: \"no\"."}, []string{"z", "a"})
	for i := range 20 {
		vec.WithLabelValues(fmt.Sprint(i%3), fmt.Sprint(i)).Add(float64(i))
	}
	histogram := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "c_seconds", Buckets: []float64{1, 2}})
	histogram.Observe(1.5)
	summary := prometheus.NewSummary(prometheus.SummaryOpts{Name: "d_seconds", Help: "D.", Objectives: map[float64]float64{0.5: 0.1}})
	summary.Observe(3)
	r.MustRegister(vec, histogram, summary,
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "a_total", Help: "Parts.", ConstLabels: prometheus.Labels{"of": "two"}}, func() float64 { return 2 }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "a_total", Help: "Parts.", ConstLabels: prometheus.Labels{"of": "one"}}, func() float64 { return 1 }),
		prometheus.NewUntypedFunc(prometheus.UntypedOpts{Name: "e", Help: "E."}, func() float64 { return 5 }),
		prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "f", Help: "Nothing yet."}, []string{"x"}))
	for range 2 { // with and without what is known of descriptions
		if r.gather() == nil {
			t.Fatal("this is left to the other way")
		}
		if diff := cmp.Diff(page(r.Registry.Gather()), page(r.Gather())); diff != "" {
			t.Errorf("another page than client_golang's: %s", diff)
		}
	}
}

// TestGatherOdd has what is odd told as client_golang tells it.
func TestGatherOdd(t *testing.T) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	gauge := func(d *prometheus.Desc, labels ...string) prometheus.Metric {
		return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, 1, labels...)
	}
	for name, collect := range map[string]func() []prometheus.Metric{
		"an error": func() []prometheus.Metric {
			return []prometheus.Metric{prometheus.NewInvalidMetric(desc("a", "A."), errors.New("on purpose"))}
		},
		"twins": func() []prometheus.Metric {
			return []prometheus.Metric{gauge(desc("a", "A.", "l"), "x"), gauge(desc("a", "A.", "l"), "y"), gauge(desc("a", "A.", "l"), "x")}
		},
		"two types": func() []prometheus.Metric {
			return []prometheus.Metric{gauge(desc("a", "A.", "l"), "x"), prometheus.MustNewConstMetric(desc("a", "A.", "l"), prometheus.CounterValue, 1, "y")}
		},
		"two texts": func() []prometheus.Metric {
			return []prometheus.Metric{gauge(desc("a", "A.", "l"), "x"), gauge(desc("a", "B.", "l"), "y")}
		},
		"no description": func() []prometheus.Metric {
			return []prometheus.Metric{prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(errors.New("on purpose")), errors.New("on purpose"))}
		},
		"a panic": func() []prometheus.Metric { panic("on purpose") },
	} {
		t.Run(name, func(t *testing.T) {
			r := NewRegistry()
			r.MustRegister(unchecked(func(ch chan<- prometheus.Metric) {
				for _, m := range collect() {
					ch <- m
				}
			}))
			families, err := r.Gather()
			if err == nil || len(families) == 0 {
				t.Fatalf("%d families, error %v", len(families), err)
			}
			stack := regexp.MustCompile(`(?s)stack trace=.*`)
			wanted, wantedErr := r.Registry.Gather()
			if got, want := stack.ReplaceAllString(page(families, err), ""), stack.ReplaceAllString(page(wanted, wantedErr), ""); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestGatherMore has a collector that all at once gives more than there is room for.
func TestGatherMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRegistry()
		count := 1
		many := prometheus.NewDesc("many", "Many.", []string{"i"}, nil)
		r.MustRegister(unchecked(func(ch chan<- prometheus.Metric) {
			for i := range count {
				ch <- prometheus.MustNewConstMetric(many, prometheus.GaugeValue, 1, fmt.Sprint(i))
			}
		}))
		for _, count = range []int{1, 100 * minRoom, 3, 100 * minRoom} {
			families, err := r.Gather()
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range families {
				if f.GetName() == "many" && len(f.Metric) != count {
					t.Errorf("%d of %d series", len(f.Metric), count)
				}
			}
		}
	})
}
