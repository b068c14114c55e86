package nagios

import (
	"fmt"
	"testing"

	"scriptbridge/script/dialect/dialecttest"
)

// readings are of performance data, an item a line; "disk" has five values in each.
func readings() []dialecttest.Reading {
	return []dialecttest.Reading{
		reading("value", "\n", 1, func(i int) string { return fmt.Sprintf("some_label_%d=%d.5s", i, i) }),
		reading("quoted", "\n", 1, func(i int) string { return fmt.Sprintf("'some label %d'=%dB", i, i) }),
		reading("long", "\n", 1, func(i int) string {
			return fmt.Sprintf("'it''s the volume of a customer, number %d'=%d.123456789012345%%", i, i)
		}),
		reading("units", "\n", 1, func(i int) string {
			return fmt.Sprintf("a%d=%d%s;;;", i, i, []string{"B", "MB", "%", "ms", "c", "kpps"}[i%6])
		}),
		reading("disk", "\n", 5, func(i int) string { return fmt.Sprintf("/srv/volume%02d=%dMB;5948;5958;0;5968", i, 2643+i) }),
		reading("one-line", " ", 1, func(i int) string { return fmt.Sprintf("some_label_%d=%d.5s", i, i) }),
	}
}

func reading(kind, end string, values int, item func(i int) string) dialecttest.Reading {
	return dialecttest.Reading{
		Kind: kind, Items: values,
		Output: func(lines int) []byte {
			out := []byte("OK - all is well\nmore text |")
			for i := range lines {
				out = append(append(out, item(i)...), end...)
			}
			return out
		},
		New: func(testing.TB) func([]byte) int {
			units := newUnits()
			return func(out []byte) int {
				said, _ := parse(units, 0, out, 10_000_000)
				return (len(said.samples) - 2) / values // without the state and its text
			}
		},
	}
}

func BenchmarkLimitLines(b *testing.B) { dialecttest.LimitLines(b, readings()...) }

func TestNoAllocationALine(t *testing.T) { dialecttest.NoAllocations(t, readings()...) }
