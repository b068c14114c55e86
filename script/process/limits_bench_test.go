//go:build linux

package process

import (
	"bytes"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkLimitRun holds the processor time that this process itself needs for a
// run against that of a bare os/exec loop, which captures both streams of a process
// in a session of its own and sees to nothing else. The two take turns.
func BenchmarkLimitRun(b *testing.B) {
	for _, by := range []string{"marks", "cgroup"} {
		b.Run(by, func(b *testing.B) {
			l := testLauncher(b)
			if by == "marks" {
				withoutCgroups(l)
			} else if l.Contain(); l.Containment() != ByCgroup {
				b.Skip("no cgroup of version 2 may be written here")
			}
			c := Command{Args: []string{"/bin/echo", "M1 1"}, Env: []string{"PATH=/usr/bin:/bin"}, MaxOutput: 1 << 20, Stderr: func([]byte) {}}
			run := func() {
				if o := l.Run(b.Context(), c); o.Err != nil || string(o.Stdout) != "M1 1\n" {
					b.Fatal(o.Err)
				}
			}
			bare := func() {
				var stdout, stderr bytes.Buffer
				cmd := exec.Command(c.Args[0], c.Args[1:]...)
				cmd.Env, cmd.Stdout, cmd.Stderr = c.Env, &stdout, &stderr
				cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
				if err := cmd.Run(); err != nil || stdout.String() != "M1 1\n" {
					b.Fatal(err)
				}
			}
			var ours, theirs []time.Duration
			for b.Loop() {
				for range 40 {
					theirs = append(theirs, ownTime(bare, 25))
					ours = append(ours, ownTime(run, 25))
				}
			}
			b.ReportMetric(float64(median(ours).Nanoseconds())/1000, "cpu-µs/run")
			b.ReportMetric(float64(median(theirs).Nanoseconds())/1000, "cpu-µs/bare-run")
			b.ReportMetric(float64(median(ours))/float64(median(theirs)), "x-bare-loop")
			b.ReportMetric(1.15, "x-bare-loop-limit")
		})
	}
}

// ownTime gives the processor time that this process needs to do something, of so
// many times.
func ownTime(do func(), times int) time.Duration {
	runtime.GC() // of what the other one has left
	var before, after unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &before)
	for range times {
		do()
	}
	unix.Getrusage(unix.RUSAGE_SELF, &after)
	used := func(r *unix.Rusage) int64 { return r.Utime.Nano() + r.Stime.Nano() }
	return time.Duration(used(&after)-used(&before)) / time.Duration(times)
}

func median(all []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(all))[len(all)/2]
}
