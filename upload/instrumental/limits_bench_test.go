//go:build linux

package instrumental

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"scriptbridge/internal/testkit"
	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// TestLimitPeer is the other end of the benchmarks below: it takes all, as fast as
// it can.
func TestLimitPeer(t *testing.T) {
	testkit.Peer(t, func(l net.Listener) {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				for range 2 { // hello, authenticate
					_, _ = in.ReadString('\n')
				}
				_, _ = io.WriteString(conn, "ok\nok\n")
				_, _ = io.Copy(io.Discard, in)
			}()
		}
	})
}

// limitSeries is what a script of the benchmarks prints.
const limitSeries = 1000

// limitBatch is what a script prints in a minute: of ten samples, nine are gauges with a
// dimension, and one is added up.
func limitBatch(minute, script, scripts, n int) *record.Batch {
	b := &record.Batch{
		Source: &record.Source{Kind: record.Script, Name: fmt.Sprintf("script-%03d", script)},
		Time:   noon.Add(time.Duration(minute)*time.Minute + time.Duration(script*55/scripts)*time.Second),
	}
	shared := &record.Meta{ID: "0", Name: "Traffic", Unit: "b/s", Datatype: "GAUGE", Calctype: "Instant"}
	for i := range n {
		s := record.Sample{
			Name: shared.Name, Meta: shared, Value: float64(uint32(minute*1000003+script*1000+i)*2654435761>>12) / 100, // six digits or so
			Labels: []record.Label{{Name: "interface", Value: fmt.Sprintf("interface-%04d", i)}},
		}
		if i%10 == 9 {
			s.Name, s.Meta, s.Op = "requests", nil, record.Add
		}
		b.Samples = append(b.Samples, s)
	}
	return b
}

func limitUploader(tb testing.TB) (u *Uploader, path string) {
	path = filepath.Join(tb.TempDir(), "instrumental")
	s, err := spool.Open(spool.Options{Path: path, MaxBytes: 4 << 30})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return newUploader(uploaderOptions{
		Collector: &collectorClient{Address: testkit.StartPeer(tb, "TestLimitPeer"), Host: "web-1", Key: func() (string, error) { return "token", nil }},
		Host:      "web-1", Spool: s,
	}), path
}

// putMinute puts what scripts print in a minute, so many samples, and gives the
// processor time that Put takes.
func putMinute(tb testing.TB, u *Uploader, minute, samples int) (cpu time.Duration) {
	n := min(samples, limitSeries)
	for script := range samples / n {
		batch := limitBatch(minute, script, samples/n, n)
		begin := testkit.CPUTime()
		if err := u.Put(batch); err != nil {
			tb.Fatal(err)
		}
		cpu += testkit.CPUTime() - begin
	}
	return cpu
}

// sendAll sends all that is queued.
func sendAll(tb testing.TB, u *Uploader) (cpu time.Duration) {
	begin := testkit.CPUTime()
	if err := u.send(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	if left := u.Stats().Entries; left > 0 {
		tb.Fatalf("%d entries are left", left)
	}
	return testkit.CPUTime() - begin
}

// BenchmarkLimitUpload is the processor time of a minute's whole life, by the minute
// that it lasts: into the spool, out of it, sent, and removed.
func BenchmarkLimitUpload(b *testing.B) {
	for _, samples := range []int{1000, 10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("samples=%d", samples), func(b *testing.B) {
			if samples > 100_000 && testing.Short() {
				b.Skip("it takes long")
			}
			u, _ := limitUploader(b)
			var cpu time.Duration
			var disk int64
			minute := 0
			rest := testkit.RestMemory(b)
			for b.Loop() {
				cpu += putMinute(b, u, minute, samples)
				minute++
				disk = u.Stats().Bytes
				cpu += sendAll(b, u)
			}
			above := testkit.PeakMemory(b) - rest
			core := cpu.Seconds() / float64(b.N) / time.Minute.Seconds()
			b.ReportMetric(100*core, "%core")
			b.ReportMetric(core*60e6/float64(samples), "µs/sample")
			b.ReportMetric(float64(disk)/float64(samples), "B/sample")
			b.ReportMetric(float64(above)/(1<<20), "MiB-more")
			if samples == 100_000 {
				b.ReportMetric(3, "%core-limit")
				b.ReportMetric(30, "MiB-more-limit")
			}
		})
	}
}

// BenchmarkLimitCatchUp is how long it takes to send what an hour's outage has left
// of 100,000 samples a minute. Its short form has a tenth of that.
func BenchmarkLimitCatchUp(b *testing.B) {
	for _, minutes := range []int{6, 60} {
		b.Run(fmt.Sprintf("samples=%d", minutes*100_000), func(b *testing.B) {
			if minutes == 60 && testing.Short() {
				b.Skip("it takes long")
			}
			benchmarkCatchUp(b, minutes)
		})
	}
}

func benchmarkCatchUp(b *testing.B, minutes int) {
	const samples = 100_000
	u, path := limitUploader(b)
	var cpu, wall time.Duration
	var disk, size, above int64
	for b.Loop() {
		b.StopTimer()
		for minute := range minutes {
			putMinute(b, u, minute, samples)
		}
		disk = u.Stats().Bytes
		info, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		size = info.Size()
		rest := testkit.RestMemory(b)
		b.StartTimer()
		began := time.Now()
		cpu += sendAll(b, u)
		wall += time.Since(began)
		above = max(above, testkit.PeakMemory(b)-rest)
	}
	hour := 60 / float64(minutes) / float64(b.N)
	b.ReportMetric(wall.Seconds()*hour, "s/hour")
	b.ReportMetric(60, "s/hour-limit")
	b.ReportMetric(cpu.Seconds()*hour, "cpu-s/hour")
	b.ReportMetric(float64(disk)/float64(minutes*samples), "B/sample")
	b.ReportMetric(float64(size)/float64(minutes*samples), "file-B/sample")
	b.ReportMetric(float64(above)/(1<<20), "MiB-more")
	b.ReportMetric(30, "MiB-more-limit")
}
