package selfmetrics

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// TestProcess holds the series against those of client_golang's collector, whose
// network counters are left out.
func TestProcess(t *testing.T) {
	type series struct {
		Help  string
		Value float64
	}
	of := func(c prometheus.Collector) map[string]series {
		r := prometheus.NewPedanticRegistry() // what is collected must be described
		r.MustRegister(c)
		families, err := r.Gather()
		if err != nil {
			t.Fatal(err)
		}
		all := make(map[string]series)
		for _, f := range families {
			m := f.Metric[0]
			all[f.GetName()] = series{f.GetHelp(), m.GetGauge().GetValue() + m.GetCounter().GetValue()}
		}
		return all
	}
	mine, whole := of(newProcessCollector()), of(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	delete(whole, "process_network_receive_bytes_total")
	delete(whole, "process_network_transmit_bytes_total")
	if len(whole) != 7 {
		t.Fatalf("client_golang has %d series", len(whole))
	}
	for _, name := range []string{"process_cpu_seconds_total", "process_resident_memory_bytes", "process_virtual_memory_bytes"} {
		m, w := mine[name], whole[name]
		if m.Value < w.Value/2-0.1 || m.Value > w.Value*2+0.1 {
			t.Errorf("%s is %v, and %v by client_golang", name, m.Value, w.Value)
		}
		m.Value = w.Value // they change from one look to the next
		mine[name] = m
	}
	if diff := cmp.Diff(whole, mine); diff != "" {
		t.Errorf("other series than client_golang's: %s", diff)
	}
}

// TestProcessStart: without the time of the start, all else is there.
func TestProcessStart(t *testing.T) {
	c := newProcessCollector().(processCollector)
	c.start = nil
	metrics := make(chan prometheus.Metric, 10)
	c.Collect(metrics)
	if close(metrics); len(metrics) != 6 {
		t.Errorf("%d series", len(metrics))
	}
}

// TestCountFDs counts where the kernel does not tell, as before Linux 6.2: the
// size of this folder is 0.
func TestCountFDs(t *testing.T) {
	f, err := os.Open("/proc/self/fdinfo")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	told := newProcessCollector().(processCollector)
	want, err := told.countFDs()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := (processCollector{fds: f}).countFDs(); err != nil || n != want {
		t.Errorf("%d open files, error %v; the kernel says %d", n, err, want)
	}
}
