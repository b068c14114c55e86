package collector

import (
	"fmt"
	"testing"

	"scriptbridge/internal/testkit"
)

// BenchmarkTextfile makes the page for node_exporter, of 100 000 series, after so
// many of 1 000 scripts have run again.
func BenchmarkTextfile(b *testing.B) {
	for _, changed := range []int{0, 1, 250, 1000} {
		b.Run(fmt.Sprintf("changed=%d", changed), func(b *testing.B) {
			c, batches := load{scripts: 1000, metrics: 10, dims: 10}.fill(nil)
			c.Textfile(nil)
			b.ReportAllocs()
			begin := testkit.CPUTime()
			for b.Loop() {
				for _, batch := range batches[:changed] {
					for i := range batch.Samples {
						batch.Samples[i].Value++
					}
					_ = c.Put(batch)
				}
				size := 0
				for piece := range c.Textfile(nil) {
					size += len(piece)
				}
				b.SetBytes(int64(size))
			}
			b.ReportMetric(float64(testkit.CPUTime()-begin)/float64(b.N), "cpu-ns/op")
		})
	}
}
