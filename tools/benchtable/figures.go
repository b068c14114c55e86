package main

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// result is what one sub-benchmark reports.
type result struct {
	job     *job
	config  string // what it is about besides its size, for people
	of      string // what its size counts, such as series; empty if it has no size
	size    int
	figures []figure // in the order in which they are reported
}

// figure is the median of what one unit had in all runs.
type figure struct {
	unit           string
	value, limit   float64
	limited        bool
	lowest, most   float64
	limits, values []float64 // of the runs
}

// ratio is 1 at the limit, which may be none at all.
func (f figure) ratio() float64 {
	if f.value == f.limit {
		return 1
	}
	return f.value / f.limit
}

// spread is how far the runs are apart, of the median.
func (f figure) spread() float64 {
	if f.value == 0 {
		return 0
	}
	return (f.most - f.lowest) / f.value
}

// runs tells how many there were, and how far apart.
func (f figure) runs() string {
	if len(f.values) == 1 {
		return "1"
	}
	return fmt.Sprintf("%d, %.0f %% apart", len(f.values), 100*f.spread())
}

// sized are the keys of sub-benchmarks that are sizes.
var sized = []string{"series", "scripts", "samples", "lines", "events", "points", "values", "objects", "metrics"}

// testing's own units say nothing where an iteration is a whole measurement.
var testings = []string{"ns/op", "B/op", "allocs/op", "MB/s"}

const limitSuffix = "-limit"

// read gives what the jobs' outputs have.
func read(jobs []*job) (results []*result, err error) {
	for _, j := range jobs {
		byName := make(map[string]*result)
		reader := benchfmt.NewReader(bytes.NewReader(j.output), j.key())
		for reader.Scan() {
			got, ok := reader.Result().(*benchfmt.Result)
			if !ok {
				continue
			}
			name := string(got.Name.Full())
			r := byName[name]
			if r == nil {
				r = newResult(j, got.Name)
				byName[name] = r
				results = append(results, r)
			}
			for _, v := range got.Values {
				value, unit := v.Value, v.Unit
				if v.OrigUnit != "" {
					value, unit = v.OrigValue, v.OrigUnit
				}
				r.add(unit, value)
			}
		}
		if err := reader.Err(); err != nil {
			return nil, err
		}
	}
	for _, r := range results {
		r.settle()
	}
	return results, nil
}

func newResult(j *job, name benchfmt.Name) *result {
	r := &result{job: j}
	var about []string
	_, parts := name.Parts()
	for _, part := range parts {
		if part[0] == '-' { // GOMAXPROCS
			continue
		}
		key, value, named := strings.Cut(string(part[1:]), "=")
		value = strings.ReplaceAll(value, ":", "/") // which no name of a benchmark can have
		if n, err := strconv.Atoi(value); named && err == nil && slices.Contains(sized, key) {
			if r.of != "" { // the last one is the size
				about = append(about, counted(r.size, r.of))
			}
			r.of, r.size = key, n
			continue
		}
		switch {
		case !named:
			about = append(about, strings.ReplaceAll(key, "-", " "))
		case value == "true":
			about = append(about, key)
		case value == "false":
			about = append(about, "no "+key)
		case key == "kind" || key == "format" || key == "form":
			about = append(about, value)
		default:
			about = append(about, key+" "+value)
		}
	}
	r.config = strings.Join(about, ", ")
	return r
}

func (r *result) add(unit string, value float64) {
	if slices.Contains(testings, unit) {
		return
	}
	stem := strings.TrimSuffix(unit, limitSuffix)
	i := slices.IndexFunc(r.figures, func(f figure) bool { return f.unit == stem })
	if i < 0 {
		i = len(r.figures)
		r.figures = append(r.figures, figure{unit: stem})
	}
	if f := &r.figures[i]; stem == unit {
		f.values = append(f.values, value)
	} else {
		f.limits = append(f.limits, value)
	}
}

// settle makes medians of the runs. Those with a limit come first.
func (r *result) settle() {
	for i := range r.figures {
		f := &r.figures[i]
		f.value, f.limit, f.limited = median(f.values), median(f.limits), len(f.limits) > 0
		if len(f.values) > 0 {
			f.lowest, f.most = slices.Min(f.values), slices.Max(f.values)
		}
	}
	slices.SortStableFunc(r.figures, func(a, b figure) int {
		return cmp.Compare(strconv.FormatBool(b.limited), strconv.FormatBool(a.limited))
	})
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	values = slices.Sorted(slices.Values(values))
	return (values[len(values)/2] + values[(len(values)-1)/2]) / 2
}

// tellUnstable names the figures whose runs are far apart.
func tellUnstable(results []*result) {
	for _, r := range results {
		for _, f := range r.figures {
			if f.spread() > 0.25 && math.Abs(f.value) > 0.01 {
				fmt.Fprintf(os.Stderr, "unstable: %s %s %d: %s from %s to %s in %d runs\n", r.job.key(), r.config, r.size, f.unit, number(f.lowest), number(f.most), len(f.values))
			}
		}
	}
}
