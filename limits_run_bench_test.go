//go:build linux

package main

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// scriptsConfig is a configuration of n scripts, each of which runs the file script
// with its number.
func scriptsConfig(n int, interval string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "global: {interval: %s, timeout: 10s}\nscripts:\n", interval)
	for i := range n {
		fmt.Fprintf(&text, "  - {name: s%d, dialect: prometheus, command: [./script, %q]}\n", i, strconv.Itoa(i))
	}
	return text.String()
}

const manyScript = "#!/bin/sh\necho \"m $1\"\n"

// serveMany starts the bridge with n scripts, and waits for the end of their first
// round.
func serveMany(b *testing.B, n int, interval string) (p *programRun, url string) {
	p, url = serveFiles(b, map[string]string{"scriptbridge.yml": scriptsConfig(n, interval), "script": manyScript})
	for ready := false; !ready; {
		select {
		case <-p.done:
			b.Fatalf("it ended:\n%s", p.out.String())
		case <-time.After(100 * time.Millisecond):
		}
		answer, err := http.Get(url + "/-/ready")
		if err == nil {
			answer.Body.Close()
			ready = answer.StatusCode == http.StatusOK
		}
	}
	return p, url
}

// valuesByScript gives the sums of a health series by script.
func valuesByScript(page, name string) map[string]float64 {
	values := make(map[string]float64)
	for _, m := range regexp.MustCompile(`(?m)^`+name+`\{(?:[^}]*,)?script="(s\d+)"[^}]*\} (\S+)$`).FindAllStringSubmatch(page, -1) {
		value, _ := strconv.ParseFloat(m[2], 64)
		values[m[1]] += value
	}
	return values
}

// ownTimeOf is the processor time that a process itself has used, to the nanosecond.
func ownTimeOf(b *testing.B, pid int) time.Duration {
	const schedClock = 2 // CPUCLOCK_SCHED of linux/posix-timers.h
	var used unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedClock), &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Nano())
}

// BenchmarkLimitThousandScripts has 1,000 scripts run once a minute, and tells what of a
// processor the bridge itself needs for that, and how late they are, when the first round
// is over and they have spread over the minute.
func BenchmarkLimitThousandScripts(b *testing.B) {
	if testing.Short() {
		b.Skip("it plays two minutes")
	}
	const runs, waits = "scriptbridge_script_runs_total", "scriptbridge_script_wait_seconds_total"
	for b.Loop() {
		p, url := serveMany(b, 1000, "1m")
		page := func() string {
			text, err := pageAt(url + "/metrics")
			if err != nil {
				b.Fatal(err)
			}
			return text
		}
		<-time.After(65 * time.Second)
		before := page()
		began, used := time.Now(), ownTimeOf(b, p.cmd.Process.Pid)
		<-time.After(40 * time.Second)
		used = ownTimeOf(b, p.cmd.Process.Pid) - used
		took := time.Since(began)
		after := page()
		var late []float64
		had, has, ran, runsNow := valuesByScript(before, waits), valuesByScript(after, waits), valuesByScript(before, runs), valuesByScript(after, runs)
		for script, n := range runsNow {
			if n-ran[script] == 1 {
				late = append(late, has[script]-had[script])
			}
		}
		if len(late) < 300 {
			b.Fatalf("%d runs in %v", len(late), took)
		}
		slices.Sort(late)
		b.ReportMetric(100*used.Seconds()/took.Seconds(), "%core")
		b.ReportMetric(1, "%core-limit")
		b.ReportMetric(1000*late[len(late)*99/100], "ms-late-p99")
		b.ReportMetric(50, "ms-late-p99-limit")
		b.ReportMetric(float64(used.Microseconds())/float64(len(late)), "cpu-µs/run")
		p.signal(syscall.SIGTERM)
		<-p.done
	}
}

// BenchmarkLimitFirstRound holds the time of the first round, in which all scripts are due
// at once, against that of xargs with as many processes at a time as max_concurrent.
func BenchmarkLimitFirstRound(b *testing.B) {
	for _, n := range []int{1000, 10000} {
		b.Run(fmt.Sprintf("scripts=%d", n), func(b *testing.B) {
			if n > 1000 && testing.Short() {
				b.Skip("it starts 10,000 processes, twice")
			}
			var ours, theirs []float64
			for b.Loop() {
				for range 3 {
					p, url := serveMany(b, n, "1h")
					page, err := pageAt(url + "/metrics")
					if err != nil {
						b.Fatal(err)
					}
					ours = append(ours, roundOf(page))
					b.ReportMetric(float64(ownTimeOf(b, p.cmd.Process.Pid).Microseconds())/float64(n), "cpu-µs/run")
					p.signal(syscall.SIGTERM)
					<-p.done
					theirs = append(theirs, xargsTime(b, filepath.Join(p.dir, "script"), n))
					if n > 1000 {
						break
					}
				}
			}
			slices.Sort(ours)
			slices.Sort(theirs)
			b.ReportMetric(ours[len(ours)/2], "s/round")
			b.ReportMetric(theirs[len(theirs)/2], "s/xargs-round")
			b.ReportMetric(ours[len(ours)/2]/theirs[len(theirs)/2], "x-xargs")
			b.ReportMetric(1.2, "x-xargs-limit")
		})
	}
}

// roundOf is the time in seconds from the start of the first run to the end of the last
// one.
func roundOf(page string) float64 {
	ends, took := valuesByScript(page, "scriptbridge_script_last_run_timestamp_seconds"), valuesByScript(page, "scriptbridge_script_duration_seconds")
	var first, last float64
	for script, end := range ends {
		if start := end - took[script]; first == 0 || start < first {
			first = start
		}
		last = max(last, end)
	}
	return last - first
}

// xargsTime is the time in seconds that xargs takes for as many runs of a script.
func xargsTime(b *testing.B, script string, n int) float64 {
	cmd := exec.Command("xargs", "-P16", "-n1", script)
	var numbers strings.Builder
	for i := range n {
		fmt.Fprintln(&numbers, i)
	}
	cmd.Stdin = strings.NewReader(numbers.String())
	began := time.Now()
	if err := cmd.Run(); err != nil {
		b.Fatal(err)
	}
	return time.Since(began).Seconds()
}
