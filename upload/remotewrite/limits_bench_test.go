//go:build linux

package remotewrite

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/exp/api/remote"
	writev2 "github.com/prometheus/client_golang/exp/api/remote/genproto/v2"
	"google.golang.org/protobuf/proto"

	"scriptbridge/collector"
	"scriptbridge/internal/testkit"
	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// takesAll is a destination of remote write 2.0, by the library's own handler.
type takesAll struct{}

func (takesAll) Store(r *http.Request, _ remote.WriteMessageType) (*remote.WriteResponse, error) {
	answer := remote.NewWriteResponse()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return answer, err
	}
	var m writev2.Request
	if err := proto.Unmarshal(body, &m); err != nil {
		return answer, err
	}
	answer.Add(remote.WriteResponseStats{Samples: len(m.Timeseries)})
	return answer, nil
}

// TestLimitPeer is the other end of the benchmark below.
func TestLimitPeer(t *testing.T) {
	testkit.Peer(t, func(l net.Listener) {
		_ = http.Serve(l, remote.NewWriteHandler(takesAll{}, remote.MessageTypes{remote.WriteV2MessageType}))
	})
}

// What is put each minute: by scripts of a thousand series, of which some are alone in
// their family and most are told apart by a label.
const limitSeries = 1000

// limitScript is a script of so many series, and what it says at each run.
type limitScript struct {
	source *record.Source
	metas  []*record.Meta
	n      int
}

func newLimitScript(at, n int) *limitScript {
	s := &limitScript{source: &record.Source{Kind: record.Script, Name: fmt.Sprintf("script-%03d", at), Rank: at, Prefix: "coscale"}, n: n}
	for i := range max(n/100, 1) {
		s.metas = append(s.metas, &record.Meta{ID: fmt.Sprint(i), Name: fmt.Sprintf("Traffic %d", i), Unit: "b/s", Datatype: "GAUGE", Calctype: "Instant"})
	}
	return s
}

func (s *limitScript) batch(minute int, at time.Time) *record.Batch {
	b := &record.Batch{Source: s.source, Time: at, Complete: true, Run: &record.Run{
		Result: record.OK, Start: at.Add(-20 * time.Millisecond), Duration: 20 * time.Millisecond, Interval: time.Minute, Timeout: time.Minute,
	}}
	for i := range s.n {
		meta := s.metas[i%len(s.metas)]
		b.Samples = append(b.Samples, record.Sample{
			Name: meta.Name, Meta: meta, Labels: []record.Label{{Name: "interface", Value: fmt.Sprintf("interface-%04d", i/len(s.metas))}},
			Value: float64(uint32(minute*1000003+s.source.Rank*1000+i)*2654435761>>12) / 100, // six digits or so
		})
	}
	return b
}

// BenchmarkLimitRemoteWrite is the processor time of a minute in which each series has a
// new value: onto the page and from there into the spool, and second by second out of it
// to a destination of 2.0, with the two looks at the page for what nobody renews. Of that,
// page-%core is what the page takes with no upload at all.
func BenchmarkLimitRemoteWrite(b *testing.B) {
	for _, n := range []int{1000, 10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("series=%d", n), func(b *testing.B) {
			if n == 1_000_000 && testing.Short() {
				b.Skip("it takes long")
			}
			benchmarkRemoteWrite(b, n)
		})
	}
}

// limitLab is an uploader with the page that it sends, and the scripts that speak.
type limitLab struct {
	*Uploader
	b       *testing.B
	page    *collector.Collector
	scripts []*limitScript
	begin   time.Time
	minute  int
	ofPage  time.Duration // CPU time of the page alone
	all     time.Duration
}

func newLimitLab(b *testing.B, series int) *limitLab {
	s, err := spool.Open(spool.Options{Path: filepath.Join(b.TempDir(), "remote_write"), MaxBytes: 4 << 30})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	d, err := newDestination("http://"+testkit.StartPeer(b, "TestLimitPeer")+"/api/v1/write", &http.Client{Transport: http.DefaultTransport}, "", time.Minute)
	if err != nil {
		b.Fatal(err)
	}
	l := &limitLab{b: b, page: collector.New(collector.Options{}), begin: time.Now().Add(-24 * time.Hour)}
	l.Uploader = newUploader(options{
		Destination: d, Reader: newReader(map[string]string{"job": "scriptbridge", "instance": "web-1"}, nil), Page: l.page,
		Interval: 48 * time.Hour, Spool: s, Logger: log.NewNopLogger(), // the runs are of yesterday
	})
	for left := series; left > 0; left -= limitSeries {
		l.scripts = append(l.scripts, newLimitScript(len(l.scripts), min(left, limitSeries)))
	}
	return l
}

// puts has each script run once, and calls each second.
func (l *limitLab) puts(second func()) {
	n := len(l.scripts)
	for i, script := range l.scripts {
		batch := script.batch(l.minute, l.begin.Add(time.Duration(l.minute)*time.Minute+time.Duration(i*60/n)*time.Second))
		from := testkit.CPUTime()
		if err := l.page.Put(batch); err != nil {
			l.b.Fatal(err)
		}
		l.ofPage += testkit.CPUTime() - from
		with := *batch
		with.Shown = l.page.Shown(batch.Source, false)
		if err := l.Put(&with); err != nil {
			l.b.Fatal(err)
		}
		if i == n-1 || (i+1)*60/n > i*60/n {
			second()
		}
		l.all += testkit.CPUTime() - from
	}
	l.minute++
}

func (l *limitLab) sends() {
	if err := l.drain(context.Background()); err != nil {
		l.b.Fatal(err)
	}
}

// looks is what renewAll does in a minute.
func (l *limitLab) looks() {
	from := testkit.CPUTime()
	for range 2 {
		for _, source := range l.page.Sources() {
			if err := l.renew(nameOf(source), func() *record.Shown { return l.page.Shown(source, false) }); err != nil {
				l.b.Fatal(err)
			}
		}
	}
	l.all += testkit.CPUTime() - from
}

func benchmarkRemoteWrite(b *testing.B, series int) {
	l := newLimitLab(b, series)
	for range 2 { // series are made
		l.puts(l.sends)
	}
	l.ofPage, l.all = 0, 0
	rest := testkit.RestMemory(b)
	sent := l.Stats().Sent
	for b.Loop() {
		l.puts(l.sends)
		l.looks()
	}
	above := testkit.PeakMemory(b) - rest
	stats := l.Stats()
	if sent = stats.Sent - sent; stats.Items > 0 || stats.Refused > 0 || stats.Dropped > 0 || sent < uint64(series*b.N) {
		b.Fatalf("%+v", stats)
	}
	core := l.all.Seconds() / float64(b.N) / time.Minute.Seconds()
	b.ReportMetric(100*core, "%core")
	b.ReportMetric(100*l.ofPage.Seconds()/float64(b.N)/time.Minute.Seconds(), "page-%core")
	b.ReportMetric(l.all.Seconds()*1e6/float64(sent), "µs/sample")
	b.ReportMetric(float64(above)/(1<<20), "MiB-more")
	if series == 100_000 {
		b.ReportMetric(5, "%core-limit")
	}
}

// BenchmarkLimitCatchUp is how long it takes to send what an hour's outage has left
// of 100,000 series a minute. Its short form has a tenth of that.
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
	l := newLimitLab(b, 100_000)
	l.puts(l.sends)
	var wall, cpu time.Duration
	var disk, above int64
	for b.Loop() {
		b.StopTimer()
		for range minutes {
			l.puts(func() {})
		}
		disk = l.Stats().Bytes
		rest := testkit.RestMemory(b)
		b.StartTimer()
		began, begin := time.Now(), testkit.CPUTime()
		l.sends()
		wall, cpu = wall+time.Since(began), cpu+testkit.CPUTime()-begin
		above = max(above, testkit.PeakMemory(b)-rest)
	}
	if stats := l.Stats(); stats.Items > 0 || stats.Refused > 0 || stats.Dropped > 0 {
		b.Fatalf("%+v", stats)
	}
	hour := 60 / float64(minutes) / float64(b.N)
	b.ReportMetric(wall.Seconds()*hour, "s/hour")
	b.ReportMetric(60, "s/hour-limit")
	b.ReportMetric(cpu.Seconds()*hour, "cpu-s/hour")
	b.ReportMetric(float64(disk)/float64(minutes*100_000), "B/sample")
	b.ReportMetric(float64(above)/(1<<20), "MiB-more")
}
