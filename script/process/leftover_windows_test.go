package process

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"scriptbridge/internal/limits"
	"scriptbridge/internal/testkit"
	"scriptbridge/record"
	"scriptbridge/script/process/processtest"
)

// ownProgram copies this program, so that all that runs it can be found by its name.
func ownProgram(t *testing.T) (file, name string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	name = fmt.Sprintf("script%d.exe", time.Now().UnixNano())
	file = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, text, 0o755); err != nil {
		t.Fatal(err)
	}
	return file, name
}

// batchFile starts a program in the background in two ways, and then waits if it is told to.
func batchFile(t *testing.T) string {
	return processtest.WriteScript(t, "a batch.bat", "@echo off\r\necho %2\r\nstart /b \"\" %1 behind\r\nstart \"\" %1 beside\r\nif %2==wait ping -n 3600 127.0.0.1 >nul\r\n", 0o755)
}

// others are the programs besides the test's own that scripts of these tests start.
var others = []string{"cmd.exe", "ping.exe", "start.exe", "conhost.exe"}

// Fifty scripts that hang, fork, detach what they start and do not obey: when a run has
// returned nothing of it is left, and at the end nothing of all.
func TestRunLeavesNothing(t *testing.T) {
	program, name := ownProgram(t)
	before := processtest.Named(t, others...)
	l := testLauncher(t)
	batch := batchFile(t)
	running := make(chan bool, 6)
	var runs sync.WaitGroup
	for i := range 50 {
		all := leavers(batch)
		c := all[i%len(all)]
		if c.Args[0] == batch {
			c.Args[1] = program
		} else {
			c.Args[0] = program
		}
		c.Timeout = 3 * time.Second
		runs.Go(func() {
			running <- true
			defer func() { <-running }()
			o := l.Run(t.Context(), c)
			if len(o.Stdout) == 0 {
				t.Errorf("%q printed nothing: %v", c.Args, o.Err)
			}
			if o.Result != record.OK && o.Result != record.Timeout {
				t.Errorf("%q ended with %v", c.Args, o.Err)
			}
		})
	}
	runs.Wait()
	if left := processtest.Named(t, name); len(left) > 0 {
		t.Errorf("left: processes %v", left)
	}
	l.Close()
	if left := l.Left(); len(left) > 0 {
		t.Errorf("left by its own account: %v", left)
	}
	if now := processtest.Named(t, others...); len(now) > len(before) {
		t.Errorf("left: %v, before there were %v", now, before)
	}
}

// A bridge that is killed leaves nothing either.
func TestKilledBridgeLeavesNothing(t *testing.T) {
	program, name := ownProgram(t)
	before := processtest.Named(t, others...)
	bridge := exec.Command(program, batchFile(t))
	bridge.Env = append(os.Environ(), actVariable+"=bridge")
	out, err := bridge.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := bridge.Start(); err != nil {
		t.Fatal(err)
	}
	said := make(map[string]bool)
	for lines := bufio.NewScanner(out); len(said) < len(leavers("")) && lines.Scan(); {
		if lines.Text() != "" {
			said[lines.Text()] = true
		}
	}
	if living := processtest.Named(t, name); len(living) < 10 {
		t.Errorf("of %v live only %v", said, living)
	}
	if err := bridge.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	bridge.Wait()
	testkit.Poll(t, "the end of all that it had started", func() bool {
		return len(processtest.Named(t, name)) == 0 && len(processtest.Named(t, others...)) <= len(before)
	}, func() string {
		return fmt.Sprint(processtest.Named(t, name), " and others: ", processtest.Named(t, others...), ", before there were ", before)
	})
}

// What a run may leave behind lives on, is known by its job, and only of so many runs.
func TestRunKept(t *testing.T) {
	program, name := ownProgram(t)
	l := NewLauncher(processtest.Logger(t))
	c := act("daemon")
	c.Args[0], c.Keep, c.Owner = program, true, "s"
	for range mostKept {
		if o := l.Run(t.Context(), c); o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	l.Close()
	kept := processtest.Named(t, name)
	if len(kept) != mostKept {
		t.Errorf("%d processes live, want %d", len(kept), mostKept)
	}
	left := make(map[int]Leftover)
	for _, each := range l.Left() {
		left[each.PID] = each
	}
	for _, pid := range kept {
		if left[pid] != (Leftover{PID: pid, Command: name, Kept: true}) {
			t.Errorf("%d is known as %+v", pid, left[pid])
		}
	}
	checkEnding(t, l.Run(t.Context(), c), ending{"", record.Error, -1,
		"was not started: 16 earlier runs have left processes that still run (end those that are not needed, or leave out descendants: keep)"})
	for _, pid := range kept {
		if p, err := os.FindProcess(pid); err == nil {
			p.Kill()
		}
	}
	testkit.Poll(t, "the end of what was left", func() bool { return len(l.Left()) == 0 }, func() string { return fmt.Sprint(l.Left()) })
	c.Args, c.Env = act("echo", "a").Args, act("echo").Env
	checkEnding(t, l.Run(t.Context(), c), ending{"a\n", record.OK, 0, ""})
}

// Limits hold for all processes of a run together.
func TestRunLimits(t *testing.T) {
	program, name := ownProgram(t)
	l := testLauncher(t)
	for _, test := range []struct {
		name   string
		c      Command
		limits limits.Settings
		limit  string
		err    string
	}{
		{"cpu", act("spin"), limits.Settings{CPU: time.Second}, "cpu", "used up its limit of 1s of CPU time (limits: cpu): make it need less, or raise the limit"},
		{"memory", act("large", "300", "and stay"), limits.Settings{Memory: 200 << 20}, "memory", "needed more than its limit of 200MiB of memory (limits: memory): make it need less, or raise the limit"},
		{"processes", act("many"), limits.Settings{Processes: 5}, "processes", "had as many processes as its limit of 5 allows, and wanted more (limits: processes): make it need less, or raise the limit"},
		{"enough of each", act("echo", "a"), limits.Settings{CPU: time.Minute, Memory: 1 << 30, Processes: 5, Nice: 10}, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.c.Args[0], test.c.Limits = program, test.limits
			o := l.Run(t.Context(), test.c)
			if text := endingOf(o).Err; o.Limit != test.limit || text != test.err || test.limit != "" && o.Result != record.Limit {
				t.Errorf("%s, limit %q, error %q", o.Result, o.Limit, text)
			}
			if left := processtest.Named(t, name); len(left) > 0 {
				t.Errorf("left: processes %v", left)
			}
		})
	}
}
