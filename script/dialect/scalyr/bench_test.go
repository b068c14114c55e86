package scalyr

import (
	"fmt"
	"strings"
	"testing"

	"scriptbridge/script/dialect"
)

// BenchmarkScalyrBatch takes a sample of a thousand values, as a monitor of
// containers or the system makes it.
func BenchmarkScalyrBatch(b *testing.B) {
	var records []string
	for i := range 1000 {
		records = append(records, fmt.Sprintf(`["docker.net.rx_bytes.%d",%d.5,{"interface":"eth%d","state":"up"},"container-%d",null]`, i%20, i, i%5, i%40))
	}
	batch := []byte(`{"t":"batch","time":1700000000.5,"duration":0.1,"gather":true,"error":"","records":[` + strings.Join(records, ",") + `],"lines":[]}`)
	var shown strings.Builder
	l := newSession(b, map[string]string{"module": "m"}, &shown)
	samples := 0
	l.session.Put = func(t *dialect.Result) { samples = len(t.Samples) }
	b.SetBytes(int64(len(batch)))
	b.ReportAllocs()
	for b.Loop() {
		if err := l.message(batch); err != nil {
			b.Fatal(err)
		}
	}
	if samples != len(records) {
		b.Fatalf("%d samples", samples)
	}
}
