package collector

import (
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"

	"scriptbridge/record"
)

// Exactly the names that the registry has are ours, with their parts, and not
// all that begin like them.
func TestProcessNames(t *testing.T) {
	registry := prometheus.NewRegistry()
	later := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "promhttp_scrapes_total", Help: "Shown when there was one."}, []string{"code"})
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), later)
	c, lines := New(Options{Registry: registry}), new(lockedLog)
	c.logger = lines
	a := verbatim("a", 1)
	_ = c.Put(whole(a,
		set(nil, "process_count", 1), set(nil, "process_cpu_percent", 2), set(nil, "go_foo", 3), set(nil, "go_goroutines_count", 4), set(nil, "promhttp_x", 5), set(nil, "late_seconds", 6),
		set(counterMeta, "process_cpu_seconds_total", 1), set(gaugeMeta, "process_cpu_seconds", 1), set(nil, "process_cpu_seconds_created", 1), set(nil, "go_goroutines", 1),
		set(nil, "go_gc_duration_seconds_count", 1), set(gaugeMeta, "go_gc_duration_seconds", 1), set(gaugeMeta, "promhttp_scrapes", 1), set(gaugeMeta, "promhttp_scrapes_total", 1), set(nil, "scriptbridge_x", 1)))
	want(t, shown(c, a), `go_foo{script="a"} 3`, `go_goroutines_count{script="a"} 4`, `late_seconds{script="a"} 6`, `process_count{script="a"} 1`, `process_cpu_percent{script="a"} 2`, `promhttp_x{script="a"} 5`)
	const remedy = "; give the script another `prefix`, or the metric another name under `metrics`"
	texts := refusalTexts(c, a)
	want(t, texts,
		"process_cpu_seconds_total: scriptbridge shows process_cpu_seconds_total of its own process"+remedy,
		"process_cpu_seconds: scriptbridge shows process_cpu_seconds_total of its own process, which leaves no room for process_cpu_seconds"+remedy,
		"process_cpu_seconds_created: scriptbridge shows process_cpu_seconds_total of its own process, which leaves no room for process_cpu_seconds_created"+remedy,
		"go_goroutines: scriptbridge shows go_goroutines of its own process"+remedy,
		"go_gc_duration_seconds_count: scriptbridge shows go_gc_duration_seconds of its own process, which leaves no room for go_gc_duration_seconds_count"+remedy,
		"go_gc_duration_seconds: scriptbridge shows go_gc_duration_seconds of its own process"+remedy,
		"promhttp_scrapes: scriptbridge shows promhttp_scrapes_total of its own process, which leaves no room for promhttp_scrapes"+remedy,
		"promhttp_scrapes_total: scriptbridge shows promhttp_scrapes_total of its own process"+remedy,
		"scriptbridge_x: scriptbridge_x begins with scriptbridge_, as what scriptbridge says of itself and its sources"+remedy)

	// The remedy works, and is another one for who has no configuration.
	prefixed := verbatim("p", 2)
	prefixed.Prefix = "app"
	_ = c.Put(whole(prefixed, set(counterMeta, "process_cpu_seconds_total", 7)))
	want(t, shown(c, prefixed), `app_process_cpu_seconds_total{script="p"} 7`)
	receiver := &record.Source{Kind: record.Receiver, Name: "statsd", Rank: 3}
	_ = c.Put(&record.Batch{Source: receiver, Samples: []record.Sample{set(gaugeMeta, "process.open_fds", 1), set(gaugeMeta, "process.num", 2)}})
	want(t, shown(c, receiver), `process_num 2`)
	want(t, refusalTexts(c, receiver), "process.open_fds: scriptbridge shows process_open_fds of its own process; send it by another name")

	// A family that was not even described: who was first has the name.
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "late_seconds"}, func() float64 { return 9 }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "go_later"}, func() float64 { return 10 }))
	later.WithLabelValues("200").Inc()
	for range 2 {
		page := string(get(t, c, expfmt.FmtText, false))
		for _, line := range []string{"late_seconds{script=\"a\"} 6\n", "promhttp_scrapes_total{code=\"200\"} 1\n", "go_later 10\n", "process_count{script=\"a\"} 1\n"} {
			if !strings.Contains(page, line) {
				t.Errorf("the page has no %s", line)
			}
		}
		if strings.Contains(page, "late_seconds 9") {
			t.Error("late_seconds is there twice")
		}
	}
	lines.lines = slices.DeleteFunc(lines.lines, func(line string) bool { return strings.HasPrefix(line, "level warn") })
	want(t, lines.lines, "level error msg some process-wide metrics are left out of the page err late_seconds: a source has this name")
	_ = c.Put(whole(prefixed, set(nil, "x", 1)))
	_ = c.Put(whole(a, set(nil, "go_later", 1)))
	want(t, reasons(c, a), "go_later: reserved")
	if page := string(get(t, c, expfmt.FmtText, false)); !strings.Contains(page, "late_seconds 9\n") {
		t.Error("late_seconds is not there, though nobody else has it any more")
	}
}

// refusalTexts are what was said of the last batch.
func refusalTexts(c *Collector, s *record.Source) []string {
	first, _ := c.Refusals(s.Kind, s.Name)
	var texts []string
	for _, r := range first {
		texts = append(texts, r.Metric+": "+r.Text)
	}
	return texts
}
