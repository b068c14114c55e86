package coscale

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"scriptbridge/script/dialect/dialecttest"
)

// readings are the kinds of lines. A script may declare ten thousand metrics.
func readings() []dialecttest.Reading {
	return []dialecttest.Reading{
		reading("plain", maxDeclared-1, func(i int) string { return fmt.Sprintf("M%d %d.5", i+10, i) }),
		reading("dimension", 0, func(i int) string { return fmt.Sprintf(`M1 "1:eth%d" %d`, i, i) }),
		reading("dimensions", 0, func(i int) string { return fmt.Sprintf(`M1 "1:eth%d,2:in" %d`, i, i) }),
		reading("long", 0, func(i int) string {
			return fmt.Sprintf(`M1 "1:the interface of a customer, number %d,2:/a/path/that/has/many/parts/%d" %d.125`, i, i, i)
		}),
	}
}

func eventReadings() []dialecttest.Reading {
	return []dialecttest.Reading{
		reading("event", maxEvents, func(i int) string {
			return fmt.Sprintf(`E1 -300 0 "The event triggered" "{"Exit code":%d,"text":"x"}" S`, i)
		}),
	}
}

func reading(kind string, most int, line func(i int) string) dialecttest.Reading {
	return dialecttest.Reading{
		Kind: kind, Most: most,
		Output: func(lines int) []byte {
			var out bytes.Buffer
			for i := range lines {
				out.WriteString(line(i))
				out.WriteByte('\n')
			}
			return out.Bytes()
		},
		New: func(tb testing.TB) func([]byte) int {
			var metrics strings.Builder
			for i := range maxDeclared - 1 {
				fmt.Fprintf(&metrics, `{"id": %d, "name": "Metric %d"},`, i+10, i)
			}
			c, err := parseConfig([]byte(`{"metrics": [` + metrics.String() + `{"id": 1, "name": "Traffic", "dimensions": [{"id": 1, "name": "interface"}, {"id": 2, "name": "direction"}]}],
				"events": [{"id": 1, "name": "Restart", "attributeDescriptions": [{"name": "Exit code"}]}]}`))
			if err != nil {
				tb.Fatal(err)
			}
			c.maxSamples = 1_000_000
			return func(out []byte) int {
				samples, events, _, _ := parseData(c, out, runEnd)
				return len(samples) + len(events)
			}
		},
	}
}

func BenchmarkLimitLines(b *testing.B)  { dialecttest.LimitLines(b, readings()...) }
func BenchmarkLimitEvents(b *testing.B) { dialecttest.LimitEvents(b, eventReadings()...) }

func TestNoAllocationALine(t *testing.T) { dialecttest.NoAllocations(t, readings()...) }
