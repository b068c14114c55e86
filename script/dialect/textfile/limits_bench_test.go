package textfile

import (
	"bytes"
	"fmt"
	"testing"

	"scriptbridge/internal/testkit/cases"
	"scriptbridge/script/dialect/dialecttest"
)

// readings are of folders of ten files.
func readings() []dialecttest.Reading {
	return []dialecttest.Reading{
		reading("labels", "# HELP traffic_bytes_total Traffic.\n# TYPE traffic_bytes_total counter\n", func(i int) string {
			return fmt.Sprintf("traffic_bytes_total{device=\"eth%d\",direction=\"in\"} %d\n", i, i*1000)
		}),
		reading("typed", "", func(i int) string {
			return fmt.Sprintf("# HELP metric_%d What it is.\n# TYPE metric_%d gauge\nmetric_%d %d.5\n", i, i, i, i)
		}),
	}
}

func reading(kind, head string, line func(i int) string) dialecttest.Reading {
	return dialecttest.Reading{
		Kind: kind,
		Output: func(lines int) []byte {
			out := []byte{}
			for i := range lines {
				if i%(lines/10) == 0 {
					if i > 0 {
						out = append(out, 0) // ends a file
					}
					out = append(out, head...)
				}
				out = append(out, line(i)...)
			}
			return out
		},
		New: func(testing.TB) func([]byte) int {
			m := merger{maxSamples: 1_000_000}
			return func(out []byte) int {
				return len(m.merge(divided(out), now).Samples)
			}
		},
	}
}

// divided are the files of a text that a \x00 divides.
func divided(out []byte) (files []file) {
	for i, text := range bytes.Split(out, []byte{0}) {
		files = append(files, file{name: fmt.Sprintf("%d.prom", i), text: text})
	}
	return files
}

func BenchmarkLimitLines(b *testing.B) { dialecttest.LimitLines(b, readings()...) }

func TestNoAllocationALine(t *testing.T) { dialecttest.NoAllocations(t, readings()...) }

func FuzzTextfileMemory(f *testing.F) {
	var outputs [][]byte
	for _, c := range cases.All(f, "testdata") {
		var texts [][]byte
		for _, one := range filesOf(c.Archive) {
			texts = append(texts, one.text)
		}
		outputs = append(outputs, bytes.Join(texts, []byte{0}))
	}
	dialecttest.FuzzMemory(f, outputs, func() func([]byte) string {
		m := merger{maxSamples: 50}
		return func(out []byte) string {
			return dump(m.merge(divided(out), now))
		}
	})
}
