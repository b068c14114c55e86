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

// Turn after turn, each after every other one: what a turn says does not depend on
// those before it, whether files agree on a family, one is gone, or one stands twice.
func TestTurnsRememberNothing(t *testing.T) {
	const a, b, plainB = "# TYPE a gauge\na 1\n", "# HELP b Of b.\n# TYPE b counter\nb 1\n", "b{x=\"1\"} 2\n"
	turns := []string{
		"", a, b, a + "\x00" + b, b + "\x00" + a, a + "\x00" + a, b + "\x00" + plainB, plainB + "\x00" + b, plainB,
		a + b + "\x00" + a, a + "\x00" + a + b, a + "\x00# TYPE a counter\na{x=\"1\"} 1\n" + b, a + "\x00# HELP a Of a.\na{x=\"2\"} 1\n",
	}
	read := func(m *merger, out string) string { return dump(m.merge(divided([]byte(out)), now)) }
	for _, before := range turns {
		for _, then := range turns {
			m := &merger{maxSamples: 50}
			for _, out := range []string{before, before, before, then, before, then, then, then} {
				if got, want := read(m, out), read(&merger{maxSamples: 50}, out); got != want {
					t.Fatalf("after %q, %q gives\n%s\nwant\n%s", before, out, got, want)
				}
			}
		}
	}
}
