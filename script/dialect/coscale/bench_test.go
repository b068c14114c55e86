package coscale

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkCoscaleData reads a thousand lines of one kind at a time.
func BenchmarkCoscaleData(b *testing.B) {
	const lines = 1000
	var metrics strings.Builder
	for i := range lines {
		fmt.Fprintf(&metrics, `{"id": %d, "name": "Metric %d"},`, i+10, i)
	}
	config := `{"metrics": [` + metrics.String() + `{"id": 1, "name": "Traffic", "dimensions": [{"id": 1, "name": "interface"}, {"id": 2, "name": "direction"}]}],
		"events": [{"id": 1, "name": "Restart", "attributeDescriptions": [{"name": "Exit code"}]}]}`
	c, err := parseConfig([]byte(config))
	if err != nil {
		b.Fatal(err)
	}
	for _, kind := range []struct {
		name string
		line func(i int) string
	}{
		{"plain", func(i int) string { return fmt.Sprintf("M%d %d.5", i+10, i) }},
		{"dimensions", func(i int) string { return fmt.Sprintf(`M1 "1:eth%d,2:in" %d`, i, i) }},
		{"event", func(i int) string {
			return fmt.Sprintf(`E1 -300 0 "The event triggered" "{"Exit code":%d,"text":"x"}" S`, i)
		}},
		{"refused", func(i int) string { return fmt.Sprintf("M%d None", i+10) }},
		{"banner", func(int) string { return "SSH-2.0-OpenSSH_9.2" }},
	} {
		var out strings.Builder
		for i := range lines {
			out.WriteString(kind.line(i))
			out.WriteByte('\n')
		}
		text := []byte(out.String())
		b.Run(kind.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				_, _, _, _ = parseData(c, text, runEnd)
			}
			b.ReportMetric(lines*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}

func BenchmarkCoscaleConfig(b *testing.B) {
	var metrics strings.Builder
	for i := range 100 {
		fmt.Fprintf(&metrics, `{"id": %d, "name": "Metric %d", "unit": "b/s", "datatype": "GAUGE", "calctype": "Instant", "dimensions": [{"id": 1, "name": "x"}]},`, i, i)
	}
	text := []byte(`{"metrics": [` + strings.TrimSuffix(metrics.String(), ",") + `]}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := parseConfig(text); err != nil {
			b.Fatal(err)
		}
	}
}
