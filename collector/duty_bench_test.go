//go:build linux

package collector

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"
	"time"

	"scriptbridge/internal/testkit"
)

// BenchmarkScrapeDuty scrapes 100 000 series of 1000 scripts after some of
// them have run again. cpu-ms/scrape is the process's time for the scrape
// alone, without what the runs cost; own and shared are as in
// BenchmarkScrapeChanged. stream is the other design that there could be: the
// text of each block is kept, and the page is compressed as a whole.
func BenchmarkScrapeDuty(b *testing.B) {
	for _, l := range []load{{scripts: 1000, metrics: 10, dims: 10}, {scripts: 1000, metrics: 10, dims: 10, shared: true}} {
		name := "own"
		if l.shared {
			name = "shared"
		}
		for _, gzip := range []bool{false, true} {
			for _, changed := range []int{0, 1, 10, 50, 250, 1000} {
				name := fmt.Sprintf("metrics=%s/gzip=%v/changed=%d", name, gzip, changed)
				b.Run(name+"/chunks", func(b *testing.B) {
					r, _ := http.NewRequest(http.MethodGet, "/", nil)
					if gzip {
						r.Header.Set("Accept-Encoding", "gzip")
					}
					benchmarkDuty(b, l, changed, func(c *Collector, _ map[*source]bool) { c.ServeHTTP(nowhere{http.Header{}}, r) })
				})
				b.Run(name+"/stream", func(b *testing.B) {
					s := stream{blocks: make(map[*block][]byte), gzip: gzip}
					benchmarkDuty(b, l, changed, s.scrape)
				})
			}
		}
	}
}

func benchmarkDuty(b *testing.B, l load, changed int, scrape func(*Collector, map[*source]bool)) {
	c, batches := l.fill(nil)
	next := 0
	run := func(n int) map[*source]bool {
		ran := make(map[*source]bool)
		for range n {
			batch := batches[next*37%len(batches)]
			next++
			for i := range batch.Samples {
				batch.Samples[i].Value++
			}
			_ = c.Put(batch)
			ran[c.sources[sourceKey{batch.Source.Kind, batch.Source.Name}]] = true
		}
		return ran
	}
	scrape(c, nil)
	scrape(c, run(changed))
	var spent time.Duration
	for b.Loop() {
		ran := run(changed)
		begin := testkit.CPUTime()
		scrape(c, ran)
		spent += testkit.CPUTime() - begin
	}
	b.ReportMetric(float64(spent.Microseconds())/1000/float64(b.N), "cpu-ms/scrape")
}

// nowhere is an http.ResponseWriter that keeps nothing.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header         { return n.header }
func (n nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n nowhere) WriteHeader(int)             {}

// stream is a page of ready blocks in one gzip stream.
type stream struct {
	blocks map[*block][]byte
	gzip   bool
	page   []byte
}

func (s *stream) scrape(c *Collector, ran map[*source]bool) {
	if len(ran) == 0 && s.page != nil {
		return
	}
	page := make([]byte, 0, len(s.page))
	for _, chunk := range c.layout.chunks {
		for _, b := range chunk.blocks {
			if s.blocks[b] == nil || ran[b.source] {
				s.blocks[b] = b.append(s.blocks[b][:0], text, nil)
			}
			page = append(page, s.blocks[b]...)
		}
	}
	if s.page = page; s.gzip {
		s.page = deflate(new(bytes.Buffer), page, true)
	}
}
