package server

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"scriptbridge/record"
)

type nullSink struct{}

func (nullSink) Put(*record.Batch) error { return nil }

// BenchmarkInsertData sends 1000 entries of one point, with a dimension, as the
// CLI and as the StatsD backend do.
func BenchmarkInsertData(b *testing.B) {
	h, _ := newTestHandler(b, "", func(o *HandlerOptions) { o.Sink = nullSink{} })
	must(b, h, "POST", "/servers/", "name=web-01")
	const points = 1000
	var entries []string
	for i := range points {
		must(b, h, "POST", "/metrics/", fmt.Sprintf("name=m%d&dataType=DOUBLE", i))
		entries = append(entries, fmt.Sprintf(`{"m":%d,"s":"s17","d":[[-%d,%d.5]],"dv":{"Queue":"q%d"}}`, 211+i, i%60, i, i%7))
	}
	text := "[" + strings.Join(entries, ",") + "]"
	session := h.testSession()
	for name, body := range map[string]string{
		"cdata": "cdata=" + url.QueryEscape(packed(text)),
		"data":  "data=" + url.QueryEscape(text),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if w := ask(h, "POST", "/api/v1/app/A/data/", session, formType, body); w.Code != 200 {
					b.Fatal(w.Body)
				}
			}
			b.ReportMetric(float64(points*b.N)/b.Elapsed().Seconds(), "points/s")
		})
	}
}

// BenchmarkTooManyPoints sends one point too many, in a single entry.
func BenchmarkTooManyPoints(b *testing.B) {
	h, _ := newTestHandler(b, "", func(o *HandlerOptions) { o.Sink = nullSink{} })
	session := h.testSession()
	body := "cdata=" + url.QueryEscape(packed(`[{"m":211,"s":"a","d":[`+strings.Repeat("[0,1],", maxPoints)+`[0,1]]}]`))
	b.ReportAllocs()
	for b.Loop() {
		if w := ask(h, "POST", "/api/v1/app/A/data/", session, formType, body); w.Code != 413 {
			b.Fatal(w.Body)
		}
	}
}

// BenchmarkCreate makes metrics one by one, each synced to disk before it is
// answered.
func BenchmarkCreate(b *testing.B) {
	h, _ := newTestHandler(b, b.TempDir(), nil)
	i := 0
	for b.Loop() {
		must(b, h, "POST", "/metrics/", fmt.Sprintf("name=m%d&dataType=DOUBLE", i))
		i++
	}
}
