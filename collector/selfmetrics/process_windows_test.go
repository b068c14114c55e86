package selfmetrics

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"scriptbridge/internal/testkit"
)

// TestProcess: the series are those of Linux, but for a limit of memory, which there is
// none of. A descriptor is a handle here.
func TestProcess(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(newProcessCollector())
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, f := range families {
		m := f.Metric[0]
		all[f.GetName()] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
	}
	want := []string{
		"process_cpu_seconds_total", "process_max_fds", "process_open_fds", "process_resident_memory_bytes", "process_start_time_seconds", "process_virtual_memory_bytes",
	}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(all))); diff != "" {
		t.Errorf("series: %s", diff)
	}
	if all["process_start_time_seconds"] < 1.7e9 || all["process_resident_memory_bytes"] < 1<<20 {
		t.Errorf("values: %v", all)
	}
	if !testkit.Wine() && (all["process_open_fds"] < 3 || all["process_virtual_memory_bytes"] < 1<<20) { // of these Wine 8 knows nothing
		t.Errorf("values: %v", all)
	}
}
