//go:build linux

package collector

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"scriptbridge/internal/footprint"
	"scriptbridge/internal/testkit"
	"scriptbridge/record"
)

// What a series may cost. A scrape is held against what node_exporter's textfile collector
// needs for as many series, 9.8 µs of CPU each, as 100 000 of them were measured side by side.
const (
	seriesLimit       = 300.0  // bytes
	distributionLimit = 4000.0 // bytes
	nodeExporter      = 9.8e-3 // ms a series
)

// BenchmarkLimitSeriesMemory tells what a series takes of the resident memory of a process
// in which scripts gave new values many times, and both formats were served
// meanwhile, plain and gzipped. The process is a real one, this binary started anew; what it
// takes without a series is subtracted.
func BenchmarkLimitSeriesMemory(b *testing.B) {
	for _, shape := range []struct {
		name string
		of   func(series int) load
	}{
		{"thousand-a-metric", func(n int) load { return load{scripts: max(1, n/5000), metrics: min(n, 5000) / 1000, dims: 1000} }},
		{"one-a-metric", func(n int) load { return load{scripts: max(1, n/5000), metrics: min(n, 5000), dims: 1} }},
		{"scripts-of-100", func(n int) load { return load{scripts: n / 100, metrics: 10, dims: 10} }},
	} {
		for _, n := range []int{1000, 10_000, 100_000, 1_000_000} {
			b.Run(fmt.Sprintf("%s/series=%d", shape.name, n), func(b *testing.B) {
				if n == 1_000_000 && testing.Short() {
					b.Skip("a million")
				}
				l, rounds := shape.of(n), 10
				if n == 1_000_000 {
					rounds = 4
				}
				each := 0.0
				for b.Loop() {
					none := resident(b, "series", 0, 0, 0, rounds)
					each = float64(resident(b, "series", l.scripts, l.metrics, l.dims, rounds)-none) / float64(n)
				}
				b.ReportMetric(each, "B/series")
				if n == 100_000 {
					b.ReportMetric(seriesLimit, "B/series-limit")
				}
			})
		}
	}
}

// BenchmarkLimitDistributionMemory tells the same of a summary whose window is full of
// observations over three decades, 100 in each age.
func BenchmarkLimitDistributionMemory(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		b.Run(fmt.Sprintf("series=%d", n), func(b *testing.B) {
			each := 0.0
			for b.Loop() {
				none := resident(b, "distributions", 0)
				each = float64(resident(b, "distributions", n)-none) / float64(n)
			}
			b.ReportMetric(each, "B/distribution")
			b.ReportMetric(distributionLimit, "B/distribution-limit")
		})
	}
}

// resident is the resident memory of a process at the end of TestResident.
func resident(b *testing.B, what string, args ...int) int64 {
	b.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestResident$", "-test.v")
	child.Env = append(os.Environ(), "RESIDENT="+strings.Trim(fmt.Sprint(what, args), "[]"))
	out, err := child.CombinedOutput()
	_, after, _ := bytes.Cut(out, []byte("resident: "))
	n, _, _ := bytes.Cut(after, []byte("\n"))
	size, bad := strconv.ParseInt(string(n), 10, 64)
	if err != nil || bad != nil {
		b.Fatalf("%v, %v: %s", err, bad, out)
	}
	return size
}

// TestResident is the process that resident starts.
func TestResident(t *testing.T) {
	what, args, _ := strings.Cut(os.Getenv("RESIDENT"), "[")
	var n [4]int
	for i, arg := range strings.Fields(args) {
		n[i], _ = strconv.Atoi(arg)
	}
	footprint.Work() // as the program does
	c := New(Options{Registry: processRegistry()})
	switch what {
	case "series":
		playSeries(t, c, load{scripts: n[0], metrics: n[1], dims: n[2]}, n[3])
	case "distributions":
		playDistributions(t, c, n[0])
	default:
		t.Skip("is for benchmarks")
	}
	fmt.Println("resident:", residentNow(t))
	_ = c.Count(record.Script, "") // it lives until here
}

// playSeries has scripts give new values, each run in a batch of its own, and scrapes.
func playSeries(t *testing.T, c *Collector, l load, rounds int) {
	sources := make([]*record.Source, l.scripts) // which a pool keeps
	metas := make([][]*record.Meta, l.scripts)   // and dialects
	for range rounds {
		for i := range l.scripts {
			batch := l.batch(i)
			if sources[i] == nil {
				sources[i] = batch.Source
				for _, s := range batch.Samples {
					if n := len(metas[i]); n == 0 || metas[i][n-1] != s.Meta {
						metas[i] = append(metas[i], s.Meta)
					}
				}
			}
			batch.Source = sources[i]
			for at := range batch.Samples {
				batch.Samples[at].Meta = metas[i][at/l.dims]
				batch.Samples[at].Value = float64(rand.IntN(1e6)) / 8
			}
			_ = c.Put(batch)
			if i%100 == 99 { // as between two scrapes
				serveAll(t, c)
			}
		}
		serveAll(t, c)
	}
}

// playDistributions fills the window of summaries, and scrapes.
func playDistributions(t *testing.T, c *Collector, n int) {
	for range ages { // the clock is set, not waited for
		for from := range 100 {
			_ = c.Put(timers(summaryMeta, max(n, 1), n, float64(1+from%2)))
		}
		serveAll(t, c)
		c.start = c.start.Add(-ageWidth)
	}
	serveAll(t, c)
}

// serveAll scrapes in both formats, plain and gzipped.
func serveAll(t testing.TB, c *Collector) {
	for _, f := range accepted {
		for _, gzip := range []bool{false, true} {
			c.ServeHTTP(nowhere{http.Header{}}, request(t, string(f), gzip))
		}
	}
}

func request(t testing.TB, accept string, gzip bool) *http.Request {
	r, err := http.NewRequest(http.MethodGet, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", accept)
	if gzip {
		r.Header.Set("Accept-Encoding", "gzip")
	}
	return r
}

// residentNow is VmRSS of this process.
func residentNow(t *testing.T) int64 {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			kB, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kB << 10
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

// BenchmarkLimitScrape scrapes an unchanged page over loopback: the process's CPU time, beside
// a hundredth of node_exporter's for as many series, and a two-hundredth where it is gzipped.
func BenchmarkLimitScrape(b *testing.B) {
	for _, n := range []int{1000, 10_000, 100_000, 1_000_000} {
		if n == 1_000_000 && testing.Short() {
			continue
		}
		c, _ := load{scripts: 10, metrics: 10, dims: n / 100}.fill(nil)
		for _, f := range []struct{ name, accept string }{{"text", "text/plain"}, {"openmetrics", string(accepted[0])}} {
			for _, gzip := range []bool{false, true} {
				b.Run(fmt.Sprintf("%s/gzip=%v/series=%d", f.name, gzip, n), func(b *testing.B) {
					r := request(b, f.accept, gzip)
					const scrapes = 20
					var spent time.Duration
					server := httptest.NewServer(c)
					defer server.Close()
					client := newClient(b, server.URL, r.Header)
					client.scrape(b)
					for b.Loop() {
						begin := testkit.CPUTime()
						for range scrapes {
							client.scrape(b)
						}
						spent += testkit.CPUTime() - begin
					}
					limit := nodeExporter * float64(n) / 100
					if gzip {
						limit /= 2
					}
					b.ReportMetric(spent.Seconds()*1000/float64(b.N*scrapes), "cpu-ms/scrape")
					if n == 100_000 {
						b.ReportMetric(limit, "cpu-ms/scrape-limit")
					}
				})
			}
		}
	}
}

// BenchmarkLimitScrapeChanged scrapes 100 000 series gzipped, after 250 of 1000 scripts gave new
// values: in families of their own, or in families that all share. The limit is one
// compression of the text that changed, and twice the limit of a scrape without changes.
func BenchmarkLimitScrapeChanged(b *testing.B) {
	for _, l := range []load{{scripts: 1000, metrics: 10, dims: 10}, {scripts: 1000, metrics: 10, dims: 10, shared: true}} {
		name := "own"
		if l.shared {
			name = "shared"
		}
		b.Run("metrics="+name, func(b *testing.B) {
			c, batches := l.fill(nil)
			r := request(b, "text/plain", true)
			c.ServeHTTP(nowhere{http.Header{}}, r)
			changed, next := l.series()/4, 0
			var all bytes.Buffer
			for _, batch := range batches[:250] {
				for blk := range c.sources[sourceKey{batch.Source.Kind, batch.Source.Name}].blocks.All {
					all.Write(blk.append(nil, text, nil))
				}
			}
			var spent, once time.Duration
			const rounds = 10
			for b.Loop() {
				for range rounds {
					for range 250 {
						batch := batches[next*37%len(batches)]
						next++
						for i := range batch.Samples {
							batch.Samples[i].Value++
						}
						_ = c.Put(batch)
					}
					begin := testkit.CPUTime()
					c.ServeHTTP(nowhere{http.Header{}}, r)
					spent += testkit.CPUTime() - begin
					begin = testkit.CPUTime()
					deflate(new(bytes.Buffer), all.Bytes(), true)
					once += testkit.CPUTime() - begin
				}
			}
			ms := func(d time.Duration) float64 { return d.Seconds() * 1000 / float64(b.N*rounds) }
			b.ReportMetric(ms(spent), "cpu-ms/scrape")
			b.ReportMetric(ms(once)+2*nodeExporter*float64(l.series())/200, "cpu-ms/scrape-limit")
			b.ReportMetric(float64(changed), "changed-series")
		})
	}
}
