//go:build linux

package collector

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"scriptbridge/collector/selfmetrics"
	"scriptbridge/internal/testkit"
)

// BenchmarkLimitProcessSeries is what the go_ and process_ series add to a
// scrape: the CPU time of one with them, less that of one without, which come
// in turns. pause=15s is what a Prometheus pays that comes every 15 s, when
// others have used the processor's caches since: they are emptied before each scrape.
func BenchmarkLimitProcessSeries(b *testing.B) {
	for _, format := range []struct{ name, accept string }{
		{"text", "text/plain"},
		{"openmetrics", "application/openmetrics-text;version=1.0.0"},
	} {
		for _, encoding := range []string{"identity", "gzip"} {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Accept", format.accept)
			r.Header.Set("Accept-Encoding", encoding)
			with, _ := load{scripts: 1, metrics: 1, dims: 1}.fill(selfmetrics.NewRegistry())
			without, _ := load{scripts: 1, metrics: 1, dims: 1}.fill(nil)
			b.Run("pause=0s/format="+format.name+"/encoding="+encoding, func(b *testing.B) {
				for b.Loop() {
					reportAdded(b, 500, func() {}, with, without, r)
				}
			})
			b.Run("pause=15s/format="+format.name+"/encoding="+encoding, func(b *testing.B) {
				others := make([]byte, 64<<20)
				for b.Loop() {
					reportAdded(b, 40, func() {
						for i := 0; i < len(others); i += 64 { // a cache's line
							others[i]++
						}
					}, with, without, r)
				}
			})
		}
	}
}

// reportAdded reports the median of what one handler takes more than the other.
func reportAdded(b *testing.B, turns int, before func(), with, without http.Handler, r *http.Request) {
	added := make([]time.Duration, turns)
	for i := range added {
		for _, h := range []struct {
			http.Handler
			sign time.Duration
		}{{with, 1}, {without, -1}} {
			before()
			w := httptest.NewRecorder()
			begin := testkit.CPUTime()
			h.ServeHTTP(w, r)
			added[i] += h.sign * (testkit.CPUTime() - begin)
		}
	}
	slices.Sort(added)
	b.ReportMetric(float64(added[turns/2].Nanoseconds())/1e6, "ms/scrape")
	b.ReportMetric(0.1, "ms/scrape-limit")
}
