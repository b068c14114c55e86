package instrumental

import (
	"bytes"
	"fmt"
	"testing"

	"scriptbridge/script/dialect/dialecttest"
)

func readings() []dialecttest.Reading {
	return []dialecttest.Reading{
		reading("plain", false, func(i int) string { return fmt.Sprintf("some.metric.%d %d.5", i, i) }),
		reading("time", false, func(i int) string { return fmt.Sprintf("some.metric.%d %d.5 %d", i, i, 1500000000+i) }),
		reading("long", false, func(i int) string {
			return fmt.Sprintf("a.metric.of.a.customer.that.has.many.parts.number.%d %d.123456789012345", i, i)
		}),
		reading("lenient", true, func(i int) string { return fmt.Sprintf("some.metric.%d %d%%", i, i) }),
	}
}

func reading(kind string, lenient bool, line func(i int) string) dialecttest.Reading {
	return dialecttest.Reading{
		Kind: kind,
		Output: func(lines int) []byte {
			var out bytes.Buffer
			for i := range lines {
				out.WriteString(line(i))
				out.WriteByte('\n')
			}
			return out.Bytes()
		},
		New: func(testing.TB) func([]byte) int {
			p := newParser(lenient)
			p.maxSamples = 1_000_000
			return func(out []byte) int {
				samples, _, _ := p.parse(out)
				return len(samples)
			}
		},
	}
}

func BenchmarkLimitLines(b *testing.B) { dialecttest.LimitLines(b, readings()...) }

func TestNoAllocationALine(t *testing.T) { dialecttest.NoAllocations(t, readings()...) }
