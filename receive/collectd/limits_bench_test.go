//go:build linux

package collectd

import (
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"scriptbridge/collector"
	"scriptbridge/receive/receiver"
	"scriptbridge/receive/receivertest"
	"scriptbridge/record"
)

// BenchmarkLimitValue takes the packets of one interval after the other, each with a
// value of every series, and puts them: of them alone, and as far as the page. The limit is
// of 0.93 µs a value in all, which is half of what collectd_exporter's process takes.
func BenchmarkLimitValue(b *testing.B) {
	for _, sink := range []struct {
		name string
		make func() record.Sink
	}{
		{"none", func() record.Sink { return record.Tee{} }},
		{"page", func() record.Sink { return collector.New(collector.Options{}) }},
	} {
		for _, series := range []int{1000, 10_000, 100_000, 1_000_000} {
			b.Run(fmt.Sprintf("sink=%s/series=%d", sink.name, series), func(b *testing.B) {
				if series > 100_000 && testing.Short() {
					b.Skip("it takes long")
				}
				benchmarkValues(b, sink.make(), series)
			})
		}
	}
}

func benchmarkValues(b *testing.B, sink record.Sink, series int) {
	source := &record.Source{Kind: record.Receiver, Name: "collectd", MaxSeries: series, Verbatim: true}
	types := make(typesDB)
	if err := types.read(strings.NewReader(receivertest.CollectdLoadTypes), "types.db"); err != nil {
		b.Fatal(err)
	}
	m := newMerge(source, new(receiver.Counts), 10*time.Second, time.Hour, types)
	var reader packetReader
	var rounds [2][][]byte
	for i := range rounds {
		rounds[i] = receivertest.CollectdLoad(b, series/receivertest.CollectdLoadValues, i)
	}
	values := 0
	round := func(packets [][]byte) {
		receivertest.RestampCollectd(packets, time.Now())
		for _, packet := range packets {
			reader.read(packet, m)
		}
		batches, _ := m.drain(time.Now())
		for _, batch := range batches {
			values += len(batch.Samples)
			if err := sink.Put(batch); err != nil {
				b.Fatal(err)
			}
		}
	}
	round(rounds[0]) // which makes the series
	least := max(1, 1_000_000/series)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	values = 0
	began := cpuTime(b)
	for b.Loop() {
		for i := range least {
			round(rounds[(i+1)%2])
		}
	}
	took := cpuTime(b) - began
	runtime.ReadMemStats(&after)
	if values != b.N*least*series {
		b.Fatalf("%d values were put, not %d", values, b.N*least*series)
	}
	b.ReportMetric(float64(took)/float64(values), "ns/value")
	b.ReportMetric(930, "ns/value-limit")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(values), "allocs/value")
}

// cpuTime is what this process has used.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
