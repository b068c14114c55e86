package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// thisMachine says where and of what the figures are.
func thisMachine(root string) (string, error) {
	line := func(file, key string) string {
		text, _ := os.ReadFile(file)
		for scan := bufio.NewScanner(bytes.NewReader(text)); scan.Scan(); {
			if name, value, ok := strings.Cut(scan.Text(), ":"); ok && strings.TrimSpace(name) == key {
				return strings.TrimSpace(value)
			}
		}
		return "?"
	}
	output := func(name string, args ...string) (string, error) {
		cmd := exec.Command(name, args...)
		cmd.Dir = root
		out, err := cmd.Output()
		return strings.TrimSpace(string(out)), err
	}
	kernel, err := output("uname", "-sr")
	if err != nil {
		return "", err
	}
	kernel, _, _ = strings.Cut(kernel, "-") // what follows is who built it
	commit, err := output("git", "rev-parse", "--short", "HEAD")
	if err != nil {
		return "", err
	}
	memory, _ := strconv.ParseFloat(strings.TrimSuffix(line("/proc/meminfo", "MemTotal"), " kB"), 64)
	load, _ := os.ReadFile("/proc/loadavg")
	before, _, _ := strings.Cut(string(load), " ")
	return fmt.Sprintf("Measured on %s at commit %s: %s, %d cores (%s), %.0f GiB of memory, %s, %s. The load of the machine was %s before.\n",
		time.Now().UTC().Format("2006-01-02"), commit, line("/proc/cpuinfo", "model name"), runtime.NumCPU(), runtime.GOARCH,
		memory/(1<<20), kernel, runtime.Version(), before), nil
}

// writePage writes the figures between the marks of the page; the rest is by hand.
func writePage(file, machine string, jobs []*job, results []*result) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	inside := map[string]string{"the machine": machine, "growth": growthTable(results)}
	for _, part := range parts {
		inside["figures of "+part] = partTable(part, jobs, results)
	}
	for _, mark := range slices.Sorted(maps.Keys(inside)) {
		if text, err = replace(text, mark, inside[mark]); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return os.WriteFile(file, text, 0o644)
}

// replace puts a text between <!-- mark --> and <!-- end -->.
func replace(page []byte, mark, text string) ([]byte, error) {
	between := regexp.MustCompile(`(?s)(<!-- ` + regexp.QuoteMeta(mark) + ` -->\n).*?(<!-- end -->\n)`)
	if !between.Match(page) {
		return nil, fmt.Errorf("there is no `<!-- %s -->` with its `<!-- end -->`", mark)
	}
	return between.ReplaceAllFunc(page, func(old []byte) []byte {
		m := between.FindSubmatch(old)
		return slices.Concat(m[1], []byte(text), m[2])
	}), nil
}

func show(w io.Writer, jobs []*job, results []*result) error {
	for _, part := range append(slices.Clone(parts), "") {
		if table := partTable(part, jobs, results); table != "" {
			fmt.Fprintf(w, "%s\n\n%s\n", part, table)
		}
	}
	fmt.Fprint(w, growthTable(results))
	return failures(jobs)
}

// partTable has a row for each limit of the part's benchmarks.
func partTable(part string, jobs []*job, results []*result) string {
	if part == hosts {
		return hostsTable(results)
	}
	var rows strings.Builder
	for _, j := range jobs {
		if about := aboutOf(j.key()); about.part == part {
			all := families(slices.DeleteFunc(slices.Clone(results), func(r *result) bool { return r.job != j }))
			if !listRow(&rows, about, all) {
				for _, f := range all {
					familyRows(&rows, about, f)
				}
			}
			if why := j.why(); why != "" {
				fmt.Fprintf(&rows, "| %s | not measured: %s | | | | | |\n", about.title, why)
			}
		}
	}
	if rows.Len() == 0 {
		return ""
	}
	return "| what | figure | limit | of the limit | within | runs | besides |\n|---|---|---|---|---|---|---|\n" + rows.String()
}

// listRow makes one row of many figures that have neither limit nor size, such as the
// parts of something; it reports false for others.
func listRow(w io.Writer, about benchmark, all []family) bool {
	if len(all) < 9 {
		return false
	}
	var list []string
	for _, f := range all {
		if r := f[0]; len(r.figures) == 1 && !r.figures[0].limited && r.of == "" {
			list = append(list, r.config+" "+r.figures[0].text())
		}
	}
	if len(list) != len(all) {
		return false
	}
	fmt.Fprintf(w, "| %s | | | | | %s | %s |\n", about.title, all[0][0].figures[0].runs(), strings.Join(list, "; "))
	return true
}

// inOrder are the jobs in the order of the table of benchmarks.
func inOrder(jobs []*job) []*job {
	return slices.SortedStableFunc(slices.Values(jobs), func(a, b *job) int { return place(a) - place(b) })
}

func place(j *job) int {
	return slices.IndexFunc(benchmarks, func(b benchmark) bool { return b.key == j.key() })
}

func (j *job) why() string {
	if j.failed != nil {
		return "it failed"
	}
	if measured.Match(j.output) {
		return ""
	}
	return j.skipped
}

// familyRows adds the rows of a sub-benchmark: of each limit the size that is nearest to it,
// or beyond it; of a ratio to a rival, which is not the same thing at two sizes, each
// size; where there is no limit the largest size.
func familyRows(w io.Writer, about benchmark, f family) {
	type limit struct {
		unit  string
		value float64
		size  int // of a ratio
	}
	worst := make(map[limit]*result)
	var order []limit
	for _, r := range f {
		for _, g := range r.figures {
			if !g.limited {
				continue
			}
			l := limit{unit: g.unit, value: roundTo(g.limit, 2)}
			if strings.HasPrefix(g.unit, ratio) {
				l.size = r.size
			}
			if worst[l] == nil {
				order = append(order, l)
			}
			if was := worst[l]; was == nil || was.figure(g.unit).ratio() < g.ratio() {
				worst[l] = r
			}
		}
	}
	for i, l := range order {
		row(w, about, worst[l], l.unit, i == 0 || l.size != order[i-1].size)
	}
	if len(order) == 0 {
		last := f[len(f)-1]
		row(w, about, last, f.mainUnit(), true)
	}
}

// figure is nil where there is none in that unit.
func (r *result) figure(unit string) *figure {
	if i := slices.IndexFunc(r.figures, func(f figure) bool { return f.unit == unit }); i >= 0 {
		return &r.figures[i]
	}
	return nil
}

func row(w io.Writer, about benchmark, r *result, unit string, besides bool) {
	what := about.title
	if r.config != "" {
		what += ": " + r.config
	}
	if r.of != "" {
		what += "; " + counted(r.size, r.of)
	}
	f := r.figure(unit)
	if f == nil { // it reports a ratio and nothing else, and has no limit
		return
	}
	cells := []string{what, f.text(), "–", "–", "–", f.runs(), ""}
	if f.limited {
		cells[2], cells[3], cells[4] = number(f.limit)+" "+words(unit), number(f.ratio()), "yes"
		if f.ratio() > 1 {
			cells[4] = "**no**"
		}
		if f.limit == 0 {
			cells[3] = "–"
		}
	}
	if besides {
		var others []string
		for _, o := range r.figures {
			if !o.limited && o.unit != unit {
				others = append(others, o.text())
			}
		}
		cells[6] = strings.Join(others, "; ")
	}
	fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
}

// hostsTable has a row for each size, and a column for each unit.
func hostsTable(results []*result) string {
	var table strings.Builder
	for _, r := range results {
		if aboutOf(r.job.key()).part != hosts {
			continue
		}
		if table.Len() == 0 {
			heads := []string{"scripts", "series"}
			for _, f := range r.figures {
				heads = append(heads, words(f.unit))
			}
			fmt.Fprintf(&table, "| %s |\n%s|\n", strings.Join(heads, " | "), strings.Repeat("|---", len(heads)))
		}
		cells := []string{strings.TrimSuffix(r.config, " scripts"), count(r.size)}
		for _, f := range r.figures {
			cells = append(cells, number(f.value))
		}
		fmt.Fprintf(&table, "| %s |\n", strings.Join(cells, " | "))
	}
	return table.String()
}

func growthTable(results []*result) string {
	all := growths(results)
	var sizes []int
	for _, g := range all {
		sizes = append(sizes, g.sizes...)
	}
	slices.Sort(sizes)
	sizes = slices.Compact(sizes)
	var table strings.Builder
	head := "| what, in what | "
	for _, n := range sizes {
		head += count(n) + " | "
	}
	fmt.Fprintf(&table, "%ssteepest | last | whole | worse than linear |\n%s|\n", head, strings.Repeat("|---", len(sizes)+5))
	for _, g := range all {
		what := g.about.title
		if g.config != "" {
			what += ": " + g.config
		}
		cells := []string{fmt.Sprintf("%s, by %s, in %s", what, g.of, words(g.unit))}
		for _, n := range sizes {
			cell := ""
			if i := slices.Index(g.sizes, n); i >= 0 {
				cell = number(g.values[i])
			}
			cells = append(cells, cell)
		}
		verdict := "no"
		if g.tooSteep() {
			verdict = "**yes**"
		}
		steepest, last, whole := g.exponents()
		fmt.Fprintf(&table, "| %s | %.2f | %.2f | %.2f | %s |\n", strings.Join(cells, " | "), steepest, last, whole, verdict)
	}
	return table.String()
}

// words is a unit for people.
func words(unit string) string {
	if rival, ok := strings.CutPrefix(unit, "x-"); ok {
		return "× " + strings.ReplaceAll(rival, "-", " ")
	}
	unit = strings.ReplaceAll(unit, "%core", "% of a core")
	what, per, ok := strings.Cut(unit, "/")
	if rest, cpu := strings.CutPrefix(what, "cpu-"); cpu {
		what = rest + " of CPU"
	}
	if rival, rest, found := strings.Cut(what, "_exporter-"); found {
		what = strings.TrimPrefix(rest, "cpu-") + " of " + rival + "_exporter's"
	}
	what = strings.ReplaceAll(what, "-", " ")
	if !ok {
		return what
	}
	article := "a "
	if strings.ContainsRune("aeiou", rune(per[0])) || per == "hour" {
		article = "an "
	}
	return what + " " + article + strings.ReplaceAll(per, "-", " ")
}

// number has three digits that count.
func number(v float64) string {
	switch {
	case math.Abs(v) >= 1000:
		return count(int(math.Round(v)))
	case v == 0:
		return "0"
	}
	return strconv.FormatFloat(roundTo(v, 3), 'f', -1, 64)
}

func roundTo(v float64, digits int) float64 {
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'e', digits-1, 64), 64)
	return rounded
}

// text is the figure with its unit; of allocations, parts of a hundredth are of what a
// run needs once.
func (f figure) text() string {
	if strings.HasPrefix(f.unit, "allocs/") {
		return strconv.FormatFloat(f.value, 'f', 2, 64) + " " + words(f.unit)
	}
	return number(f.value) + " " + words(f.unit)
}

// counted are so many things.
func counted(n int, things string) string {
	if n == 1 && things != "series" {
		things = strings.TrimSuffix(things, "s")
	}
	return count(n) + " " + things
}

// count has commas.
func count(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
