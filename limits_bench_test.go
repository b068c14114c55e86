//go:build linux

package main

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkLimitIdleMemory is what the program has in memory that runs no script.
func BenchmarkLimitIdleMemory(b *testing.B) {
	program := built(b)
	for b.Loop() {
		p := startBuilt(b, program, manyScripts(b, 0))
		b.ReportMetric(p.settled(b), "MB")
		p.end(b)
	}
	b.ReportMetric(16, "MB-limit")
}

// BenchmarkLimitScriptsMemory is what it has in memory with scripts of three series each,
// 1,000 of which run in a minute.
func BenchmarkLimitScriptsMemory(b *testing.B) {
	program := built(b)
	for _, of := range []struct{ scripts, limit int }{{1000, 35}, {5000, 120}, {10_000, 0}} {
		b.Run(fmt.Sprintf("scripts=%d", of.scripts), func(b *testing.B) {
			if of.scripts > 5000 && testing.Short() {
				b.Skip("not with -short")
			}
			for b.Loop() {
				p := startBuilt(b, program, manyScripts(b, of.scripts))
				b.ReportMetric(p.settled(b), "MB")
				p.end(b)
			}
			if of.limit > 0 {
				b.ReportMetric(float64(of.limit), "MB-limit")
			}
		})
	}
}

// BenchmarkLimitStart is the time from the start of the process to the first page, as
// the median of several starts.
func BenchmarkLimitStart(b *testing.B) {
	program := built(b)
	for _, scripts := range []int{0, 1000} {
		b.Run(fmt.Sprintf("scripts=%d", scripts), func(b *testing.B) {
			config := manyScripts(b, scripts)
			for b.Loop() {
				var took []time.Duration
				for range 9 {
					began := time.Now()
					p := startBuilt(b, program, config)
					p.get(b, "/", "")
					took = append(took, time.Since(began))
					p.end(b)
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms")
			}
			b.ReportMetric(50, "ms-limit")
		})
	}
}

// BenchmarkLimitBinary is the size of the program, as `make` and releases build it.
func BenchmarkLimitBinary(b *testing.B) {
	program := built(b)
	for b.Loop() {
		info, err := os.Stat(program)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(info.Size())/1e6, "MB")
	}
	b.ReportMetric(15, "MB-limit")
}

// BenchmarkLimitBinaryParts is what the program is made of: code and data of each module, of
// each of our folders, and of the standard library, and of what the linker makes of all, such
// as the table of lines, as much as the part has of the code.
func BenchmarkLimitBinaryParts(b *testing.B) {
	program := built(b)
	info, err := os.Stat(program)
	if err != nil {
		b.Fatal(err)
	}
	whole := float64(info.Size())
	code, data := symbolsByPart(b)
	var ofCode, ofData float64
	for _, size := range code {
		ofCode += size
	}
	for _, size := range data {
		ofData += size
	}
	const least = 100_000 // of a part of its own
	parts := map[string]float64{"rest": 0}
	for part := range maps.Keys(code) {
		size := data[part] + code[part]*(whole-ofData)/ofCode
		if size < least {
			part = "rest"
		}
		parts[part] += size
	}
	for _, part := range slices.SortedFunc(maps.Keys(parts), func(a, b string) int { return cmp.Compare(parts[b], parts[a]) }) {
		b.Run("kind="+part, func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(parts[part]/1e6, "MB")
			}
		})
	}
}

// symbolsByPart gives the bytes of code and of data that have a symbol, by what they are of.
func symbolsByPart(b *testing.B) (code, data map[string]float64) {
	b.Helper()
	output := func(args ...string) string {
		c := exec.Command("go", args...)
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		out, err := c.Output()
		if err != nil {
			b.Fatalf("go %q: %v", args, err)
		}
		return string(out)
	}
	modules := make(map[string]string)
	for line := range strings.Lines(output("list", "-deps", "-f", "{{.ImportPath}} {{with .Module}}{{.Path}}{{end}}", ".")) {
		if name, module, _ := strings.Cut(strings.TrimSpace(line), " "); module != "" {
			modules[name] = module
		}
	}
	program := filepath.Join(b.TempDir(), "scriptbridge")
	output("build", "-trimpath", "-buildvcs=false", "-o", program, ".")
	code, data = make(map[string]float64), make(map[string]float64)
	for line := range strings.Lines(output("tool", "nm", "-size", program)) {
		f := strings.Fields(line) // address, size, type, name
		if len(f) < 4 {
			continue
		}
		size, err := strconv.ParseFloat(f[1], 64)
		part := partOf(strings.ReplaceAll(f[3], "%2e", "."), modules)
		switch {
		case err != nil || size > 16<<20: // what is all zero takes no room in the file
		case strings.ContainsAny(f[2], "tT"):
			code[part] += size
		case strings.ContainsAny(f[2], "rR"):
			data[part] += size
		}
	}
	return code, data
}

// partOf says what a symbol is of.
func partOf(symbol string, modules map[string]string) string {
	symbol, _, _ = strings.Cut(symbol, "[") // of something generic: where that is written
	dir, name := path.Split(symbol)
	name, _, _ = strings.Cut(name, ".")
	pkg := dir + name
	own, ours := strings.CutPrefix(pkg, "scriptbridge/")
	top, _, _ := strings.Cut(strings.TrimPrefix(pkg, "vendor/"), "/")
	switch module := modules[pkg]; {
	case pkg == "main":
		return "ours:main"
	case ours:
		folder, _, _ := strings.Cut(own, "/")
		return "ours:" + folder
	case module != "":
		return strings.ReplaceAll(strings.TrimPrefix(module, "github.com/"), "/", ":")
	case strings.HasPrefix(pkg, "type:") || strings.HasPrefix(pkg, "go:"):
		return "types-and-tables"
	case strings.Contains(top, "golang.org"):
		return "go:vendor"
	default:
		return "go:" + top
	}
}

// BenchmarkLimitLook is what a look for changes costs that finds none, one of which is made
// every 30 seconds.
func BenchmarkLimitLook(b *testing.B) {
	for _, scripts := range []int{1000, 5000} {
		b.Run(fmt.Sprintf("scripts=%d", scripts), func(b *testing.B) {
			file := manyScripts(b, scripts)
			current, err := load(file, false, nil)
			if err != nil {
				b.Fatal(err)
			}
			look := func() {
				if next, err := loadAfter(current.Config, file, false, nil); err != nil || !next.equal(current) {
					b.Fatal("the configuration has changed", err)
				}
			}
			look() // which finds out what the current one is
			for b.Loop() {
				const looks = 20
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				cpu := ownCPU()
				for range looks {
					look()
				}
				cpu = ownCPU() - cpu
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/looks/float64(scripts), "B/script")
				b.ReportMetric(100*cpu.Seconds()/looks/30, "%core")
			}
		})
	}
}

// ownCPU is the CPU time of this process.
func ownCPU() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// built makes the program as releases do, but for its version.
func built(b *testing.B) string {
	b.Helper()
	program := filepath.Join(b.TempDir(), "scriptbridge")
	c := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", program, ".")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return program
}

// manyScripts writes a configuration by which n scripts run, 1,000 in a minute.
func manyScripts(b *testing.B, n int) (file string) {
	b.Helper()
	dir := b.TempDir()
	script := filepath.Join(dir, "queue.sh")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho \"queue_length{queue=\\\"$1\\\"} 3\nqueue_done{queue=\\\"$1\\\"} 12\nqueue_age{queue=\\\"$1\\\"} 0.5\"\n"), 0o700); err != nil {
		b.Fatal(err)
	}
	var text strings.Builder
	text.WriteString("scripts:\n")
	for i := range n {
		fmt.Fprintf(&text, "- {name: queue-%d, dialect: prometheus, command: %s %d, interval: %dm}\n", i, script, i, max(1, n/1000))
	}
	file = filepath.Join(dir, "scriptbridge.yml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	return file
}

// builtProgram is the program at work.
type builtProgram struct {
	cmd *exec.Cmd
	url string
}

// startBuilt starts the program, and gives it when it listens.
func startBuilt(b *testing.B, program, config string) *builtProgram {
	b.Helper()
	p := &builtProgram{cmd: exec.CommandContext(b.Context(), program, "--config.file="+config, "--web.listen-address=127.0.0.1:0", "--config.auto-reload-interval=2s")}
	log, err := p.cmd.StderrPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	lines := bufio.NewScanner(log)
	var text strings.Builder
	for p.url == "" {
		if !lines.Scan() {
			b.Fatalf("it does not listen:\n%s", &text)
		}
		text.WriteString(lines.Text() + "\n")
		if m := listeningOn.FindStringSubmatch(lines.Text()); m != nil {
			p.url = "http://" + m[1]
		}
	}
	go io.Copy(io.Discard, log)
	return p
}

// end ends the program, which must end well.
func (p *builtProgram) end(b *testing.B) {
	b.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		b.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		b.Fatal(err)
	}
}

// get reads a page to its end, and gives its status and text.
func (p *builtProgram) get(b *testing.B, path, accept string, encoding ...string) (status int, text string) {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, p.url+path, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Accept", accept)
	r.Header.Set("Accept-Encoding", strings.Join(append(encoding, "identity"), ", "))
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer answer.Body.Close()
	body := io.Reader(answer.Body)
	if answer.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gzip.NewReader(body); err != nil {
			b.Fatal(err)
		}
	}
	all, err := io.ReadAll(body)
	if err != nil {
		b.Fatal(err)
	}
	return answer.StatusCode, string(all)
}

// settled waits until every script has run, scrapes in each format, and gives the most
// that is resident in the seconds that follow, in which there are some looks for changes
// and some more scrapes: in MB.
func (p *builtProgram) settled(b *testing.B) (most float64) {
	b.Helper()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Minute)
	defer cancel()
	wait := func() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			b.Fatal("not all scripts have run")
		}
	}
	for running := regexp.MustCompile(`(?m)^scriptbridge_scripts_(running|waiting) [^0]`); ; wait() {
		if status, _ := p.get(b, "/-/ready", ""); status != http.StatusOK {
			continue
		}
		if _, page := p.get(b, "/metrics", ""); !running.MatchString(page) {
			break
		}
	}
	for range 2 { // what the first round needed is given back
		wait()
	}
	for i := range 10 {
		if i%5 == 0 {
			for _, accept := range []string{"text/plain;version=0.0.4", "application/openmetrics-text;version=1.0.0"} {
				p.get(b, "/metrics", accept)
				p.get(b, "/metrics", accept, "gzip")
			}
		}
		most = max(most, p.resident(b))
		wait()
	}
	return most
}

// resident is what the program has in memory, in MB.
func (p *builtProgram) resident(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	m := regexp.MustCompile(`VmRSS:\s*(\d+) kB`).FindSubmatch(status)
	if m == nil {
		b.Fatalf("no VmRSS:\n%s", status)
	}
	kB, err := strconv.Atoi(string(m[1]))
	if err != nil {
		b.Fatal(err)
	}
	return float64(kB) * 1024 / 1e6
}
