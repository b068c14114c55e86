package collector

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"scriptbridge/record"
)

// timers makes a batch of n observations, of as many series, spread over about
// three decades.
func timers(meta *record.Meta, series, n int, weight float64) *record.Batch {
	random := rand.New(rand.NewPCG(1, 2))
	b := partial(statsd("statsd", 0))
	for i := range n {
		b.Samples = append(b.Samples, observe(meta, "took_seconds", random.ExpFloat64()/10, weight, "path", fmt.Sprintf("/path/%d", i%series)))
	}
	return b
}

// BenchmarkObserve puts 1000 observations of 100 series in one batch, of
// weight 1 and of ten million.
func BenchmarkObserve(b *testing.B) {
	for _, meta := range []*record.Meta{summaryMeta, histogramMeta} {
		for _, weight := range []float64{1, 1e7} {
			b.Run(fmt.Sprintf("%s/weight=%g", boundsOf(meta).kind, weight), func(b *testing.B) {
				c, batch := New(Options{}), timers(meta, 100, 1000, weight)
				b.ReportAllocs()
				for b.Loop() {
					_ = c.Put(batch)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*1000), "ns/observation")
			})
		}
	}
}

// BenchmarkObservedPage renders 1000 summaries that have all changed, with
// observations in all ages of the window.
func BenchmarkObservedPage(b *testing.B) {
	c, batch := New(Options{}), timers(summaryMeta, 1000, 100_000, 1)
	_ = c.Put(batch)
	for _, s := range c.sources {
		for se := range s.series.All {
			for i, w := 1, &se.distribution().window; i < ages; i++ {
				same := *w[0]
				w[i], same.ends = &same, never
			}
		}
	}
	for b.Loop() {
		for _, s := range c.sources {
			for se := range s.series.All {
				se.distribution().stale = true
				c.layout.touch(se.block)
			}
		}
		c.layout.page(variant{})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*1000), "ns/summary")
}

// BenchmarkObservedMemory tells how much memory a distribution takes whose
// window has been full of observations, 100 in each age, for its whole length.
func BenchmarkObservedMemory(b *testing.B) {
	for _, meta := range []*record.Meta{summaryMeta, histogramMeta} {
		b.Run(boundsOf(meta).kind.String(), func(b *testing.B) {
			const series = 1000
			batch := timers(meta, series, 100*series, 1)
			for b.Loop() {
				before := heap()
				c := New(Options{})
				for range ages { // the clock is set, not waited for
					_ = c.Put(batch)
					c.start = c.start.Add(-ageWidth)
				}
				b.ReportMetric(float64(heap()-before)/series, "B/distribution")
				runtime.KeepAlive(c)
			}
			runtime.KeepAlive(batch)
		})
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
