//go:build linux

package coscale

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	api "scriptbridge/coscale"
	"scriptbridge/internal/testkit"
	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// TestLimitPeer is the other end of the benchmarks below: it takes all, as fast as
// it can.
func TestLimitPeer(t *testing.T) {
	var id atomic.Int64
	testkit.Peer(t, func(l net.Listener) {
		_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			switch {
			case strings.HasSuffix(r.URL.Path, "/login/"):
				_, _ = io.WriteString(w, `{"token":"session"}`)
			case strings.HasSuffix(r.URL.Path, "/data/"):
				_, _ = io.WriteString(w, `{"msg":"all stored"}`)
			default:
				_, _ = fmt.Fprintf(w, `{"id":%d}`, id.Add(1))
			}
		}))
	})
}

// What a script of the benchmarks prints: of ten samples, seven are of one metric
// with a dimension; the others are metrics of their own: gauges, differences, and
// what is added up for a rate.
const (
	limitSeries = 1000
	mixedKinds  = "DDDDDDDMFR"
)

// limitBatch is what a script prints in a slot: n samples of these kinds.
func limitBatch(kinds string, slot, script, scripts, n int) *record.Batch {
	b := &record.Batch{
		Source: &record.Source{Kind: record.Script, Name: fmt.Sprintf("script-%03d", script)},
		Time:   time.Unix(outageBegin+60*int64(slot)+int64(script*55/scripts), 0),
	}
	meta := func(id int, name, calctype string) *record.Meta {
		return &record.Meta{ID: fmt.Sprint(id), Name: name, Unit: "b/s", Datatype: "GAUGE", Calctype: calctype, Rare: &record.Rare{Groups: "Network"}}
	}
	shared := meta(0, fmt.Sprintf("Traffic %d", script), "Instant")
	for i := range n {
		s := record.Sample{Value: float64(uint32(slot*1000003+script*1000+i)*2654435761>>12) / 100} // six digits or so
		name := fmt.Sprintf("Metric %d of script %d", i, script)
		switch kinds[i%len(kinds)] {
		case 'D':
			s.Meta, s.Labels = shared, []record.Label{{Name: "interface", Value: fmt.Sprintf("interface-%04d", i)}}
		case 'M':
			s.Meta = meta(i, name, "Instant")
		case 'F':
			s.Meta = meta(i, name, "Difference")
		case 'R':
			s.Name, s.Op = name, record.Add
		}
		if s.Meta != nil {
			s.Name = s.Meta.Name
		}
		b.Samples = append(b.Samples, s)
	}
	return b
}

func limitUploader(tb testing.TB) (u *Uploader, path string) {
	path = filepath.Join(tb.TempDir(), "coscale")
	s, err := spool.Open(spool.Options{Path: path, MaxBytes: 4 << 30})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	u, err = newUploader(uploaderOptions{
		Client: api.NewClient(api.ClientOptions{
			URL: "http://" + testkit.StartPeer(tb, "TestLimitPeer"), AppID: "app", Token: func() (string, error) { return "token", nil },
		}),
		Server: "web-1", Interval: time.Minute, Spool: s,
	})
	if err != nil {
		tb.Fatal(err)
	}
	u.tidied = time.Now() // the values are of former times
	return u, path
}

// putSlot puts what scripts print in a slot, so many samples, and gives the
// processor time that Put takes.
func putSlot(tb testing.TB, u *Uploader, kinds string, slot, samples int) (cpu time.Duration) {
	n := min(samples, limitSeries)
	for script := range samples / n {
		batch := limitBatch(kinds, slot, script, samples/n, n)
		begin := testkit.CPUTime()
		if err := u.Put(batch); err != nil {
			tb.Fatal(err)
		}
		cpu += testkit.CPUTime() - begin
	}
	return cpu
}

// warm has objects made, and gives differences a beginning; slots go on with the one
// it gives.
func warm(tb testing.TB, u *Uploader, kinds string, samples int) (slot int) {
	for ; slot < 2; slot++ {
		putSlot(tb, u, kinds, slot, samples)
		catchUp(tb, u)
	}
	return slot
}

// BenchmarkLimitUpload is the processor time of a slot's whole life, by the minute
// that it lasts: into the spool, out of it, sent, and removed.
func BenchmarkLimitUpload(b *testing.B) {
	for _, samples := range []int{1000, 10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("samples=%d", samples), func(b *testing.B) {
			if samples > 100_000 && testing.Short() {
				b.Skip("it takes long")
			}
			benchmarkUpload(b, mixedKinds, samples)
		})
	}
}

// BenchmarkUpload is BenchmarkLimitUpload of each kind of samples alone. Its short form has
// a tenth of them: objects are made for all.
func BenchmarkUpload(b *testing.B) {
	samples := 100_000
	if testing.Short() {
		samples /= 10
	}
	for _, kind := range []string{"D", "M", "F", "R"} {
		b.Run("kind="+kind, func(b *testing.B) { benchmarkUpload(b, kind, samples) })
	}
}

func benchmarkUpload(b *testing.B, kinds string, samples int) {
	u, _ := limitUploader(b)
	slot := warm(b, u, kinds, samples)
	var cpu time.Duration
	var disk int64
	rest := testkit.RestMemory(b)
	for b.Loop() {
		cpu += putSlot(b, u, kinds, slot, samples)
		slot++
		disk = u.Stats().Bytes
		begin := testkit.CPUTime()
		catchUp(b, u)
		cpu += testkit.CPUTime() - begin
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
}

// BenchmarkLimitCatchUp is how long it takes to send what an hour's outage has left
// of 100,000 samples a minute. Its short form has a tenth of that.
func BenchmarkLimitCatchUp(b *testing.B) {
	for _, slots := range []int{6, 60} {
		b.Run(fmt.Sprintf("samples=%d", slots*100_000), func(b *testing.B) {
			if slots == 60 && testing.Short() {
				b.Skip("it takes long")
			}
			benchmarkCatchUp(b, mixedKinds, slots)
		})
	}
}

func benchmarkCatchUp(b *testing.B, kinds string, slots int) {
	const samples = 100_000
	u, path := limitUploader(b)
	slot := warm(b, u, kinds, samples)
	var cpu, wall time.Duration
	var disk, size, above int64
	for b.Loop() {
		b.StopTimer()
		for range slots {
			putSlot(b, u, kinds, slot, samples)
			slot++
		}
		disk = u.Stats().Bytes
		info, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		size = info.Size()
		rest := testkit.RestMemory(b)
		b.StartTimer()
		began, begin := time.Now(), testkit.CPUTime()
		catchUp(b, u)
		wall, cpu = wall+time.Since(began), cpu+testkit.CPUTime()-begin
		above = max(above, testkit.PeakMemory(b)-rest)
	}
	hour := 60 / float64(slots) / float64(b.N)
	b.ReportMetric(wall.Seconds()*hour, "s/hour")
	b.ReportMetric(60, "s/hour-limit")
	b.ReportMetric(cpu.Seconds()*hour, "cpu-s/hour")
	b.ReportMetric(float64(disk)/float64(slots*samples), "B/sample")
	b.ReportMetric(float64(size)/float64(slots*samples), "file-B/sample")
	b.ReportMetric(float64(above)/(1<<20), "MiB-more")
	b.ReportMetric(30, "MiB-more-limit")
}
