package scalyr

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/dialecttest"
)

// readings are of what a monitor of containers or of the system says in one sample. No
// message is longer than the protocol has it.
func readings() []dialecttest.Reading {
	return []dialecttest.Reading{
		reading("records", "records", 1, func(i int) string {
			return fmt.Sprintf(`["docker.net.rx_bytes.%d", %d.5, {"interface": "eth%d", "state": "up"}, "container-%d", null]`, i%20, i, i%5, i)
		}),
		reading("long", "records", 2, func(i int) string {
			return fmt.Sprintf(`["app.requests", %d.123456789012345, {"b": "a text that is rather long, \u00e9\ud83d\ude00 %d \"\n", "a": true}, "the container of a customer, number %d", null]`, i, i%40, i)
		}),
		reading("numbers", "records", 2, func(i int) string {
			return fmt.Sprintf(`["disk.used", %d, {"free": %d.25}, "disk-%d", 1700000000000]`, i, i, i)
		}),
		reading("log-lines", "lines", 1, func(i int) string {
			return fmt.Sprintf(`{"text": "df.1kblocks.total %d mount=\"/\" fstype=\"ext%d\"", "id": "disk-%d"}`, i, i%5, i)
		}),
	}
}

func reading(kind, list string, values int, record func(i int) string) dialecttest.Reading {
	return dialecttest.Reading{
		Kind: kind, Items: values,
		Output: func(lines int) []byte {
			const together = 30_000
			var out bytes.Buffer
			for i := 0; i < lines; i += together {
				n := min(together, lines-i)
				fmt.Fprintf(&out, `{"t": "batch", "time": 1700000000.5, "duration": 0.1, "gather": true, "error": "", "detail": "", "more": %t, %q: [`, i+n < lines, list)
				for j := range n {
					if j > 0 {
						out.WriteString(", ")
					}
					out.WriteString(record(i + j))
				}
				out.WriteString("]}\n")
			}
			return out.Bytes()
		},
		New: func(tb testing.TB) func([]byte) int {
			l := newSession(tb, map[string]string{"module": "m"}, new(strings.Builder))
			l.runner.script.MaxSeries = 10_000_000
			samples := 0
			l.session.Put = func(t *dialect.Result) { samples = len(t.Samples) }
			return func(out []byte) int {
				for message := range bytes.Lines(out) {
					if err := l.message(message); err != nil {
						tb.Fatal(err)
					}
				}
				return samples / values
			}
		},
	}
}

func BenchmarkLimitLines(b *testing.B) { dialecttest.LimitLines(b, readings()...) }

func TestNoAllocationALine(t *testing.T) { dialecttest.NoAllocations(t, readings()...) }
