// Command benchtable runs the benchmarks that have a limit, BenchmarkLimit…, as
// often as its time allows, and writes their medians into docs/performance.md.
// `make bench-table` calls it. benchmarks.go says what each of them is about, run.go runs
// them, figures.go reads what they report, page.go and plot.go write.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "benchtable:", err)
		os.Exit(1)
	}
}

func run() error {
	root := flag.String("root", "../..", "the checkout")
	only := flag.String("run", "", "only benchmarks whose folder and name match; shows the tables, and writes nothing")
	short := flag.Bool("short", false, "without what takes long, such as a million series")
	most := flag.Int("count", 5, "how often at most each is run")
	budget := flag.Duration("budget", 11*time.Minute, "when no further run begins that would not end before; each is run once in any case")
	flag.Parse()

	began := time.Now()
	at, err := thisMachine(*root)
	if err != nil {
		return err
	}
	jobs, err := find(*root, *only)
	if err != nil {
		return err
	}
	build, err := os.MkdirTemp("", "benchtable")
	if err != nil {
		return err
	}
	defer os.RemoveAll(build)
	runner := &runner{root: *root, build: build, short: *short, until: began.Add(*budget), most: *most}
	if err := runner.compile(jobs); err != nil {
		return err
	}
	jobs = inOrder(jobs)
	runner.rounds(jobs)

	results, err := read(jobs)
	if err != nil {
		return err
	}
	tellUnstable(results)
	if *only != "" {
		return show(os.Stdout, jobs, results)
	}
	if err := plotGrowth(filepath.Join(*root, "docs", "performance.svg"), results); err != nil {
		return err
	}
	if err := writePage(filepath.Join(*root, "docs", "performance.md"), at, jobs, results); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "written after %s\n", time.Since(began).Round(time.Second))
	return failures(jobs)
}
