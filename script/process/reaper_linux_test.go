package process

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"scriptbridge/record"
	"scriptbridge/script/process/processtest"
)

// marked lists the living processes of the whole machine that carry the mark
// of one of l's runs.
func marked(l *Launcher) []int {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	var pids []int
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if cmdline, _ := os.ReadFile(dir + "/cmdline"); len(cmdline) > 0 && l.reaper.owner(pid) != 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// checkNothingLeft fails if anything of l's runs lives, or if this process has
// any child at all, zombies included.
func checkNothingLeft(t *testing.T, l *Launcher) {
	t.Helper()
	if pids := marked(l); len(pids) > 0 {
		t.Errorf("processes %v of ended runs live", pids)
	}
	err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	if !errors.Is(err, unix.ECHILD) {
		left := scannedChildren()
		t.Errorf("%d children are left: %v", len(left), left[:min(len(left), 20)])
	}
}

// forEachMark runs do with both carriers of the mark, and with the environment
// alone, as on a system that does not let us set limits.
func forEachMark(t *testing.T, do func(t *testing.T, l *Launcher)) {
	t.Run("limit", func(t *testing.T) {
		l := testLauncher(t)
		if !l.reaper.limits {
			t.Skip("the limit cannot be set here")
		}
		do(t, l)
	})
	t.Run("environment", func(t *testing.T) {
		l := testLauncher(t)
		l.reaper.limits, l.reaper.strangers = false, true
		do(t, l)
	})
}

func TestRunLeavesNothing(t *testing.T) {
	tests := []struct{ name, text string }{
		{"background child", "sleep TAG &"},
		{"background child, quiet", "sleep TAG >/dev/null 2>&1 &"},
		{"another session", "setsid sleep TAG >/dev/null 2>&1 &"},
		{"double fork", "setsid sh -c 'setsid sleep TAG & exit' >/dev/null 2>&1"},
		{"a tree of sessions", "setsid sh -c 'setsid sh -c \"setsid sleep TAG & sleep TAG\" & sleep TAG' >/dev/null 2>&1 & sleep 0.1"},
		{"ignores signals", "trap '' TERM HUP INT; setsid sleep TAG >/dev/null 2>&1 &"},
		{"replaces its child", "setsid sh -c 'while :; do sleep TAG; done' >/dev/null 2>&1 &"},
		{"stopped", "setsid sh -c 'kill -STOP $$; sleep TAG' >/dev/null 2>&1 &"},
		{"zombies", "setsid sh -c 'sleep 0 & exec sleep TAG' >/dev/null 2>&1 & setsid true"},
	}
	forEachMark(t, func(t *testing.T, l *Launcher) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				tag := processtest.Tag()
				o := l.Run(t.Context(), shell(strings.ReplaceAll(test.text, "TAG", tag)))
				checkEnding(t, o, ending{"", record.OK, 0, ""})
				if pids := processtest.Holding(tag); len(pids) > 0 {
					t.Errorf("processes %v live", pids)
				}
				checkNothingLeft(t, l)
			})
		}
	})
}

// A child that had the mark of an ended run when it was looked at, and has none any
// more when it is judged, is about to die: what it has started becomes our child then,
// and is waited for.
func TestSweepAwaitsTheDying(t *testing.T) {
	l := testLauncher(t)
	l.reaper.limits, l.reaper.strangers = false, true
	pid, err := syscall.ForkExec("/bin/true", []string{"true"}, &syscall.ProcAttr{})
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	if seen := l.reaper.look(pid); seen != (sight{}) {
		t.Fatalf("a zombie shows %+v", seen)
	}
	l.reaper.mu.Lock()
	defer l.reaper.mu.Unlock()
	if !l.reaper.settle(pid, sight{l.reaper.base | 1, true}) {
		t.Error("nobody waits for it")
	}
}

// The number of a process that was stopped, and is gone, is another's soon.
func TestStormForgetsTheDead(t *testing.T) {
	l := testLauncher(t)
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	stopped := map[int]bool{dead.Process.Pid: true}
	if l.reaper.signalEnded(unix.SIGSTOP, stopped); len(stopped) > 0 {
		t.Errorf("%v are held for stopped", stopped)
	}
}

func TestRunLeavesNothingAfterTimeout(t *testing.T) {
	forEachMark(t, func(t *testing.T, l *Launcher) {
		tag := processtest.Tag()
		c := shell("setsid sleep " + tag + " & sleep " + tag + " & wait")
		c.Timeout = 200 * time.Millisecond
		o := l.Run(t.Context(), c)
		checkEnding(t, o, ending{"", record.Timeout, -1, "was ended after its timeout of 200ms"})
		if pids := processtest.Holding(tag); len(pids) > 0 {
			t.Errorf("processes %v live", pids)
		}
		checkNothingLeft(t, l)
	})
}

// Whoever clears its environment is found by its limit.
func TestRunLeavesNothingWithoutEnvironment(t *testing.T) {
	l := testLauncher(t)
	if !l.reaper.limits {
		t.Skip("the limit cannot be set here")
	}
	for _, text := range []string{
		"setsid env -i sleep TAG >/dev/null 2>&1 &",
		"env -i setsid sh -c 'setsid sleep TAG & sleep TAG' >/dev/null 2>&1 &",
	} {
		tag := processtest.Tag()
		checkEnding(t, l.Run(t.Context(), shell(strings.ReplaceAll(text, "TAG", tag))), ending{"", record.OK, 0, ""})
		if pids := processtest.Holding(tag); len(pids) > 0 {
			t.Errorf("%s: processes %v live", text, pids)
		}
		checkNothingLeft(t, l)
	}
}

// Nobody outruns the reaper: storms are processes that replace themselves
// faster than one could look.
func TestRunLeavesNothingOfAStorm(t *testing.T) {
	perl, err := exec.LookPath("perl")
	if err != nil {
		t.Skip("no perl, which would fork without exec")
	}
	tests := []struct{ name, program string }{
		{"in one group", `setsid; while (time < $end) { exit if fork }`},
		{"a group each", `while (time < $end) { setsid; exit if fork }`},
		{"guards", `while (time < $end) { setsid; my $p = fork; waitpid($p, 0) if $p }`},
	}
	l := testLauncher(t)
	if !l.reaper.limits {
		t.Skip("the limit cannot be set here")
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			// Should it win, it ends by itself.
			program := `my $end = time + 5; open F, ">", shift; exit if fork; ` + test.program
			sign := filepath.Join(t.TempDir(), "started")
			o := l.Run(t.Context(), shell(fmt.Sprintf(`for i in 1 2 3; do %s -MPOSIX=setsid -e '%s' %s >/dev/null 2>&1; done`,
				perl, program, sign)))
			checkEnding(t, o, ending{"", record.OK, 0, ""})
			if _, err := os.Stat(sign); err != nil {
				t.Errorf("there was no storm: %v", err)
			}
			checkNothingLeft(t, l)
		})
	}
}

// What is not ours is neither killed nor reaped, whoever's child it has become.
func TestRunLeavesStrangersAlone(t *testing.T) {
	l := testLauncher(t)
	if !l.reaper.limits {
		t.Skip("the limit cannot be set here")
	}
	living := exec.Command("sleep", "600")
	dead := exec.Command("true")
	for _, cmd := range []*exec.Cmd{living, dead} {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Waitid(unix.P_PID, dead.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	checkEnding(t, l.Run(t.Context(), shell("setsid sleep 600 >/dev/null 2>&1 &")), ending{"", record.OK, 0, ""})
	if err := dead.Wait(); err != nil {
		t.Errorf("the dead one: %v", err)
	}
	if err := living.Process.Signal(unix.SIGTERM); err != nil {
		t.Errorf("the living one: %v", err)
	}
	if err := living.Wait(); err == nil || err.Error() != "signal: terminated" {
		t.Errorf("the living one: %v", err)
	}
}

// Two launchers do not disturb each other.
func TestLaunchersApart(t *testing.T) {
	one, two := testLauncher(t), testLauncher(t)
	var wg sync.WaitGroup
	for _, l := range []*Launcher{one, two} {
		for range 20 {
			wg.Go(func() {
				o := l.Run(t.Context(), shell("setsid sleep 600 >/dev/null 2>&1 & sleep 0.02; echo a"))
				if got := endingOf(o); got != (ending{"a\n", record.OK, 0, ""}) {
					t.Errorf("outcome %+v", got)
				}
			})
		}
	}
	wg.Wait()
	one.Close()
	two.Close()
	checkNothingLeft(t, one)
	checkNothingLeft(t, two)
}

// A kept run's descendants survive its end and the launcher's; that they are
// reaped when they die is the launcher's business still.
func TestRunKeeps(t *testing.T) {
	forEachMark(t, func(t *testing.T, l *Launcher) {
		tag := processtest.Tag()
		c := shell("sleep TAG >/dev/null 2>&1 & setsid sleep TAG >/dev/null 2>&1 & tr '\\0' '\\n' </proc/$$/environ | grep -c ^SCRIPTBRIDGE_RUN=keep-")
		c.Args[2] = strings.ReplaceAll(c.Args[2], "TAG", tag)
		c.Keep = true
		checkEnding(t, l.Run(t.Context(), c), ending{"1\n", record.OK, 0, ""})
		checkEnding(t, l.Run(t.Context(), shell("echo another run")), ending{"another run\n", record.OK, 0, ""})
		l.Close()
		pids := processtest.Holding(tag)
		if len(pids) != 2 {
			t.Errorf("processes %v live, want two", pids)
		}
		for _, pid := range pids {
			unix.Kill(pid, unix.SIGKILL)
			unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		}
		l.Run(t.Context(), shell(""))
		checkNothingLeft(t, l)
	})
}

// A script that starts another daemon with each run is not started for ever; others
// are, and so is it when some of its daemons have ended.
func TestRunKeepsABoundedNumber(t *testing.T) {
	forEachMark(t, func(t *testing.T, l *Launcher) {
		tag := processtest.Tag()
		c := shell("setsid sleep " + tag + " >/dev/null 2>&1 & echo started")
		c.Keep, c.Owner = true, "one"
		for range mostKept {
			checkEnding(t, l.Run(t.Context(), c), ending{"started\n", record.OK, 0, ""})
		}
		for range 2 {
			checkEnding(t, l.Run(t.Context(), c), ending{"", record.Error, -1, "was not started: 16 earlier runs have left processes that still run (end those that are not needed, or leave out descendants: keep)"})
		}
		quiet := shell("echo nothing is left")
		quiet.Keep, quiet.Owner = true, "another"
		for range mostKept + 1 {
			checkEnding(t, l.Run(t.Context(), quiet), ending{"nothing is left\n", record.OK, 0, ""})
		}
		end := func(pid int) {
			unix.Kill(pid, unix.SIGKILL)
			unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		}
		end(processtest.Holding(tag)[0])
		checkEnding(t, l.Run(t.Context(), c), ending{"started\n", record.OK, 0, ""})
		for left := mostKept; left > 0; { // one that is in an exec holds nothing for a moment
			for _, pid := range processtest.Holding(tag) {
				end(pid)
				left--
			}
		}
		l.Run(t.Context(), shell(""))
		checkNothingLeft(t, l)
	})
}

// A timeout ends a kept run's group nevertheless.
func TestRunKeepsNotAfterTimeout(t *testing.T) {
	l := testLauncher(t)
	tag := processtest.Tag()
	c := shell("sleep " + tag + " & wait")
	c.Keep, c.Timeout = true, 100*time.Millisecond
	checkEnding(t, l.Run(t.Context(), c), ending{"", record.Timeout, -1, "was ended after its timeout of 100ms"})
	if pids := processtest.Holding(tag); len(pids) > 0 {
		t.Errorf("processes %v live", pids)
	}
}

// Runs at the same time keep apart: none ends another's processes, all end
// their own, and no descriptor stays open.
func TestRunConcurrently(t *testing.T) {
	l := testLauncher(t)
	l.Run(t.Context(), shell("echo warm")) // opens what the runtime keeps open
	before := openFiles(t)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			c := shell(fmt.Sprintf("setsid sleep 600 >/dev/null 2>&1 & setsid sh -c 'sleep 0.0%d; setsid sleep 600 &' >/dev/null 2>&1; "+
				"sleep 0.0%d & wait $!; cat; echo err >&2; exit %d", i, i, i%3))
			c.Stdin = fmt.Appendf(nil, "input %d\n", i)
			want := ending{string(c.Stdin), record.OK, 0, ""}
			if code := i % 3; code != 0 {
				want = ending{want.Stdout, record.Error, code, fmt.Sprintf("exited with code %d", code)}
			}
			o := l.Run(t.Context(), c)
			if diff := cmp.Diff(want, endingOf(o)); diff != "" {
				t.Errorf("run %d (-want +got):\n%s", i, diff)
			}
		})
	}
	wg.Wait()
	checkNothingLeft(t, l)
	if len(l.reaper.live) != 0 || len(l.reaper.stuck) != 0 {
		t.Errorf("runs %v live, %v are stuck", l.reaper.live, l.reaper.stuck)
	}
	if after := openFiles(t); len(after) > len(before) {
		t.Errorf("open before: %v, after: %v", before, after)
	}
}

func openFiles(t *testing.T) []string {
	t.Helper()
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, n := range names {
		to, _ := os.Readlink("/proc/self/fd/" + n)
		files = append(files, n+" "+to)
	}
	slices.Sort(files)
	return files
}

// No start fails into a leak either.
func TestRunCannotBeStartedLeaksNothing(t *testing.T) {
	l := testLauncher(t)
	l.Run(t.Context(), shell("echo warm"))
	lost := processtest.WriteScript(t, "lost", "#!/no/such/interpreter\n", 0o755)
	before := openFiles(t)
	for range 20 {
		c := Command{Args: []string{lost}, Stdin: []byte("x")}
		if o := l.Run(t.Context(), c); o.Result != record.Error {
			t.Fatalf("result %s, error %v", o.Result, o.Err)
		}
	}
	checkNothingLeft(t, l)
	if after := openFiles(t); len(after) > len(before) {
		t.Errorf("open before: %v, after: %v", before, after)
	}
	if len(l.reaper.live) != 0 {
		t.Errorf("runs %v live", l.reaper.live)
	}
}

// Our own limit is our own again after every start.
func TestLimitRestored(t *testing.T) {
	var before, after unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_RTTIME, nil, &before); err != nil {
		t.Fatal(err)
	}
	l := testLauncher(t)
	l.Run(t.Context(), shell("echo a"))
	l.Run(t.Context(), Command{Args: []string{"/"}})
	if err := unix.Prlimit(0, unix.RLIMIT_RTTIME, nil, &after); err != nil {
		t.Fatal(err)
	}
	if before != after {
		t.Errorf("limit %+v, was %+v", after, before)
	}
}

// siblingOf names what TestRunLeavesNoSiblings, started by a script, is to run as its
// own sibling.
const siblingOf = "SCRIPTBRIDGE_TEST_SIBLING"

// Who is born as the sibling of its parent is the child of the thread of ours that
// started the run, and of no other; it ends with its run all the same, whatever thread
// that was and whatever else runs.
func TestRunLeavesNoSiblings(t *testing.T) {
	if tag := os.Getenv(siblingOf); tag != "" {
		sleep := exec.Command("sleep", tag)
		sleep.Env = []string{}
		sleep.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: unix.CLONE_PARENT}
		if err := sleep.Start(); err != nil {
			t.Fatal(err)
		}
		return
	}
	forEachContainment(t, func(t *testing.T, l *Launcher) {
		ctx, end := context.WithCancelCause(t.Context())
		var others sync.WaitGroup
		for range 3 {
			others.Go(func() { l.Run(ctx, shell("exec sleep 600")) })
		}
		for range 8 {
			done := make(chan struct{})
			go func() { // by a thread of its own, which then ends with its goroutine
				defer close(done)
				runtime.LockOSThread()
				tag := processtest.Tag()
				c := Command{Args: []string{os.Args[0], "-test.run=^TestRunLeavesNoSiblings$"}, Env: append(os.Environ(), siblingOf+"="+tag), MaxOutput: 1 << 20}
				if o := l.Run(t.Context(), c); o.Err != nil {
					t.Errorf("%v, %s", o.Err, o.Stdout)
				}
				if pids := processtest.Holding(tag); len(pids) > 0 {
					t.Errorf("processes %v live", pids)
				}
			}()
			<-done
		}
		end(errors.New("the test is over"))
		others.Wait()
		checkNothingLeft(t, l)
	})
}

// A run that is followed without a descriptor for its process ends as any other.
func TestRunWithoutPidfd(t *testing.T) {
	l := testLauncher(t)
	l.reaper.pidfds = false
	checkEnding(t, l.Run(t.Context(), shell("echo a; exit 3")), ending{"a\n", record.Error, 3, "exited with code 3"})
	c := shell("trap '' TERM; echo a; sleep 600")
	c.Timeout = 200 * time.Millisecond
	checkEnding(t, l.Run(t.Context(), c), ending{"a\n", record.Timeout, -1, "was ended after its timeout of 200ms"})
	ctx, cancel := context.WithCancelCause(t.Context())
	c = shell("echo a >&2; exec sleep 600")
	c.Stderr = func([]byte) { cancel(errors.New("enough")) }
	checkEnding(t, l.Run(ctx, c), ending{"", record.Killed, -1, "was ended before it was done: enough"})
	checkNothingLeft(t, l)
}

// A time that poll(2) cannot be told is none that never comes.
func TestPollTime(t *testing.T) {
	for _, test := range []struct {
		wake time.Time
		want int
	}{
		{time.Time{}, -1},
		{time.Now().Add(-time.Hour), 0},
		{time.Now().Add(25 * 24 * time.Hour), math.MaxInt32},
		{time.Now().Add(51 * 24 * time.Hour), math.MaxInt32},
	} {
		if got := pollTime(test.wake); got != test.want {
			t.Errorf("until %v: %d", test.wake, got)
		}
	}
}

// A process that survives SIGKILL is said, and waited for as long as the
// context goes on. Here it is one of which nobody hears that it has ended.
func TestSuperviseUnkillable(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var logged []string
	l := NewLauncher(log.LoggerFunc(func(keyvals ...any) error {
		logged = append(logged, fmt.Sprint(keyvals[3]))
		cancel()
		return nil
	}))
	c := shell("exec sleep 600")
	c.Timeout = time.Millisecond
	s, err := newStreams(&c)
	if err != nil {
		t.Fatal(err)
	}
	p, err := l.start(&c, files{os.Stdin, s.theirs[1], s.theirs[2]})
	s.begin(err == nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		p.wait()
		p.finish(true)
		s.cut()
	}()
	dead := *p
	if dead.pidfd, err = unix.PidfdOpen(os.Getpid(), 0); err != nil {
		t.Skipf("the end of a process cannot be polled here: %v", err)
	}
	defer unix.Close(dead.pidfd)
	var o Outcome
	why := l.supervise(ctx, &c, &dead, s, &o)
	if why == nil || why.result != record.Timeout || !o.End.IsZero() {
		t.Errorf("got %+v, end %v; want a timeout and no end", why, o.End)
	}
	want := []string{"a process does not end though it was killed; perhaps it waits for a dead disk or file server"}
	if diff := cmp.Diff(want, logged); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestListedChildren(t *testing.T) {
	tasks := t.TempDir()
	if _, err := listedChildren(tasks); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without lists: error %v", err)
	}
	for thread, list := range map[string]string{"10": "11 12 ", "13": "", "14": "15 "} {
		if err := os.Mkdir(filepath.Join(tasks, thread), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(tasks, thread, "children"), []byte(list), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := listedChildren(tasks)
	if err != nil || !slices.Equal(got, []int{11, 12, 15}) {
		t.Errorf("got %v, error %v", got, err)
	}
}

// The two ways to list children agree, where the kernel has both.
func TestChildren(t *testing.T) {
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	if got := scannedChildren(); !slices.Equal(got, []int{cmd.Process.Pid}) {
		t.Errorf("by scanning: %v, want %d alone", got, cmd.Process.Pid)
	}
	if got, err := listedChildren("/proc/self/task"); err == nil && !slices.Equal(got, []int{cmd.Process.Pid}) {
		t.Errorf("by lists: %v, want %d alone", got, cmd.Process.Pid)
	}
}

// kill ends what runs, what is just being started, and what left its group, and
// starts nothing any more.
func TestKill(t *testing.T) {
	forEachMark(t, func(t *testing.T, l *Launcher) {
		tag := processtest.Tag()
		c := shell("trap '' TERM; setsid sleep " + tag + " >/dev/null 2>&1 & sleep " + tag)
		var over sync.WaitGroup
		for range 8 {
			over.Go(func() { // again and again, so that some are being started
				for {
					if o := l.Run(t.Context(), c); o.Result != record.Killed {
						t.Errorf("a run ended with %s, %v", o.Result, o.Err)
					} else if errors.Is(o.Err, errDead) {
						return
					}
				}
			})
		}
		awaitCount(t, tag, 16)
		l.Kill()
		over.Wait()
		if pids := processtest.Holding(tag); len(pids) > 0 {
			t.Errorf("processes %v live", pids)
		}
		checkNothingLeft(t, l)
		checkEnding(t, l.Run(t.Context(), shell("echo a")), ending{"", record.Killed, -1, "was not started: scriptbridge ends at once"})
	})
}

// awaitCount waits until n processes have text among their arguments.
func awaitCount(t *testing.T, text string, n int) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for len(processtest.Holding(text)) < n {
		if time.Now().After(deadline) {
			t.Fatalf("%d processes, not %d", len(processtest.Holding(text)), n)
		}
		<-time.After(5 * time.Millisecond)
	}
}
