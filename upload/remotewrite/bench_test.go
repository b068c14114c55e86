package remotewrite

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"scriptbridge/upload/spool"
)

// BenchmarkRequest makes a request of 5,000 samples of what lies in the spool.
func BenchmarkRequest(b *testing.B) {
	var text strings.Builder
	for f := range 50 {
		fmt.Fprintf(&text, "# HELP metric_%d What it is, in a sentence.\n# TYPE metric_%d gauge\n", f, f)
		for i := range 100 {
			fmt.Fprintf(&text, "metric_%d{script=\"collector\",interface=\"eth%d\",direction=\"in\"} %d.5\n", f, i, i)
		}
	}
	var entries []spool.Entry
	for e, n := range entriesOf(shownOf(text.String(), ""), nil, false) {
		entries = append(entries, spool.Entry{Key: spool.KeyAt(time.Unix(1_800_000_000, 0)), Items: n, Data: e.append(nil)})
	}
	r := newReader(map[string]string{"job": "scriptbridge", "instance": "host"}, nil)
	b.ReportAllocs()
	for b.Loop() {
		var groups []group
		for _, e := range entries {
			g, _, err := r.read(e)
			if err != nil {
				b.Fatal(err)
			}
			groups = append(groups, g)
		}
		m := message2(groups)
		if _, err := m.MarshalVT(); err != nil || len(m.Timeseries) != 5000 {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/5000, "ns/sample")
}
