package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const page = "../../docs/performance.md"

// TestBenchmarks: each benchmark of the repository has its words, and all words a benchmark.
func TestBenchmarks(t *testing.T) {
	jobs, err := find("../..", "")
	if err != nil {
		t.Fatal(err)
	}
	var there, known []string
	for _, j := range jobs {
		there = append(there, j.key())
	}
	for _, b := range benchmarks {
		if slices.Contains(known, b.key) {
			t.Errorf("benchmarks.go has %s twice", b.key)
		}
		known = append(known, b.key)
		if !slices.Contains(there, b.key) {
			t.Errorf("benchmarks.go knows %s, which is not there", b.key)
		}
		if !slices.Contains(parts, b.part) || b.title == "" {
			t.Errorf("%s has no part of the page, or no title", b.key)
		}
	}
	for _, key := range there {
		if !slices.Contains(known, key) {
			t.Errorf("benchmarks.go says nothing of %s", key)
		}
	}
}

const output = `goos: linux
goarch: amd64
pkg: scriptbridge/collector
cpu: AMD EPYC
BenchmarkLimitSeriesMemory/one-a-metric/series=1000-2         	       1	  79859087 ns/op	         500.0 B/series
BenchmarkLimitSeriesMemory/one-a-metric/series=10000-2         	       1	  79859087 ns/op	         250.0 B/series	         300.0 B/series-limit	         7.000 pages
BenchmarkLimitSeriesMemory/one-a-metric/series=1000-2         	       1	  79859087 ns/op	         700.0 B/series
BenchmarkLimitSeriesMemory/one-a-metric/series=10000-2         	       1	  79859087 ns/op	         350.0 B/series	         300.0 B/series-limit	         7.000 pages
BenchmarkLimitSeriesMemory/gzip=true/format=text/series=1000-2         	       1	  1 ns/op	         2.000 cpu-ms/scrape	         1.000 cpu-ms/scrape-limit
BenchmarkLimitSeriesMemory/gzip=true/format=text/series=10000-2         	       1	  1 ns/op	         30.00 cpu-ms/scrape	         40.00 cpu-ms/scrape-limit
BenchmarkLimitSeriesMemory/rival/lines=1/series=1000-2         	       1	  1 ns/op	         0.0002 allocs/line	         0.200 x-statsd_exporter	         0.1000 x-statsd_exporter-limit
BenchmarkLimitSeriesMemory/none=1-2	       1	  1 ns/op	         0 allocs/line	         0 allocs/line-limit
BenchmarkLimitSeriesMemory/none=2-2	       1	  1 ns/op	         1 allocs/line	         0 allocs/line-limit
BenchmarkLimitSeriesMemory/rival/lines=1/series=10000-2         	       1	  1 ns/op	         0.0002 allocs/line	         0.100 x-statsd_exporter	         0.1000 x-statsd_exporter-limit
PASS
`

func fixture(t *testing.T) ([]*job, []*result) {
	t.Helper()
	jobs := []*job{{folder: "collector", name: "BenchmarkLimitSeriesMemory", output: []byte(output)}}
	results, err := read(jobs)
	if err != nil {
		t.Fatal(err)
	}
	return jobs, results
}

// TestTables has medians, the size that is nearest to its limit, and exponents between neighbours.
func TestTables(t *testing.T) {
	jobs, results := fixture(t)
	title := aboutOf("collector BenchmarkLimitSeriesMemory").title
	got := partTable(memory, jobs, results) + "\n" + growthTable(results)
	want := `| what | figure | limit | of the limit | within | runs | besides |
|---|---|---|---|---|---|---|
| TITLE: one a metric; 10,000 series | 300 B a series | 300 B a series | 1 | yes | 2, 33 % apart | 7 pages |
| TITLE: gzip, text; 1,000 series | 2 ms of CPU a scrape | 1 ms of CPU a scrape | 2 | **no** | 1 |  |
| TITLE: gzip, text; 10,000 series | 30 ms of CPU a scrape | 40 ms of CPU a scrape | 0.75 | yes | 1 |  |
| TITLE: rival, 1 line; 1,000 series | 0.2 × statsd_exporter | 0.1 × statsd_exporter | 2 | **no** | 1 | 0.00 allocs a line |
| TITLE: rival, 1 line; 10,000 series | 0.1 × statsd_exporter | 0.1 × statsd_exporter | 1 | yes | 1 | 0.00 allocs a line |
| TITLE: none 1 | 0.00 allocs a line | 0 allocs a line | – | yes | 1 |  |
| TITLE: none 2 | 1.00 allocs a line | 0 allocs a line | – | **no** | 1 |  |

| what, in what | 1,000 | 10,000 | steepest | last | whole | worse than linear |
|---|---|---|---|---|---|---|
| TITLE: one a metric, by series, in B a series | 600 | 300 | 0.70 | 0.70 | 0.70 | no |
| TITLE: gzip, text, by series, in ms of CPU a scrape | 2 | 30 | 1.18 | 1.18 | 1.18 | **yes** |
`
	if want = strings.ReplaceAll(want, "TITLE", title); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestList: parts of something are one row.
func TestList(t *testing.T) {
	var output strings.Builder
	var want []string
	for i := range 9 {
		fmt.Fprintf(&output, "BenchmarkLimitBinaryParts/kind=go:x%d-2 1 1 ns/op %d.5 MB\n", i, i)
		want = append(want, fmt.Sprintf("go/x%d %d.5 MB", i, i))
	}
	jobs := []*job{{folder: ".", name: "BenchmarkLimitBinaryParts", output: []byte(output.String())}}
	results, err := read(jobs)
	if err != nil {
		t.Fatal(err)
	}
	if got := partTable(binary, jobs, results); !strings.HasSuffix(got, " | | | | | 1 | "+strings.Join(want, "; ")+" |\n") {
		t.Error(got)
	}
}

// TestPage writes the project's own page: it has all marks, and what is by hand stays.
func TestPage(t *testing.T) {
	jobs, results := fixture(t)
	before, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "performance.md")
	if err := os.WriteFile(file, before, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writePage(file, "A machine.\n", jobs, results); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := byHand(string(after)), byHand(string(before)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, text := range []string{"A machine.\n", "| 600 | 300 | 0.70 | 0.70 | 0.70 | no |\n"} {
		if !strings.Contains(string(after), text) {
			t.Errorf("the page has no %s", text)
		}
	}
	if err := plotGrowth(filepath.Join(t.TempDir(), "performance.svg"), results); err != nil {
		t.Error(err)
	}
}

// byHand is a page without what is between the marks.
func byHand(page string) (text string) {
	for part := range strings.SplitSeq(page, "<!-- end -->\n") {
		own, _, _ := strings.Cut(part, " -->\n")
		text += own
	}
	return text
}

// TestSkipped: a benchmark that did not run says why.
func TestSkipped(t *testing.T) {
	m := skipped.FindSubmatch([]byte("pkg: x\n--- SKIP: BenchmarkLimitX\n    x_test.go:25: there is no exporter: install it\nPASS\n"))
	if m == nil || string(m[2]) != "there is no exporter: install it" {
		t.Errorf("%q", m)
	}
}

// TestTooSteep judges by the largest sizes: a step between smaller ones is a cache's.
func TestTooSteep(t *testing.T) {
	for _, tt := range []struct {
		unit   string
		sizes  []int
		values []float64
		want   bool
	}{
		{"ns/line", []int{1000, 10_000, 100_000}, []float64{40, 100, 45}, false},
		{"ns/line", []int{1000, 10_000, 100_000}, []float64{40, 40, 60}, true},
		{"ns/line", []int{1000, 10_000, 100_000, 1_000_000}, []float64{40, 40, 60, 60}, false},
		{"ns/line", []int{1000, 10_000, 100_000, 1_000_000}, []float64{40, 80, 110, 120}, true},
		{"MB", []int{1000, 2000}, []float64{10, 20}, false},
		{"MB", []int{1000, 2000}, []float64{10, 40}, true},
		{"cpu-ms/scrape", []int{1000, 2000}, []float64{10, 12}, false},
	} {
		if g := (growth{unit: tt.unit, sizes: tt.sizes, values: tt.values}); g.tooSteep() != tt.want {
			steepest, last, whole := g.exponents()
			t.Errorf("%s %v by %v: %.2f, %.2f, %.2f", tt.unit, tt.values, tt.sizes, steepest, last, whole)
		}
	}
}
