package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// job is one benchmark of one package.
type job struct {
	folder, name string // of the package, from the root; of the function
	runs         int
	took         time.Duration // the last run
	output       []byte        // of all runs
	skipped      string        // why there were none, if that was said
	failed       error
}

func (j *job) key() string { return strings.TrimPrefix(j.folder+" "+j.name, ". ") }

var declared = regexp.MustCompile(`(?m)^func (BenchmarkLimit\w+)\(`)

// find lists the benchmarks in limits_*bench_test.go of all packages.
func find(root, only string) (jobs []*job, err error) {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return nil, err
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "testdata") {
			return fs.SkipDir
		}
		if !strings.HasPrefix(name, "limits_") || !strings.HasSuffix(name, "bench_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		for _, m := range declared.FindAllSubmatch(text, -1) {
			if j := (&job{folder: filepath.ToSlash(folder), name: string(m[1])}); wanted.MatchString(j.key()) {
				jobs = append(jobs, j)
			}
		}
		return nil
	})
	if err == nil && len(jobs) == 0 {
		err = fmt.Errorf("no benchmark matches %q", only)
	}
	return jobs, err
}

// runner runs them, one after the other: nothing else of it is at work meanwhile.
type runner struct {
	root, build string
	short       bool
	until       time.Time
	most        int
}

// binary is the test binary of a package.
func (r *runner) binary(folder string) string {
	return filepath.Join(r.build, strings.NewReplacer("/", "-", ".", "root").Replace(folder)+".test")
}

func (r *runner) compile(jobs []*job) error {
	done := make(map[string]bool)
	for _, j := range jobs {
		if done[j.folder] {
			continue
		}
		done[j.folder] = true
		cmd := exec.Command("go", "test", "-c", "-o", r.binary(j.folder), "./"+j.folder)
		cmd.Dir, cmd.Stderr = r.root, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", j.folder, err)
		}
	}
	return nil
}

const nearly = 150 * time.Second

// rounds runs each once, and then again those that have been run least, as long as
// one may end in time: so that what disturbs the machine for a while disturbs a run
// of each, and not all runs of one. What takes long in a benchmark, such as a
// million series, is measured in its first run only, and left out where the time is nearly over.
func (r *runner) rounds(jobs []*job) {
	for _, j := range jobs {
		r.once(j, r.short || time.Now().After(r.until.Add(-nearly)))
	}
	for {
		var next *job
		for _, j := range jobs {
			fits := time.Now().Add(j.took + j.took/10).Before(r.until)
			if j.failed == nil && j.skipped == "" && fits && j.runs < r.most && (next == nil || j.runs < next.runs) {
				next = j
			}
		}
		if next == nil {
			return
		}
		r.once(next, true)
	}
}

// measured is a line with figures.
var measured = regexp.MustCompile(`(?m)^Benchmark\S+\s+\d+\s`)

var skipped = regexp.MustCompile(`(?m)^\s*--- SKIP: (\S+).*\n(?:\s+\S+_test\.go:\d+: )?(.*)`)

func (r *runner) once(j *job, short bool) {
	args := []string{"-test.run=^$", "-test.bench=^" + j.name + "$", "-test.benchtime=1x", "-test.timeout=10m"}
	if short {
		args = append(args, "-test.short")
	}
	cmd := exec.Command(r.binary(j.folder), args...)
	cmd.Dir = filepath.Join(r.root, j.folder)
	began := time.Now()
	out, err := cmd.CombinedOutput()
	j.took = time.Since(began)
	j.runs++
	fmt.Fprintf(os.Stderr, "%6.1f s  %s, run %d\n", j.took.Seconds(), j.key(), j.runs)
	j.output = append(j.output, out...) // what one that fails has measured before is sound
	if err != nil {
		j.failed = fmt.Errorf("%s: %w\n%s", j.key(), err, out)
		fmt.Fprintln(os.Stderr, j.failed)
		return
	}
	if m := skipped.FindSubmatch(out); m != nil && !measured.Match(out) {
		j.skipped = strings.TrimSpace(string(m[2]))
	}
}

func failures(jobs []*job) error {
	var all []error
	for _, j := range jobs {
		all = append(all, j.failed)
	}
	return errors.Join(slices.DeleteFunc(all, func(err error) bool { return err == nil })...)
}
