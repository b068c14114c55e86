package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"scriptbridge/internal/testkit"
	"scriptbridge/record"
	"scriptbridge/script/process/processtest"
)

// forEachContainment runs do with what may keep the processes of a run together in
// a program that starts no others. The tests that use it must not have any.
func forEachContainment(t *testing.T, do func(t *testing.T, l *Launcher)) {
	t.Run("cgroup", func(t *testing.T) { do(t, grouped(t)) })
	t.Run("marks", func(t *testing.T) {
		l := testLauncher(t)
		withoutCgroups(l)
		if !l.reaper.limits {
			t.Skip("the limit cannot be set here")
		}
		do(t, l)
	})
	t.Run("environment", func(t *testing.T) {
		l := testLauncher(t)
		withoutCgroups(l)
		l.reaper.limits = false
		do(t, l)
	})
}

// withoutCgroups contains the runs of l as on a system whose cgroups may not be
// written.
func withoutCgroups(l *Launcher) {
	l.Contain()
	if l.reaper.tree != nil {
		l.reaper.tree.Close()
		l.reaper.tree = nil
		l.reaper.grouped.Store(false)
	}
}

// escape is a program for python3 that leaves its run by all ways that there are:
// session, parent, limit, environment and descriptors, and calls then().
const escape = `
import os, resource, sys, time
def escape(mark):
    if os.fork(): return False
    os.setsid()
    if os.fork(): os._exit(0)
    os.setsid()
    for fd in range(3): os.close(fd)
    resource.setrlimit(RTTIME, (mark, -1))
    return True
RTTIME = 15
own = resource.getrlimit(RTTIME)[0]
tag = sys.argv[1]
def stay(): os.execve("/bin/sleep", ["sleep", tag], {})
`

// What leaves its run by all ways at once does not outlive it.
func TestRunEndsEscapes(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3, which escapes")
	}
	tests := []struct{ name, program string }{
		{"once", "if escape(-1): stay()"},
		{"deep", "if escape(-1):\n  for i in range(5):\n    if os.fork(): os.waitpid(-1, 0); os._exit(0)\n    os.setsid()\n  stay()"},
		{"many", "for i in range(40):\n  if escape(-1): stay()"},
		{"with another mark", "if escape(1 << 61 | 5): stay()"},
		{"with the mark of what is kept", "if escape(own | 1 << 40): stay()"},
		{"with the mark of a run that will be", "if escape(own + 1): stay()"},
		{"while it is awaited", "if escape(-1): stay()\ntime.sleep(0.05)"},
		{"with children of its own", "if escape(-1):\n  for i in range(5):\n    if not os.fork(): os.setsid(); stay()\n  stay()"},
		{"stopped", "if escape(-1): os.kill(os.getpid(), 19); stay()"},
		{"deaf", "import signal\nif escape(-1):\n  for s in (1, 2, 15): signal.signal(s, signal.SIG_IGN)\n  stay()"},
	}
	forEachContainment(t, func(t *testing.T, l *Launcher) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				tag := processtest.Tag()
				c := Command{Args: []string{python, "-c", escape + test.program, tag}, MaxOutput: 1 << 20}
				checkEnding(t, l.Run(t.Context(), c), ending{"", record.OK, 0, ""})
				if pids := processtest.Holding(tag); len(pids) > 0 {
					t.Errorf("processes %v live", pids)
				}
				checkNothingLeft(t, l)
			})
		}
		l.Close()
		if left := l.Left(); len(left) > 0 {
			t.Errorf("%v are left", left)
		}
	})
}

// Nor does a storm of processes that replace themselves, after they have escaped,
// whether or not another run goes on.
func TestRunEndsEscapedStorm(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3, which escapes")
	}
	// It breaks out when the main process has ended. Should it win, it ends by itself.
	const storm = `
r, w = os.pipe()
os.set_inheritable(r, True)
breakout = "import os, time; end = time.time() + 10\nos.read(%d, 1)\nwhile time.time() < end:\n  if os.fork(): os._exit(0)\n  os.setsid()" % r
for i in range(120):
    if escape(-1): os.execve(sys.executable, ["python3", "-c", breakout, tag], {})
open(tag, "w").close()
`
	forEachContainment(t, func(t *testing.T, l *Launcher) {
		for _, another := range []bool{false, true} {
			if another && !l.reaper.limits {
				continue // without limits it takes longer to see whose somebody is than to fork, unless we have priority
			}
			ctx, end := context.WithCancelCause(t.Context())
			var other sync.WaitGroup
			tag := processtest.Tag()
			if another {
				other.Go(func() { l.Run(ctx, shell("exec sleep "+tag)) })
				awaitCount(t, tag, 1)
			}
			sign := filepath.Join(t.TempDir(), "started")
			c := Command{Args: []string{python, "-c", escape + storm, sign}, MaxOutput: 1 << 20}
			o := l.Run(t.Context(), c)
			checkEnding(t, o, ending{"", record.OK, 0, ""})
			t.Logf("another run: %v; all was over %v after its end", another, time.Since(o.End))
			if _, err := os.Stat(sign); err != nil {
				t.Errorf("there was no storm: %v", err)
			}
			if pids := processtest.Holding(sign); len(pids) > 0 {
				t.Errorf("%d processes live", len(pids))
			}
			if another && len(processtest.Holding(tag)) != 1 {
				t.Error("the other run was ended")
			}
			end(errors.New("the test is over"))
			other.Wait()
			checkNothingLeft(t, l)
		}
	})
}

// What a run that goes on has started is left alone when another one ends, though
// it carries no mark, and ends with its own.
func TestRunEndsNoOther(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3, which sets limits")
	}
	const program = `
import os, resource, sys
if not os.fork():
    if os.fork(): os._exit(0)
    for fd in range(3): os.close(fd)
    resource.setrlimit(15, (-1, -1))
    os.execve("/bin/sleep", ["sleep", open("tag").read()], {})
os.wait()
open("ready", "w").close()
open("go").read()
print("done")
`
	forEachContainment(t, func(t *testing.T, l *Launcher) {
		tag, dir := processtest.Tag(), t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "tag"), []byte(tag), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"ready", "go"} {
			if err := unix.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		over := make(chan *Outcome)
		go func() {
			over <- l.Run(t.Context(), Command{Args: []string{python, "-c", program}, Dir: dir, MaxOutput: 100})
		}()
		if _, err := os.ReadFile(filepath.Join(dir, "ready")); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			checkEnding(t, l.Run(t.Context(), shell("setsid sleep 600 >/dev/null 2>&1 & echo a")), ending{"a\n", record.OK, 0, ""})
		}
		awaitCount(t, tag, 1)
		if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0); err != nil {
			t.Fatal(err)
		}
		if got := endingOf(<-over); got != (ending{"done\n", record.OK, 0, ""}) {
			t.Errorf("outcome %+v", got)
		}
		if pids := processtest.Holding(tag); len(pids) > 0 {
			t.Errorf("processes %v live", pids)
		}
		checkNothingLeft(t, l)
	})
}

// Nor is what has its mark and is in the midst of an exec, when it cannot be seen.
func TestRunEndsNoOtherInExec(t *testing.T) {
	again := processtest.WriteScript(t, "again", "#!/bin/sh\nexec $0 $1\n", 0o755)
	forEachContainment(t, func(t *testing.T, l *Launcher) {
		tag := processtest.Tag()
		ctx, end := context.WithCancelCause(t.Context())
		over := make(chan *Outcome)
		go func() {
			over <- l.Run(ctx, shell(fmt.Sprintf("for i in 1 2 3; do setsid sh -c '%s %s &' >/dev/null 2>&1; done; exec sleep 600", again, tag)))
		}()
		awaitCount(t, tag, 3)
		for range 40 {
			checkEnding(t, l.Run(t.Context(), shell("setsid sleep 600 >/dev/null 2>&1 & echo a")), ending{"a\n", record.OK, 0, ""})
		}
		awaitCount(t, tag, 3)
		end(errors.New("the test is over"))
		if o := <-over; o.Result != record.Killed {
			t.Errorf("outcome %+v", o)
		}
		if pids := processtest.Holding(tag); len(pids) > 0 {
			t.Errorf("processes %v live", pids)
		}
		checkNothingLeft(t, l)
	})
}

// What a run may leave behind goes on after the end of the bridge, which tells it;
// without marks it may be such a run's and goes on as well, unless a cgroup says
// whose it is.
func TestContainedRunKeeps(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3, which escapes")
	}
	forEachContainment(t, func(t *testing.T, l *Launcher) {
		tag, other := processtest.Tag(), processtest.Tag()+"1"
		keep := shell("setsid sleep " + tag + " >/dev/null 2>&1 &")
		keep.Keep = true
		checkEnding(t, l.Run(t.Context(), keep), ending{"", record.OK, 0, ""})
		checkEnding(t, l.Run(t.Context(), Command{Args: []string{python, "-c", escape + "r, w = os.pipe()\nif escape(-1): stay()\nos.close(w)\nos.read(r, 1)", other}}), ending{"", record.OK, 0, ""})
		if l.Containment() != ByCgroup {
			awaitCount(t, other, 1)
		}
		escaped := processtest.Holding(other)
		if l.Containment() == ByCgroup && len(escaped) > 0 {
			t.Errorf("escaped processes %v", escaped)
		}
		l.Close()
		kept := processtest.Holding(tag)
		if len(kept) != 1 {
			t.Fatalf("kept processes %v", kept)
		}
		want := []Leftover{{kept[0], "sleep", true}}
		for _, pid := range escaped {
			want = append(want, Leftover{pid, "sleep", false})
		}
		if got := l.Left(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("left %v, want %v", got, want)
		}
		for _, pid := range append(kept, escaped...) {
			unix.Kill(pid, unix.SIGKILL)
			unix.Wait4(pid, nil, 0, nil)
		}
		if got := l.Left(); len(got) > 0 {
			t.Errorf("left %v", got)
		}
	})
}

// Who was our child before is no run's, nor is what is in its session or in ours,
// whenever it became our child; what escapes from a run is told from them.
func TestContainLeavesStrangersAlone(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3, which escapes")
	}
	dir := t.TempDir()
	if err := unix.Mkfifo(filepath.Join(dir, "go"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := processtest.Tag()
	helper := exec.Command("setsid", "sh", "-c", fmt.Sprintf("sleep %s & (read x <go; sleep %[1]s & ); exec sleep %[1]s", before))
	helper.Dir = dir
	if err := helper.Start(); err != nil {
		t.Fatal(err)
	}
	var release sync.Once
	forEachContainment(t, func(t *testing.T, l *Launcher) {
		late := exec.Command("sleep", "600")
		if err := late.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { late.Process.Kill(); late.Wait() }()
		release.Do(func() { // the helper leaves us a child, which the first launcher has not seen before
			if err := os.WriteFile(filepath.Join(dir, "go"), []byte("x\n"), 0); err != nil {
				t.Fatal(err)
			}
			testkit.Await(t, "a child of the helper's", func() bool { return len(children()) == 3 })
		})
		tag := processtest.Tag()
		c := Command{Args: []string{python, "-c", escape + "for i in range(9):\n  if escape(-1): stay()", tag}, MaxOutput: 1 << 20}
		checkEnding(t, l.Run(t.Context(), c), ending{"", record.OK, 0, ""})
		if escaped := processtest.Holding(tag); len(escaped) > 0 {
			t.Errorf("processes %v live", escaped)
		}
		l.Close()
		if left := l.Left(); len(left) > 0 {
			t.Errorf("left %v", left)
		}
		if n := len(processtest.Holding(before)); n != 3 {
			t.Errorf("%d of the helper's processes live, not 3", n)
		}
		if exited(late.Process.Pid) {
			t.Error("the late one was ended")
		}
	})
	for _, pid := range processtest.Holding(before) {
		unix.Kill(pid, unix.SIGKILL)
		unix.Wait4(pid, nil, 0, nil)
	}
}

// A group is gone with its run, also with one that could not be started, and the
// folder with the launcher.
func TestRunRemovesItsGroup(t *testing.T) {
	l := testLauncher(t)
	l.Contain()
	if l.Containment() != ByCgroup {
		t.Skip("no cgroup of version 2 may be written here")
	}
	groups := func() []string {
		found, _ := filepath.Glob(filepath.Join(l.reaper.tree.Folder(), "*-*"))
		return found
	}
	o := l.Run(t.Context(), shell("cat /proc/self/cgroup; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"))
	if !strings.Contains(string(o.Stdout), "/run-") {
		t.Errorf("it ran in %s", o.Stdout)
	}
	if o.User+o.System <= 0 {
		t.Errorf("it took no processor time: %+v", o)
	}
	l.Run(t.Context(), shell("setsid sleep 600 &"))
	l.Run(t.Context(), Command{Args: []string{processtest.WriteScript(t, "lost", "#!/no/such/interpreter\n", 0o755)}})
	if left := groups(); len(left) > 0 {
		t.Errorf("groups are left: %v", left)
	}
	l.Close()
	if _, err := os.Stat(l.reaper.tree.Folder()); err == nil {
		t.Errorf("the folder is left: %v", groups())
	}
}

// Runs go on where their groups cannot be made any more.
func TestRunWithoutItsFolder(t *testing.T) {
	l := testLauncher(t)
	l.Contain()
	if l.Containment() != ByCgroup {
		t.Skip("no cgroup of version 2 may be written here")
	}
	l.reaper.tree.Close()
	checkEnding(t, l.Run(t.Context(), shell("setsid sleep 600 >/dev/null 2>&1 & echo a")), ending{"a\n", record.OK, 0, ""})
	if got := l.Containment(); got != ByMarks {
		t.Errorf("contained by %s", got)
	}
	checkNothingLeft(t, l)
}

// What a run costs by what contains it: its own processor time and ours.
func BenchmarkRunContained(b *testing.B) {
	for _, by := range []string{"nothing", "marks", "cgroup"} {
		b.Run(by, func(b *testing.B) {
			l := testLauncher(b)
			switch by {
			case "marks":
				withoutCgroups(l)
			case "cgroup":
				l.Contain()
				if l.Containment() != ByCgroup {
					b.Skip("no cgroup of version 2 may be written here")
				}
			}
			before := processorTime()
			for b.Loop() {
				if o := l.Run(b.Context(), Command{Args: []string{"/bin/true"}, MaxOutput: 1 << 20}); o.Err != nil {
					b.Fatal(o.Err)
				}
			}
			b.ReportMetric(float64((processorTime()-before).Microseconds())/float64(b.N), "cpu-µs/op")
		})
	}
}

func processorTime() (sum time.Duration) {
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var used unix.Rusage
		unix.Getrusage(who, &used)
		sum += time.Duration(used.Utime.Nano() + used.Stime.Nano())
	}
	return sum
}
