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

	"golang.org/x/sys/unix"

	"scriptbridge/internal/testkit"
)

// tree opens a Tree below the group that the test is in.
func tree(t *testing.T) *Tree {
	t.Helper()
	tr, err := Open()
	if err != nil {
		t.Skipf("%v; needs cgroups of version 2 that may be written", err)
	}
	t.Cleanup(func() { _ = tr.Close() })
	t.Logf("groups in %s, controllers %v", tr.Folder(), tr.Controllers())
	return tr
}

func newGroup(t *testing.T, tr *Tree, id uint64, keep bool) *Group {
	t.Helper()
	g, err := tr.New(id, keep)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// start starts a shell in a group and waits until it has said a word.
func start(t *testing.T, g *Group, script string) *exec.Cmd {
	t.Helper()
	dir, err := g.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(dir)
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, UseCgroupFD: true, CgroupFD: dir}
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

func lives(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// Whatever leaves its session, its parent and its environment ends with its group.
func TestKill(t *testing.T) {
	tr := tree(t)
	g := newGroup(t, tr, 0xab, false)
	cmd := start(t, g, `for i in 1 2 3 4; do (setsid env -i sh -c '(exec sleep 600) & (exec sleep 600) & wait' &) ; done; echo x; exec sleep 600`)
	testkit.Await(t, "the group to have its processes", func() bool { return len(words(g.folder, "cgroup.procs")) >= 9 })
	pids := living(tr.Folder())
	for _, pid := range pids {
		if id, ok := tr.Of(pid); id != 0xab || !ok {
			t.Errorf("process %d is in group %x, %v", pid, id, ok)
		}
	}
	if id, ok := tr.Of(os.Getpid()); ok {
		t.Errorf("we ourselves are in group %x", id)
	}
	if err := g.Kill(); err != nil {
		t.Fatal(err)
	}
	testkit.Await(t, "nothing to live", func() bool { return !g.populated() })
	for _, pid := range pids {
		if lives(pid) {
			t.Errorf("process %d lives", pid)
		}
	}
	if got := g.Usage(); got.User+got.System <= 0 {
		t.Errorf("no processor time was counted: %+v", got)
	}
	if err := g.Remove(); err != nil {
		t.Error(err)
	}
	if id, ok := tr.Of(cmd.Process.Pid); id != 0xab || !ok { // it has not been waited for
		t.Errorf("the zombie is in group %x, %v", id, ok)
	}
	_ = cmd.Wait()
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(tr.Folder()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
}

// What a program that was killed left behind ends when another one starts, and
// nothing else: not what was to be kept, not the groups of one that lives, and not
// what only has such a name.
func TestRemoveDead(t *testing.T) {
	found, err := own()
	if err != nil {
		t.Skip(err)
	}
	// Of its own, since whoever else starts would remove it too.
	above := filepath.Join(found[0].folder, "scriptbridge.test-"+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(above, 0o755); err != nil {
		t.Skipf("%v; needs cgroups of version 2 that may be written", err)
	}
	defer func() { testkit.Await(t, "the group to go", func() bool { return removeTree(above) == nil }) }()
	tr, err := openIn(location{above, filepath.Join(found[0].name, filepath.Base(above))}, nil)
	if err != nil {
		t.Fatal(err)
	}
	stranger := filepath.Join(above, prefix+"12345")
	if err := os.Mkdir(stranger, 0o755); err != nil {
		t.Fatal(err)
	}
	defer func() {
		testkit.Await(t, "the stranger's folder to go", func() bool { return os.Remove(stranger) == nil })
	}()
	run, keep, other := newGroup(t, tr, 1, false), newGroup(t, tr, 2, true), &Group{folder: stranger}
	if err := os.Mkdir(filepath.Join(run.folder, "below"), 0o755); err != nil {
		t.Fatal(err)
	}
	left, below := start(t, run, "echo x; exec sleep 600"), start(t, &Group{folder: filepath.Join(run.folder, "below")}, "echo x; exec sleep 600")
	strange, daemon := start(t, other, "echo x; exec sleep 600"), start(t, keep, "echo x; exec sleep 600")

	if ended := removeDead(above); len(ended) > 0 || !run.populated() {
		t.Fatalf("the groups of a program that lives were killed: %v", ended)
	}
	if err := tr.lock.Close(); err != nil { // as the end of a process does
		t.Fatal(err)
	}
	if ended := removeDead(above); len(ended) != 1 || ended[0] != left.Process.Pid {
		t.Errorf("%v were ended, not %d", ended, left.Process.Pid)
	}
	for _, cmd := range []*exec.Cmd{left, below} {
		if lives(cmd.Process.Pid) {
			t.Errorf("process %d lives", cmd.Process.Pid)
		}
	}
	for _, cmd := range []*exec.Cmd{strange, daemon} {
		if !lives(cmd.Process.Pid) {
			t.Errorf("process %d was killed", cmd.Process.Pid)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	removeDead(above)
	if _, err := os.Stat(tr.Folder()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
}

// What is kept outlives the Tree, whose folder goes when that has ended.
func TestKeep(t *testing.T) {
	tr := tree(t)
	keep := newGroup(t, tr, 7, true)
	cmd := start(t, keep, "echo x; exec sleep 600")
	if err := keep.Remove(); err == nil {
		t.Error("a group with a process was removed")
	}
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
	if !lives(cmd.Process.Pid) {
		t.Error("it was killed")
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	removeDead(filepath.Dir(tr.Folder()))
	if _, err := os.Stat(tr.Folder()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
}

// Limits are set where there are controllers, and told where there are none.
func TestLimit(t *testing.T) {
	g := newGroup(t, tree(t), 1, false)
	missing, err := g.Limit(Limits{Memory: 32 << 20, Processes: 10})
	if err != nil {
		t.Fatal(err)
	}
	for controller, file := range map[string]string{"memory": "memory.max", "pids": "pids.max"} {
		_, err := os.Stat(filepath.Join(g.folder, file))
		if told := strings.Contains(strings.Join(missing, " "), controller); told != (err != nil) {
			t.Errorf("%s: told to be missing: %v, but %v", controller, told, err)
		}
	}
	if reached := g.Usage().Reached; reached != "" {
		t.Errorf("a limit was reached by nobody: %s", reached)
	}
}

// What the controllers' files are called and what stands in them, for machines that
// have them not: a folder with such files is written and read as a group is.
func TestLimitFiles(t *testing.T) {
	g := &Group{folder: t.TempDir()}
	put := func(file, text string) {
		if err := os.WriteFile(filepath.Join(g.folder, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for file, text := range map[string]string{
		"cgroup.controllers": "cpu memory pids\n", "memory.max": "", "memory.swap.max": "", "memory.oom.group": "", "pids.max": "",
		"memory.events": "low 0\nhigh 0\nmax 7\noom 0\noom_kill 0\noom_group_kill 0\n", "pids.events": "max 0\n", "memory.peak": "4096\n",
		"cpu.stat": "usage_usec 30\nuser_usec 10\nsystem_usec 20\n", "cgroup.threads": "7\n8\n9\n", "cgroup.procs": "",
	} {
		put(file, text)
	}
	missing, err := g.Limit(Limits{Memory: 32 << 20, Processes: 10})
	if err != nil || len(missing) > 0 {
		t.Errorf("missing %v, %v", missing, err)
	}
	if err := g.Enter(123); err != nil {
		t.Error(err)
	}
	for file, want := range map[string]string{"memory.max": "33554432", "memory.swap.max": "0", "memory.oom.group": "1", "pids.max": "10", "cgroup.procs": "123"} {
		if got := strings.Join(words(g.folder, file), " "); got != want {
			t.Errorf("%s has %q, not %q", file, got, want)
		}
	}
	want := Usage{User: 10 * time.Microsecond, System: 20 * time.Microsecond, Peak: 4096}
	if got := g.Usage(); got != want || g.Tasks() != 3 {
		t.Errorf("used %+v by %d", got, g.Tasks())
	}
	put("pids.events", "max 1\n")
	if got := g.Usage().Reached; got != Processes {
		t.Errorf("reached %q", got)
	}
	put("memory.events", "oom 1\noom_kill 1\n")
	if got := g.Usage().Reached; got != Memory {
		t.Errorf("reached %q", got)
	}
}

// A folder of a disk is no group, and stays as it is.
func TestUnavailable(t *testing.T) {
	dir := t.TempDir()
	if _, err := openIn(location{dir, "/"}, nil); err == nil || !strings.HasSuffix(err.Error(), "/cgroup.kill: no such file or directory (Linux has it since 5.14)") {
		t.Errorf("error %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("it has %v", entries)
	}
}

// Controllers are handed on to the groups, for which this process goes into a leaf,
// and when the Tree is closed the group above is as it was. With another process
// in that group nothing can be handed on, and runs have their groups all the same.
func TestDelegate(t *testing.T) {
	const at = "SCRIPTBRIDGE_TEST_CGROUP" // the place and the controller, in the child
	if where := strings.Fields(os.Getenv(at)); len(where) > 0 {
		delegateHere(t, location{where[0], where[1]}, where[2])
		return
	}
	found, err := own()
	if err != nil {
		t.Skip(err)
	}
	above := found[0]
	controllers := words(above.folder, "cgroup.controllers")
	if len(controllers) == 0 {
		t.Skip("there is no controller of version 2 to hand on")
	}
	last := controllers[len(controllers)-1:]
	had := words(above.folder, "cgroup.subtree_control")
	if !enable(above.folder, last) {
		t.Skip("the group that this test is in cannot hand on a controller")
	}
	if !strings.Contains(strings.Join(had, " "), last[0]) {
		defer disable(above.folder, last)
	}
	for _, alone := range []bool{true, false} {
		folder := filepath.Join(above.folder, "scriptbridge.test")
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Setxattr(folder, "user.delegate", []byte("1"), 0); err != nil { // as systemd marks it
			t.Fatal(err)
		}
		g := &Group{folder: folder}
		if !alone {
			start(t, g, "echo x; exec sleep 600")
		}
		dir, err := g.Open()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0], "-test.run=^TestDelegate$", "-test.v")
		cmd.Env = append(os.Environ(), at+"="+folder+" "+filepath.Join(above.name, "scriptbridge.test")+" "+last[0])
		if !alone {
			cmd.Env = append(cmd.Env, at+"_SHARED=1")
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: dir}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		unix.Close(dir)
		testkit.Await(t, "the group to go", func() bool { return removeTree(folder) == nil })
	}
}

// delegateHere is what TestDelegate does in the group itself.
func delegateHere(t *testing.T, p location, controller string) {
	want := controller
	if os.Getenv("SCRIPTBRIDGE_TEST_CGROUP_SHARED") != "" {
		want = ""
	}
	tr, err := openIn(p, []string{controller, "nonesuch"})
	if err != nil {
		t.Fatal(err)
	}
	g := newGroup(t, tr, 1, false)
	if got := strings.Join(tr.Controllers(), " "); got != want {
		t.Errorf("the groups have the controllers %q, not %q", got, want)
	}
	if got := strings.Join(words(g.folder, "cgroup.controllers"), " "); got != want {
		t.Errorf("the group has the controllers %q, not %q", got, want)
	}
	now := p.name
	if want != "" {
		now += "/" + leaf
	}
	checkPlace(t, now)
	cmd := start(t, g, "echo x; exec sleep 600")
	again, err := Open() // from the leaf
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Dir(again.Folder()) != p.folder {
		t.Errorf("the second one is in %s", again.Folder())
	}
	for _, tr := range []*Tree{again, tr} {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	}
	_ = cmd.Wait()
	checkPlace(t, p.name)
	if got := words(p.folder, "cgroup.subtree_control"); len(got) > 0 {
		t.Errorf("%v are still handed on", got)
	}
	for _, folder := range []string{leaf, filepath.Base(tr.Folder()), filepath.Base(again.Folder())} {
		if _, err := os.Stat(filepath.Join(p.folder, folder)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", folder, err)
		}
	}
}

func checkPlace(t *testing.T, want string) {
	t.Helper()
	groups, _ := os.ReadFile("/proc/self/cgroup")
	if got := nameIn(string(groups)); got != want {
		t.Errorf("we are in %s, not %s", got, want)
	}
}

// populated reports whether anything in the group lives; zombies do not.
func (g *Group) populated() bool { return numbers(g.folder, "cgroup.events")["populated"] != 0 }
