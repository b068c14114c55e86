package collector

import (
	"runtime"
	"testing"
	"time"
)

// The memory of summaries is bounded, whatever they observe (docs/statsd.md,
// Overload, has the figures): here in every age of the window.
func TestSummaryMemory(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for _, c := range []struct {
		name   string
		values []float64
		most   uint64 // bytes of one summary
	}{
		{"two decades", []float64{0.001, 0.01, 0.1}, 3e3},
		{"nine decades", []float64{1e-9, 1}, 7e3},
		{"all there is", []float64{-1e300, -1, -1e-300, 1e-300, 1, 1e300}, 12e3},
	} {
		before := heap()
		all := make([]distribution, 500)
		for i := range all {
			all[i].bounds = boundsOf(nil)
			for age := range ages {
				for _, v := range c.values {
					all[i].observe(instant(time.Duration(age)*ageWidth), v, 1)
				}
			}
		}
		each := (heap() - before) / uint64(len(all))
		runtime.KeepAlive(all)
		if t.Logf("%s: %d bytes", c.name, each); each > c.most {
			t.Errorf("%s: a summary takes %d bytes, want %d at most", c.name, each, c.most)
		}
	}
}
