//go:build linux

package statsd

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"scriptbridge/receive/receiver"
	"scriptbridge/receive/receivertest"
	"scriptbridge/record"
)

// limitMerge has room for all series of a benchmark.
func limitMerge(b *testing.B) *merge {
	b.Helper()
	mapping, err := parseMapping("", nil, time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	return newMerge(&record.Source{Kind: record.Receiver, Name: "statsd", Verbatim: true, MaxSeries: 2_000_000}, mapping, new(receiver.Counts), epoch)
}

// cpuTime is what this process has used, user and system.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkLimitLine parses and merges lines of known series, of each the same number
// between two flushes. The limit is that of all lines: 3 million a second on a core.
func BenchmarkLimitLine(b *testing.B) {
	for _, lines := range []int{1, 20} {
		for _, series := range []int{1000, 10_000, 100_000, 1_000_000} {
			b.Run(fmt.Sprintf("lines=%d/series=%d", lines, series), func(b *testing.B) {
				if series > 100_000 && testing.Short() {
					b.Skip("it takes long")
				}
				m := limitMerge(b)
				packets := receivertest.StatsDLoad(series, lines)
				round := func() {
					for _, packet := range packets {
						m.packet(packet, epoch)
					}
				}
				round() // which makes the series
				m.flush(epoch)
				var took time.Duration
				var allocated uint64
				var before, after runtime.MemStats
				taken := 0
				for b.Loop() {
					for range max(1, 1_000_000/series) {
						runtime.ReadMemStats(&before)
						began := cpuTime(b)
						round()
						took += cpuTime(b) - began
						runtime.ReadMemStats(&after)
						allocated += after.Mallocs - before.Mallocs
						taken += len(packets) * lines
						m.flush(epoch)
					}
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(float64(took)/float64(taken), "ns/line")
				b.ReportMetric(333, "ns/line-limit")
				b.ReportMetric(float64(allocated/uint64(taken)), "allocs/line")
				b.ReportMetric(0, "allocs/line-limit")
			})
		}
	}
}

// BenchmarkLimitSeries is what the receiver keeps of a series between two flushes, beside
// the collector: of each kind, with a name that many share and two tags of its own.
func BenchmarkLimitSeries(b *testing.B) {
	const series = 100_000
	for _, kind := range []string{"c", "g", "ms", "s"} {
		b.Run("kind="+kind, func(b *testing.B) {
			for b.Loop() {
				m := limitMerge(b)
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				for i := range series {
					m.packet(fmt.Appendf(nil, "web.requests.n%d:7|%s|#route:r%d,code:200", i%50, kind, i), epoch)
				}
				m.flush(epoch)
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/series, "B/series")
				runtime.KeepAlive(m)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}
