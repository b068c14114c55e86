//go:build linux

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// BenchmarkLimitScrapeNodeExporter has the program and node_exporter show the same
// files of 100,000 series, and holds the CPU time of a scrape against each other: a
// hundredth plain, a two-hundredth gzipped.
func BenchmarkLimitScrapeNodeExporter(b *testing.B) {
	const series, files = 100_000, 20
	dir := b.TempDir()
	folder := dir + "/metrics"
	if err := os.Mkdir(folder, 0o755); err != nil {
		b.Fatal(err)
	}
	for i := range files {
		var text strings.Builder
		for j := range series / files {
			if j%100 == 0 {
				fmt.Fprintf(&text, "# HELP job_%d_%d_bytes Of each queue.\n# TYPE job_%d_%d_bytes gauge\n", i, j, i, j)
			}
			fmt.Fprintf(&text, "job_%d_%d_bytes{queue=\"queue-%d\"} %d\n", i, j-j%100, j%100, i*7919+j)
		}
		write(b, folder, fmt.Sprintf("%d.prom", i), text.String())
	}
	bridge := startBridge(b, dir, write(b, dir, "scriptbridge.yml", "scripts:\n- {name: files, dialect: textfile, directory: "+folder+", max_series: 200000}\n"))
	exporter, theirs := startNodeExporter(b, folder)
	ours := "http://" + bridge.address + "/metrics"
	eventually(b, "all series", func() error {
		if n := strings.Count(bridge.page(b), "\njob_"); n != series {
			return fmt.Errorf("%d of %d", n, series)
		}
		return nil
	})
	for _, of := range []struct {
		encoding string
		limit    float64
	}{{"identity", 1. / 100}, {"gzip", 1. / 200}} {
		b.Run("encoding="+of.encoding, func(b *testing.B) {
			scrapeCost(b, bridge.process, ours, of.encoding) // what is made once
			var own, other []float64
			for b.Loop() {
				for range 3 {
					for range 10 {
						own = append(own, scrapeCost(b, bridge.process, ours, of.encoding))
					}
					other = append(other, scrapeCost(b, exporter, theirs, of.encoding))
				}
			}
			slices.Sort(own)
			slices.Sort(other)
			b.ReportMetric(own[len(own)/2], "cpu-ms/scrape")
			b.ReportMetric(other[len(other)/2], "node_exporter-cpu-ms/scrape")
			b.ReportMetric(own[len(own)/2]/other[len(other)/2], "x-node_exporter")
			b.ReportMetric(of.limit, "x-node_exporter-limit")
		})
	}
}

// scrapeCost is the CPU time of a scrape, in milliseconds.
func scrapeCost(b *testing.B, p *process, url, encoding string) float64 {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", encoding)
	r.Header.Set("Accept", "text/plain;version=0.0.4")
	before := cpuTime(b, p.cmd.Process.Pid)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		b.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Encoding") != strings.TrimPrefix(encoding, "identity") {
		b.Fatalf("%s: %s, encoding %q", url, resp.Status, resp.Header.Get("Content-Encoding"))
	}
	<-time.After(20 * time.Millisecond) // what the scrape leaves to do, such as collecting garbage
	return float64(cpuTime(b, p.cmd.Process.Pid)-before) / 1e6
}
