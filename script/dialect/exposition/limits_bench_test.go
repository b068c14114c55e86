package exposition

import (
	"fmt"
	"testing"

	"scriptbridge/record"
	"scriptbridge/script/dialect/dialecttest"
)

func readings() []dialecttest.Reading {
	return []dialecttest.Reading{
		reading("plain", "", func(i int) string { return fmt.Sprintf("metric_%d %d.5\n", i, i) }),
		reading("typed", "", func(i int) string {
			return fmt.Sprintf("# HELP metric_%d What it is.\n# TYPE metric_%d gauge\nmetric_%d %d.5\n", i, i, i, i)
		}),
		reading("labels", "# HELP traffic_bytes_total Traffic.\n# TYPE traffic_bytes_total counter\n", func(i int) string {
			return fmt.Sprintf("traffic_bytes_total{device=\"eth%d\",direction=\"in\"} %d\n", i, i*1000)
		}),
		reading("long", "# TYPE a_gauge_with_a_long_name_bytes gauge\n", func(i int) string {
			return fmt.Sprintf("a_gauge_with_a_long_name_bytes{customer=\"the name of a customer, number %d\",path=\"/a/path/that/has/many/parts/%d\",escaped=\"C:\\\\%d\"} %d.123456789012345e-3 1700000000000\n", i, i, i, i)
		}),
		reading("histogram", "# TYPE took_seconds histogram\n", func(i int) string {
			return fmt.Sprintf("took_seconds_bucket{path=\"/%d\",le=\"%g\"} %d\n", i/10, float64(i%10)/8, i)
		}),
	}
}

func reading(kind, head string, line func(i int) string) dialecttest.Reading {
	return dialecttest.Reading{
		Kind: kind,
		Output: func(lines int) []byte {
			out := []byte(head)
			for i := range lines {
				out = append(out, line(i)...)
			}
			return out
		},
		New: func(testing.TB) func([]byte) int {
			var metas map[string]*record.Meta
			return func(out []byte) (n int) {
				var samples []record.Sample
				samples, metas, _ = Parse(out, 1_000_000, metas)
				return len(samples)
			}
		},
	}
}

func BenchmarkLimitLines(b *testing.B) { dialecttest.LimitLines(b, readings()...) }

func TestNoAllocationALine(t *testing.T) { dialecttest.NoAllocations(t, readings()...) }
