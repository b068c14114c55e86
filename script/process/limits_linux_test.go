package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"scriptbridge/internal/cgroup"
	"scriptbridge/internal/limits"
	"scriptbridge/record"
)

func octal(mask uint32) *uint32 { return &mask }

// under is a command for the shell under limits.
func under(l limits.Settings, text string) Command {
	c := shell(text)
	c.Limits = l
	return c
}

// asNobody is a command for somebody who has none of root's exemptions.
func asNobody(t *testing.T, c Command) Command {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can run as somebody else")
	}
	a, err := LookupAccount("nobody")
	if err != nil {
		t.Fatal(err)
	}
	c.Account = a
	return c
}

// Each limit, reached by a real program. What the kernel tells is a verdict of its
// own; the rest the program sees.
func TestLimits(t *testing.T) {
	const seconds = time.Second
	burn := "i=0; while :; do i=$((i+1)); done"
	spent := func(n int) string {
		return fmt.Sprintf("used up its limit of %ds of CPU time (limits: cpu): make it need less, or raise the limit", n)
	}
	tests := []limitTest{
		{"cpu", under(limits.Settings{CPU: seconds}, burn), ending{"", record.Limit, -1, spent(1)}, "cpu"},
		{"cpu, of a part of a second", under(limits.Settings{CPU: seconds / 2}, "ulimit -t; "+burn),
			ending{"1\n", record.Limit, -1, "used up its limit of 500ms of CPU time (limits: cpu): make it need less, or raise the limit"}, "cpu"},
		{"cpu, with the signal ignored", under(limits.Settings{CPU: seconds}, "trap '' XCPU; "+burn), ending{"", record.Limit, -1, spent(1)}, "cpu"},
		{"cpu, not all", under(limits.Settings{CPU: 60 * seconds}, "i=0; while [ $i -lt 1000 ]; do i=$((i+1)); done"), ending{"", record.OK, 0, ""}, ""},
		{"cpu, killed by somebody", under(limits.Settings{CPU: 60 * seconds}, "kill -KILL $$"),
			ending{"", record.Killed, -1, "was killed by signal killed (by the kernel for want of memory, or by somebody)"}, ""},
		{"memory, enough", under(limits.Settings{Memory: 64 << 20}, "python3 -c 'x = bytearray(8<<20); print(len(x))'"), ending{"8388608\n", record.OK, 0, ""}, ""},
		{"files", under(limits.Settings{Files: 20}, "python3 -c 'x = [open(\"/dev/null\") for i in range(20)]' 2>&1 | tail -n 1"),
			ending{"OSError: [Errno 24] Too many open files: '/dev/null'\n", record.OK, 0, ""}, ""},
		{"files, and no way back", under(limits.Settings{Files: 10}, "ulimit -n; ulimit -Hn"), ending{"10\n10\n", record.OK, 0, ""}, ""},
		{"none of these", under(limits.Settings{NoNewPrivileges: true}, "ulimit -t; ulimit -d; ulimit -n; umask"),
			ending{fmt.Sprintf("unlimited\nunlimited\n%s\n0022\n", ownFiles(t)), record.OK, 0, ""}, ""},
		{"umask", under(limits.Settings{Umask: octal(0o027)}, "umask"), ending{"0027\n", record.OK, 0, ""}, ""},
		{"umask 0", under(limits.Settings{Umask: octal(0)}, "umask"), ending{"0000\n", record.OK, 0, ""}, ""},
		{"nice", under(limits.Settings{Nice: 19}, "nice"), ending{"19\n", record.OK, 0, ""}, ""},
		{"no_new_privileges", under(limits.Settings{NoNewPrivileges: true}, "grep NoNewPrivs /proc/self/status"), ending{"NoNewPrivs:\t1\n", record.OK, 0, ""}, ""},
		{"nice below our own, of another user", asNobody(t, under(limits.Settings{Nice: -5}, "nice; id -u")), ending{"-5\n65534\n", record.OK, 0, ""}, ""},
	}
	// Of a child the kernel tells by the code that it gives its parent. A cgroup has used it
	// up before that, with what another child took.
	child := func(code int) limitTest {
		const some = "python3 -c 'import time\nwhile time.process_time() < 0.5: pass'; "
		return limitTest{"cpu, of a child", under(limits.Settings{CPU: seconds}, some+"sh -c '"+burn+"'; exit $?"), ending{"", record.Limit, code, spent(1)}, "cpu"}
	}
	t.Run("marks", func(t *testing.T) { runLimits(t, testLauncher(t), append(slices.Clip(tests), child(152))) })
	t.Run("cgroup", func(t *testing.T) { runLimits(t, grouped(t), append(slices.Clip(tests), child(-1))) })
}

// grouped is a launcher whose runs have cgroups.
func grouped(t *testing.T) *Launcher {
	t.Helper()
	l := testLauncher(t)
	l.Contain()
	if l.Containment() != ByCgroup {
		t.Skip("no cgroup of version 2 may be written here")
	}
	return l
}

// limitTest is a command, and the limit that it reaches.
type limitTest struct {
	name  string
	c     Command
	want  ending
	limit string
}

// runLimits runs commands at the same time.
func runLimits(t *testing.T, l *Launcher, tests []limitTest) {
	t.Run("", func(t *testing.T) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				o := l.Run(t.Context(), test.c)
				checkEnding(t, o, test.want)
				if o.Limit != test.limit {
					t.Errorf("the limit %q was reached, not %q", o.Limit, test.limit)
				}
			})
		}
	})
	checkNothingLeft(t, l)
}

// Where a run has a cgroup, limits hold for all of its processes together, and for
// root as well.
func TestLimitsOfGroup(t *testing.T) {
	runLimits(t, grouped(t), []limitTest{
		{"cpu, of processes without end", under(limits.Settings{CPU: time.Second}, "while :; do sh -c 'i=0; while [ $i -lt 10000 ]; do i=$((i+1)); done'; done"),
			ending{"", record.Limit, -1, "used up its limit of 1s of CPU time (limits: cpu): make it need less, or raise the limit"}, "cpu"},
		{"cpu, of processes that have left", under(limits.Settings{CPU: time.Second}, "for i in 1 2 3; do setsid sh -c 'while :; do :; done' & done; exec sleep 600"),
			ending{"", record.Limit, -1, "used up its limit of 1s of CPU time (limits: cpu): make it need less, or raise the limit"}, "cpu"},
		{"processes", under(limits.Settings{Processes: 5}, "while :; do setsid sleep 600 & sleep 0.01; done"),
			ending{"", record.Limit, -1, "had as many processes and threads as its limit of 5 allows, and wanted more (limits: processes): make it need less, or raise the limit"}, "processes"},
		{"threads", under(limits.Settings{Processes: 5}, "exec python3 -c 'import threading, time\nfor i in range(9): threading.Thread(target=time.sleep, args=(600,)).start()'"),
			ending{"", record.Limit, -1, "had as many processes and threads as its limit of 5 allows, and wanted more (limits: processes): make it need less, or raise the limit"}, "processes"},
		{"processes, as many as it may", under(limits.Settings{Processes: 5}, "for i in 1 2 3; do sleep 0.3 & done; wait; echo done"), ending{"done\n", record.OK, 0, ""}, ""},
	})
}

// The niceness counts against other sessions too.
func TestNiceSession(t *testing.T) {
	if on, _ := os.ReadFile("/proc/sys/kernel/sched_autogroup_enabled"); string(on) != "1\n" {
		t.Skip("sched_autogroup is not on here")
	}
	const show = "sed 's/.* nice/nice/' /proc/self/autogroup"
	l := testLauncher(t)
	checkEnding(t, l.Run(t.Context(), under(limits.Settings{Nice: 19}, show)), ending{"nice 19\n", record.OK, 0, ""})
	checkEnding(t, l.Run(t.Context(), under(limits.Settings{Files: 64}, show)), ending{"nice 0\n", record.OK, 0, ""})
}

// A run that reached a limit and then its timeout has the limit for its verdict.
func TestLimitBeforeTimeout(t *testing.T) {
	o := &Outcome{ExitCode: 1}
	o.reached(&limits.Settings{Processes: 5}, cgroup.Processes)
	o.take(new(streams), new(Command), &stop{result: record.Timeout, err: errors.New("was ended after its timeout of 1s")})
	if o.Limit != "processes" || o.Result != record.Limit || o.ExitCode != -1 {
		t.Errorf("%+v", o)
	}
	o = &Outcome{ExitCode: 1}
	o.take(new(streams), new(Command), &stop{result: record.Timeout, err: errors.New("was ended after its timeout of 1s")})
	if o.Limit != "" || o.Result != record.Timeout {
		t.Errorf("%+v", o)
	}
}

// What a run's cgroup ran into is the verdict, however its main process ended.
func TestLimitReachedByGroup(t *testing.T) {
	set := limits.Settings{Memory: 64 << 20, Processes: 5, CPU: time.Second}
	for _, test := range []struct{ reached, limit, err string }{
		{cgroup.Memory, "memory", "needed more than its limit of 64MiB of memory (limits: memory): make it need less, or raise the limit"},
		{cgroup.Processes, "processes", "had as many processes and threads as its limit of 5 allows, and wanted more (limits: processes): make it need less, or raise the limit"},
		{"", "", "exited with code 1"},
	} {
		o := &Outcome{Result: record.Error, ExitCode: 1, Err: errors.New("exited with code 1")}
		o.reached(&set, test.reached)
		if o.Limit != test.limit || o.Err.Error() != test.err || (o.Result == record.Limit) != (test.limit != "") {
			t.Errorf("%q: %+v", test.reached, o)
		}
	}
}

// What the kernel's controllers hold is held by them, and told: memory by an end for
// want of it, processes by a fork that fails.
func TestLimitsByControllers(t *testing.T) {
	l := grouped(t)
	if !slices.Contains(l.reaper.tree.Controllers(), "memory") || !slices.Contains(l.reaper.tree.Controllers(), "pids") {
		t.Skip("the controllers memory and pids of cgroups are not to be had here")
	}
	runLimits(t, l, []limitTest{
		{"memory", under(limits.Settings{Memory: 64 << 20}, "dd if=/dev/zero of=/dev/null bs=200M count=1; echo done"),
			ending{"", record.Limit, -1, "needed more than its limit of 64MiB of memory (limits: memory): make it need less, or raise the limit"}, "memory"},
		{"memory, enough", under(limits.Settings{Memory: 64 << 20}, "echo done"), ending{"done\n", record.OK, 0, ""}, ""},
		{"processes", under(limits.Settings{Processes: 5}, "for i in 1 2 3 4 5 6 7 8 9; do sleep 600 2>/dev/null & done"),
			ending{"", record.Limit, 2, "had as many processes and threads as its limit of 5 allows, and wanted more (limits: processes): make it need less, or raise the limit"}, "processes"},
	})
}

// Without a cgroup memory and processes are limited by errors that the script sees,
// and what the processes of a run have used together is known at its end. Nothing
// limits the number of root's, and a script that would not be limited is not started.
func TestLimitsWithoutGroup(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root is exempt")
	}
	const why = "limits: processes: root is exempt from it where runs have no cgroups: give the script a user, or leave it out"
	runLimits(t, testLauncher(t), []limitTest{
		{"cpu", under(limits.Settings{CPU: time.Second}, "for i in 1 2 3; do python3 -c 'import time\nwhile time.process_time() < 0.5: pass'; done; echo done"),
			ending{"done\n", record.Limit, 0, "used up its limit of 1s of CPU time (limits: cpu): make it need less, or raise the limit"}, "cpu"},
		{"processes of root", under(limits.Settings{Processes: 5}, "echo ran"), ending{"", record.Error, -1, why}, ""},
		{"processes", asNobody(t, under(limits.Settings{Processes: 1}, "echo a; (echo b) 2>&1")), ending{"a\n", record.Error, 2, "exited with code 2"}, ""},
		{"memory", under(limits.Settings{Memory: 64 << 20}, "python3 -c 'x = bytearray(200<<20)' 2>&1 | tail -n 1"), ending{"MemoryError\n", record.OK, 0, ""}, ""},
	})
}

// ownFiles is the limit on descriptors that a script is given which asks for none.
func ownFiles(t *testing.T) string {
	t.Helper()
	return string(testLauncher(t).Run(t.Context(), shell("printf %s $(ulimit -n)")).Stdout)
}

// More output than limits.output is a verdict of its own, whichever stream it is
// on and whatever max_output says.
func TestLimitOutput(t *testing.T) {
	const over = "wrote more than its limit of 1KiB (limits: output): make it need less, or raise the limit"
	l := testLauncher(t)
	for _, test := range []struct {
		name, text string
		most       int64
		result     record.Result
		err        string
	}{
		{"output", "yes", 1 << 10, record.Limit, over},
		{"error", "yes >&2", 1 << 20, record.Limit, over},
		{"both", "printf %600d 1; printf %600d 1 >&2; sleep 600", 1 << 20, record.Limit, over},
		{"at the end", "printf %600d 1; printf %600d 1 >&2", 1 << 20, record.Limit, over},
		{"as much as it may", "printf %500d 1; printf %524d 1 >&2", 1 << 20, record.OK, ""},
		{"less than max_output", "printf %600d 1", 500, record.Killed, "wrote more than 500B on standard output (max_output): make it print less, or raise max_output"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := shell(test.text)
			c.MaxWritten, c.MaxOutput = 1<<10, test.most
			o := l.Run(t.Context(), c)
			if got := endingOf(o); got.Result != test.result || got.Err != test.err || (o.Limit == "output") != (test.result == record.Limit) {
				t.Errorf("%+v, limit %q", got, o.Limit)
			}
		})
	}
}

// A program under limits is what it would be without any: what it is called with,
// its environment, folder, descriptors, session and mark, and how it fails.
func TestLimitsChangeNothingElse(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	show := write("show.sh", `#!/bin/sh
echo "$0" "$#" "$@"
env | grep -v SCRIPTBRIDGE_RUN | sort
pwd
ls /proc/self/fd | sort -n | tr '\n' ' '
cut -d' ' -f2 /proc/$$/stat
[ "$(cut -d' ' -f6 /proc/$$/stat)" = $$ ] && echo leads its session
grep -E 'Sig(Ign|Blk)|^Cap' /proc/self/status
grep -c 'Max realtime timeout *[0-9]' /proc/self/limits
env | grep -c SCRIPTBRIDGE_RUN
cat
`, 0o755)
	odd := string([]byte{0xff, 'x', '\n', '"'})
	l := testLauncher(t)
	for _, c := range []Command{
		{Args: []string{show, "", "a b", odd}, Env: []string{"PATH=" + os.Getenv("PATH"), "A=1", "B=" + odd, "A=2", "SCRIPTBRIDGE_RUN=x", "GODEBUG=x", "GOGC=y"}, Dir: "/", Stdin: []byte("in\n")},
		{Args: []string{"./show.sh", limits.Name}, Env: []string{"PATH=" + os.Getenv("PATH")}, Dir: dir},
		{Args: []string{write("plain.sh", "echo plain $0 $*\n", 0o755), "a"}, Dir: dir},
		{Args: []string{write("notthere.sh", "#!/nowhere/sh\n", 0o755)}},
		{Args: []string{write("binary", "\x00\x01", 0o755)}},
		{Args: []string{write("mode.sh", "#!/bin/sh\n", 0o644)}},
		{Args: []string{"/nowhere/x"}},
		{Args: []string{show}, Dir: "/nowhere"},
		{Args: []string{"/bin/sh", "-c", "cat <&3 2>&1 >/dev/null; echo 3 >&3"}, Message: func([]byte) error { return nil }},
	} {
		c.Timeout, c.MaxOutput = time.Minute, 1<<20
		bare := l.Run(t.Context(), c)
		c.Limits = limits.Settings{Files: 1 << 20, NoNewPrivileges: true}
		bound := l.Run(t.Context(), c)
		if diff := cmp.Diff(endingOf(bare), endingOf(bound)); diff != "" {
			t.Errorf("%q without limits (-) and with (+):\n%s", c.Args, diff)
		}
		if bare.End.IsZero() || len(bare.Stdout) == 0 && bare.Err == nil && c.Message == nil {
			t.Errorf("%q says nothing: %+v", c.Args, bare)
		}
	}
	checkNothingLeft(t, l)
}

// The helper may have any size and take its time: neither is the script's.
func TestLimitsMeasureTheScript(t *testing.T) {
	t.Run("marks", func(t *testing.T) { measureTheScript(t, testLauncher(t)) })
	t.Run("cgroup", func(t *testing.T) { measureTheScript(t, grouped(t)) })
}

func measureTheScript(t *testing.T, l *Launcher) {
	measured := func(set limits.Settings) (least time.Duration, most int64) {
		least = time.Hour
		for range 8 { // whether there is time to look, and who else is in the cache, is chance
			o := l.Run(t.Context(), under(set, "read x < /proc/self/stat; sleep 0.05"))
			checkEnding(t, o, ending{"", record.OK, 0, ""})
			least, most = min(least, o.User+o.System), max(most, o.MaxRSS)
		}
		return least, most
	}
	bare, _ := measured(limits.Settings{})
	used, most := measured(limits.Settings{Files: 64})
	if most == 0 || most > 6<<20 {
		t.Errorf("a shell has used %d bytes", most)
	}
	if used > bare+3*time.Millisecond {
		t.Errorf("a shell has used %v, and without limits %v", used, bare)
	}
}

// What cannot be set is the error of the run, never what the script has said, and
// nothing is left of the helper.
func TestLimitsFail(t *testing.T) {
	if os.Geteuid() == 0 {
		again(t, 0o755, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}})
		return
	}
	l := testLauncher(t)
	daemon := uint32(1)
	for _, c := range []struct {
		change func(*Command)
		err    string
	}{
		{func(c *Command) { c.Limits.Nice = -5 }, "limits: nice -5: permission denied (below the niceness of the bridge needs root, and in a unit of systemd CAP_SYS_NICE)"},
		{func(c *Command) { c.Group = &daemon }, "cannot be started with another group: operation not permitted (only root may switch groups: run scriptbridge as root, or leave out group)"},
		{func(c *Command) { c.Account = &Account{Name: "root"} }, "cannot be started as user root: operation not permitted (only root may switch users: run scriptbridge as root, or leave out user)"},
	} {
		command := under(limits.Settings{Files: 64}, "echo ran")
		c.change(&command)
		checkEnding(t, l.Run(t.Context(), command), ending{"", record.Error, -1, c.err})
	}
	checkNothingLeft(t, l)
}

// As root the helper runs whatever the mode of our own program, that of its folder,
// and what has become of the file.
func TestLimitsOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can run as somebody else")
	}
	if os.Getenv("SCRIPTBRIDGE_TEST_AGAIN") == "" {
		again(t, 0o700, nil)
		return
	}
	if err := os.Rename(os.Args[0], os.Args[0]+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(os.Args[0], []byte("another version"), 0o755); err != nil {
		t.Fatal(err)
	}
	c := asNobody(t, under(limits.Settings{Files: 64, Nice: 1}, "id -u; id -g; ulimit -n; nice"))
	c.Dir = "/"
	checkEnding(t, testLauncher(t).Run(t.Context(), c), ending{"65534\n65534\n64\n1\n", record.OK, 0, ""})
}

// A bridge that is not root but may switch users does so before it starts itself:
// then the user must be able to do that.
func TestLimitsByCapabilities(t *testing.T) {
	if os.Geteuid() == 0 {
		again(t, 0o755, &syscall.SysProcAttr{
			Credential:  &syscall.Credential{Uid: 65534, Gid: 65534},
			AmbientCaps: []uintptr{unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_KILL},
		})
		return
	}
	if os.Getenv("SCRIPTBRIDGE_TEST_AGAIN") == "" {
		t.Skip("only root has capabilities to give")
	}
	l := testLauncher(t)
	c := under(limits.Settings{Files: 64, Nice: 19, Umask: octal(0o077)}, "id -u; id -g; id -G; ulimit -n; nice; umask; grep CapEff /proc/self/status")
	c.Dir, c.Account = "/", &Account{Name: "daemon", UID: 1, GID: 1, Groups: []uint32{1, 2}}
	checkEnding(t, l.Run(t.Context(), c), ending{"1\n1\n1 2\n64\n19\n0077\nCapEff:\t0000000000000000\n", record.OK, 0, ""})
	if err := os.Chmod(os.Args[0], 0o700); err != nil {
		t.Fatal(err)
	}
	checkEnding(t, l.Run(t.Context(), c), ending{"", record.Error, -1, "limits: the bridge's own program cannot be started: permission denied (user daemon may not execute it)"})
	checkNothingLeft(t, l)
}

// again runs the test in a program and a folder of a mode, as somebody.
func again(t *testing.T, mode os.FileMode, as *syscall.SysProcAttr) {
	t.Helper()
	dir, err := os.MkdirTemp("", "private")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	own, err := os.ReadFile(limits.Self)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "again.test")
	if err := os.WriteFile(program, own, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, mode); err != nil {
		t.Fatal(err)
	}
	if as != nil {
		if err := os.Chown(program, int(as.Credential.Uid), -1); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir, cmd.Env = "/", append(os.Environ(), "SCRIPTBRIDGE_TEST_AGAIN=1")
	cmd.SysProcAttr = as
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
}

// A group is the primary one; the others stay as they are.
func TestGroup(t *testing.T) {
	daemon, err := LookupGroup("daemon")
	if err != nil {
		t.Fatal(err)
	}
	nobody := asNobody(t, shell("id -u; id -g; id -G"))
	own := func(id string) string { return string(testLauncher(t).Run(t.Context(), shell(id)).Stdout) }
	for _, test := range []struct {
		name string
		c    Command
		want string
	}{
		{"alone", shell("id -u; id -g; id -G"), fmt.Sprintf("0\n%d\n%s", daemon, own("id -G | sed 's/^0/1 &/; s/ 0$//'"))},
		{"with a user", nobody, fmt.Sprintf("65534\n%d\n%d 65534\n", daemon, daemon)},
	} {
		for _, l := range []limits.Settings{{}, {Files: 64}} {
			t.Run(fmt.Sprint(test.name, l.Files), func(t *testing.T) {
				c := test.c
				c.Group, c.Limits, c.Dir = &daemon, l, "/"
				checkEnding(t, testLauncher(t).Run(t.Context(), c), ending{test.want, record.OK, 0, ""})
			})
		}
	}
	if _, err := LookupGroup("nosuchgroup"); err == nil || err.Error() != `group "nosuchgroup" is unknown on this machine: correct group:, or make the group` {
		t.Error(err)
	}
}

// Nobody becomes the helper by its name.
func TestHelperIsOurs(t *testing.T) {
	for _, args := range [][]string{{"x"}, {limits.Name, "-c"}, {"x", limits.Name}, {}} {
		if limits.Called(args) {
			t.Errorf("%q is taken for the helper", args)
		}
	}
	ours, theirs, err := limits.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	defer theirs.Close()
	other := "import subprocess, sys; sys.exit(subprocess.run([sys.argv[2]], executable=sys.argv[1], close_fds=False).returncode)"
	for _, test := range []struct {
		name string
		cmd  *exec.Cmd
		want string
	}{
		{"a file", exec.Command(limits.Self), "socket operation on non-socket"},
		{"of another parent", exec.Command("python3", "-c", other, fmt.Sprintf("/proc/%d/exe", os.Getpid()), limits.Name), "descriptor 4 is not a socket of the parent process"},
	} {
		switch test.name {
		case "a file":
			test.cmd.ExtraFiles = []*os.File{os.Stdin, os.Stdin}
		case "of another parent":
			test.cmd.ExtraFiles = []*os.File{theirs, theirs}
		}
		if test.cmd.Path == limits.Self {
			test.cmd.Args = []string{limits.Name}
		}
		out, err := test.cmd.CombinedOutput()
		want := fmt.Sprintf("only scriptbridge itself starts %q: %s\n", limits.Name, test.want)
		if test.cmd.ProcessState.ExitCode() != 1 || string(out) != want {
			t.Errorf("%s: %v, %s", test.name, err, out)
		}
	}
}
