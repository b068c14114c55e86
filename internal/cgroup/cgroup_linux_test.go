package cgroup

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tree opens a Tree below the group that the test is in.
func tree(t *testing.T) *Tree {
	t.Helper()
	tr, err := Open()
	if err != nil {
		t.Skipf("%v; needs a tree of version 2 that may be written", err)
	}
	t.Logf("groups in %s, controllers %v", tr.path, tr.Controllers())
	return tr
}

// start starts a shell in a group and waits until it has said a word.
func start(t *testing.T, g *Group, script string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, UseCgroupFD: true, CgroupFD: g.FD()}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// await polls for what the kernel does by itself.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	poll, end := time.NewTicker(time.Millisecond), time.After(10*time.Second)
	defer poll.Stop()
	for !done() {
		select {
		case <-poll.C:
		case <-end:
			t.Fatalf("still not so: %s", what)
		}
	}
}

// Whatever leaves its session, its parent and its environment ends with its group.
func TestKill(t *testing.T) {
	tr := tree(t)
	g, err := tr.New()
	if err != nil {
		t.Fatal(err)
	}
	cmd := start(t, g, `for i in 1 2 3 4; do (setsid env -i sh -c '(exec sleep 600) & (exec sleep 600) & wait' &) ; done; echo x; exec sleep 600`)
	await(t, "the group has its processes", func() bool { return len(words(g.path, "cgroup.procs")) >= 9 })
	pids := words(g.path, "cgroup.procs")
	if err := g.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	await(t, "nothing lives", func() bool { return !g.Populated() })
	for _, pid := range pids {
		n, _ := strconv.Atoi(pid)
		if stat, err := os.ReadFile("/proc/" + pid + "/stat"); err == nil && !strings.Contains(string(stat), ") Z ") && syscall.Kill(n, 0) == nil {
			t.Errorf("process %s lives: %s", pid, stat)
		}
	}
	if got := g.Usage(); got.User+got.System <= 0 {
		t.Errorf("no processor time was counted: %+v", got)
	}
	await(t, "the group can be removed", func() bool { return g.Remove() == nil })
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(tr.path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
}

// What a program that was killed left behind ends when another one starts.
func TestDead(t *testing.T) {
	tr := tree(t)
	g, err := tr.New()
	if err != nil {
		t.Fatal(err)
	}
	cmd := start(t, g, "echo x; exec sleep 600")
	own := filepath.Dir(tr.path)

	removeDead(own)
	if !g.Populated() {
		t.Fatal("the groups of a program that lives were killed")
	}
	if err := tr.lock.Close(); err != nil { // as the end of a process does
		t.Fatal(err)
	}
	removeDead(own)
	_ = cmd.Wait()
	await(t, "the folder is gone", func() bool {
		removeDead(own)
		_, err := os.Stat(tr.path)
		return errors.Is(err, os.ErrNotExist)
	})
}

// Limits are set where there are controllers, and told where there are none.
func TestLimit(t *testing.T) {
	tr := tree(t)
	defer tr.Close()
	g, err := tr.New()
	if err != nil {
		t.Fatal(err)
	}
	defer g.Remove()
	missing, err := g.Limit(Limits{Memory: 32 << 20, Processes: 10})
	if err != nil {
		t.Fatal(err)
	}
	for controller, file := range map[string]string{"memory": "memory.max", "pids": "pids.max"} {
		_, err := os.Stat(filepath.Join(g.path, file))
		if told := strings.Contains(strings.Join(missing, " "), controller); told != (err != nil) {
			t.Errorf("%s: told to be missing: %v, but %v", controller, told, err)
		}
	}
	if g.Reached() != "" {
		t.Errorf("a limit was reached by nobody: %s", g.Reached())
	}
}

func TestUnavailable(t *testing.T) {
	if _, err := openIn(t.TempDir()); err == nil {
		t.Error("a folder of a disk was taken for a group")
	}
}
