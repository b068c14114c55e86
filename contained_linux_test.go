package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"scriptbridge/internal/testkit"
)

// escapes is a script that leaves its run by all ways at once, again and again: by
// session, parent, limit, environment, and by going into another cgroup where it
// may. Some of those that escape replace themselves as fast as they can.
const escapes = `#!/usr/bin/env python3
import os, resource, sys, time
here = os.path.dirname(os.path.abspath(__file__))
unit = [l.strip() for l in open(here + "/unit")]
r, w = os.pipe()
os.set_inheritable(r, True)
storm = "import os, time; end = time.time() + 10\nos.read(%d, 1)\nwhile time.time() < end:\n  if os.fork(): os._exit(0)\n  os.setsid()" % r
for n in range(160):
    if os.fork(): continue
    os.setsid()
    if os.fork(): os._exit(0)
    os.setsid()
    for fd in range(3): os.close(fd)
    resource.setrlimit(15, (-1, -1))
    if n % 2:
        for folder in unit:
            try: open(folder + "/cgroup.procs", "w").write(str(os.getpid()))
            except OSError: pass
    if n < 120: os.execve(sys.executable, ["python3", "-c", storm, here], {})
    os.execve("/bin/sh", ["sh", "-c", "while :; do sleep 1; done", here], {})
print("OK")
`

// curious is a script that looks into the bridge, which it can only as root.
const curious = `#!/bin/sh
for file in environ mem maps fd/0 root/ exe; do
  if cat /proc/$PPID/$file >/dev/null 2>&1 || readlink /proc/$PPID/$file >/dev/null; then echo "it can read $file"; exit 2; fi
done
echo OK
`

// container is how the bridge is run, and what its runs are contained by then.
type container struct {
	name, by string
	user     bool   // an ordinary user
	group    string // the cgroup that it is started in, which belongs to its user; "" for ours
	wrap     []string
}

// containers are the ways that can be tried here.
func containers(t *testing.T) (all []container) {
	mounts, _ := exec.Command("sed", "-n", `s/^\(\S* \)\{4\}\(\S*\) .* - cgroup2 .*/\2/p`, "/proc/self/mountinfo").Output()
	folder := strings.TrimSpace(string(mounts))
	own, _ := os.ReadFile("/proc/self/cgroup")
	_, group, _ := strings.Cut(string(own), "0::")
	unit := filepath.Join(folder, strings.TrimSpace(group), fmt.Sprintf("scriptbridge.test-%d", os.Getpid()))
	if os.Geteuid() != 0 {
		return []container{{name: "an ordinary user", by: "marks"}}
	}
	all = []container{{name: "an ordinary user", by: "marks", user: true}}
	if folder == "" || strings.Contains(folder, "\n") || os.Mkdir(unit, 0o755) != nil {
		t.Log("there are no cgroups of version 2 that could be written")
		return all
	}
	t.Cleanup(func() { testkit.Await(t, "the cgroup to go", func() bool { return os.Remove(unit) == nil }) })
	return append(all,
		// In a cgroup of its own, where no other bridge looks for what was left.
		container{name: "root", by: "cgroup", group: unit},
		container{name: "root, where cgroups are read-only", by: "marks", wrap: []string{"unshare", "-m", "sh", "-c", "mount -o remount,bind,ro " + folder + ` && exec "$0" "$@"`}},
		container{name: "an ordinary user to whom a cgroup was delegated", by: "cgroup", user: true, group: unit},
	)
}

// start runs the bridge in a folder in which everybody can read.
func (c container) start(t *testing.T, dir string, args ...string) *programRun {
	t.Helper()
	p := &programRun{t: t, dir: dir, done: make(chan struct{})}
	args = append(append(append([]string{}, c.wrap...), filepath.Join(dir, "scriptbridge")), args...)
	p.cmd = exec.Command(args[0], args[1:]...)
	p.cmd.Dir, p.cmd.Env = dir, append(os.Environ(), "SCENARIO="+dir, "TMPDIR="+dir)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{}
	uid, gid := os.Geteuid(), os.Getegid()
	if c.user {
		nobody, err := user.Lookup("nobody")
		if err != nil {
			t.Skip(err)
		}
		uid, _ = strconv.Atoi(nobody.Uid)
		gid, _ = strconv.Atoi(nobody.Gid)
		p.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	if c.group != "" {
		for _, name := range []string{"", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"} {
			if err := os.Chown(filepath.Join(c.group, name), uid, gid); err != nil {
				t.Fatal(err)
			}
		}
		_ = unix.Setxattr(c.group, "user.delegate", []byte("1"), 0) // as systemd does
		group, err := os.Open(c.group)
		if err != nil {
			t.Fatal(err)
		}
		defer group.Close()
		p.cmd.SysProcAttr.UseCgroupFD, p.cmd.SysProcAttr.CgroupFD = true, int(group.Fd())
	}
	p.start()
	return p
}

// folder has the program and the files, for everybody.
func (c container) folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "contained")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.Executable()
	if err == nil {
		err = exec.Command("cp", self, filepath.Join(dir, "scriptbridge")).Run()
	}
	if err != nil {
		t.Fatal(err)
	}
	files["unit"] = c.group + "\n"
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

var groupsIn = regexp.MustCompile(`cgroups" folder=(\S+)`)

// get fetches a page.
func (p *programRun) get(path string) string {
	p.t.Helper()
	p.logs("Listening on")
	at := listeningOn.FindStringSubmatch(p.out.String())
	if at == nil {
		p.t.Fatalf("it does not say where it listens:\n%s", p.out.String())
	}
	answer, err := http.Get("http://" + at[1] + path)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	return string(text)
}

// What a script starts ends with its run, whatever it does, as whomever and
// wherever the bridge is run; the page, a series and the log say how that is.
func TestContained(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("no python3, in which the script is written")
	}
	for _, c := range containers(t) {
		t.Run(c.name, func(t *testing.T) {
			dir := c.folder(t, map[string]string{
				"escapes": escapes, "curious": curious,
				"scriptbridge.yml": "scripts: [{command: ./escapes, dialect: nagios, interval: 1h}, {command: ./curious, dialect: nagios, interval: 1h, limits: {files: 30}}]\n",
			})
			p := c.start(t, dir, "--web.listen-address=127.0.0.1:0")
			var page string
			p.await("the escape to be over", func() bool {
				page = p.get("/metrics")
				return strings.Contains(page, `scriptbridge_script_last_run_timestamp_seconds{script="escapes"}`)
			})
			if left := leftovers(dir, p.cmd.Process.Pid); len(left) > 0 {
				t.Errorf("%d escaped, such as %s", len(left), left[0])
			}
			for by, value := range map[string]string{"cgroup": "0", "marks": "0", c.by: "1"} {
				if want := fmt.Sprintf("\nscriptbridge_runs_contained{by=%q} %s\n", by, value); !strings.Contains(page, want) {
					t.Errorf("the page has no %s", want)
				}
			}
			for _, want := range []string{`nagios_state{script="escapes"} 0`, "\nprocess_open_fds ", "\nprocess_resident_memory_bytes ", "\nprocess_cpu_seconds_total "} {
				if !strings.Contains(page, want) {
					t.Errorf("the page has no %s", want)
				}
			}
			p.await("the other run", func() bool {
				return strings.Contains(p.get("/metrics"), `scriptbridge_script_last_run_timestamp_seconds{script="curious"}`)
			})
			if c.user && !strings.Contains(p.get("/metrics"), `nagios_state{script="curious"} 0`) {
				t.Errorf("a script can look into the bridge: %s", p.out.String())
			}
			if want := "Runs are contained by " + strings.TrimSuffix(c.by, "s") + "s."; !strings.Contains(p.get("/"), want) {
				t.Errorf("the page does not say: %s", want)
			}
			p.signal(syscall.SIGTERM)
			p.ends(0)
			log := p.out.String()
			if !strings.Contains(log, "stopped; nothing is left running") {
				t.Errorf("it did not end well:\n%s", log)
			}
			if folder := groupsIn.FindStringSubmatch(log); folder != nil && fileExists(folder[1]) {
				t.Errorf("it left %s", folder[1])
			}
		})
	}
}

// What a bridge that was killed has left running is ended by the next one, where
// there are cgroups; what was to be kept is not.
func TestContainedAfterKill(t *testing.T) {
	for _, c := range containers(t) {
		if c.by != "cgroup" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			dir := c.folder(t, map[string]string{
				"stays":            "#!/bin/sh\nsetsid env -i /bin/sh -c 'while :; do sleep 0.1; done' \"$PWD/lost\" & sleep 1000",
				"keeps":            "#!/bin/sh\nsetsid env -i /bin/sh -c 'while :; do sleep 0.1; done' \"$PWD/kept\" >/dev/null 2>&1 &\necho OK",
				"scriptbridge.yml": "scripts: [{command: ./stays, dialect: nagios}, {command: ./keeps, dialect: nagios, interval: 1h, descendants: keep}]\n",
				"none.yml":         "scripts: []\n",
			})
			p := c.start(t, dir, "--web.listen-address=127.0.0.1:0")
			p.logs("cgroups\" folder=")
			folder := groupsIn.FindStringSubmatch(p.out.String())[1]
			lives := func(name string) bool { return len(leftovers(filepath.Join(dir, name), 0)) > 0 }
			p.await("both to run", func() bool { return lives("lost") && lives("kept") })
			p.signal(syscall.SIGKILL)
			<-p.done
			if !lives("lost") || !lives("kept") {
				t.Fatal("something ended with the bridge")
			}
			p = c.start(t, dir, "--config.file=none.yml", "--web.listen-address=127.0.0.1:0")
			p.logs("ended what runs of a bridge that was killed had left")
			if lives("lost") {
				t.Error("what was lost lives")
			}
			if !lives("kept") {
				t.Error("what was to be kept was killed")
			}
			p.signal(syscall.SIGTERM)
			<-p.done
			for _, line := range leftovers(filepath.Join(dir, "kept"), 0) {
				pid, _, _ := strings.Cut(line, " ")
				n, _ := strconv.Atoi(pid)
				_ = unix.Kill(n, unix.SIGKILL)
			}
			testkit.Await(t, "the end of what was kept", func() bool { // and of its children
				procs, err := exec.Command("sh", "-c", `cat "$0"/keep-*/cgroup.procs`, folder).Output()
				return err == nil && len(procs) == 0
			})
			p = c.start(t, dir, "--config.file=none.yml", "--web.listen-address=127.0.0.1:0")
			p.logs("cgroups\" folder=")
			p.signal(syscall.SIGTERM)
			p.ends(0)
			if fileExists(folder) {
				t.Errorf("%s is left, where nothing is kept any more", folder)
			}
		})
	}
}

// As the first process of a container the bridge starts itself once more, so that
// what others leave to the first process is not taken for a run's, and the other way
// round. Signals reach it all the same.
func TestContainedFirstProcess(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("no python3, in which the script is written")
	}
	for _, c := range containers(t) {
		if c.user || os.Geteuid() != 0 {
			continue
		}
		if c.wrap = append(c.wrap, "unshare", "--pid", "--fork", "--kill-child", "--mount-proc"); exec.Command(c.wrap[0], append(c.wrap[1:], "true")...).Run() != nil {
			t.Skip("no namespace can be made here")
		}
		t.Run(c.name, func(t *testing.T) {
			dir := c.folder(t, map[string]string{
				"escapes":          escapes,
				"scriptbridge.yml": "scripts: [{command: ./escapes, dialect: nagios, interval: 1h}]\n",
			})
			p := c.start(t, dir, "--web.listen-address=127.0.0.1:0")
			p.logs("Listening on")
			child, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", p.cmd.Process.Pid))
			first, _ := strconv.Atoi(strings.TrimSpace(string(child)))
			if err != nil || first == 0 {
				t.Skipf("the kernel does not list children: %q, %v", child, err)
			}
			within := func(script string) string {
				out, _ := exec.Command("nsenter", "-t", strconv.Itoa(first), "-p", "-m", "sh", "-c", script).CombinedOutput()
				return strings.TrimSpace(string(out))
			}
			// As docker exec does, whose process leaves a child to the first one.
			stranger := within("setsid sleep 86400 >/dev/null 2>&1 & echo $!")
			dead := within("setsid true >/dev/null 2>&1 & echo $!")
			p.await("the escape to be over", func() bool {
				return strings.Contains(p.get("/metrics"), `scriptbridge_script_last_run_timestamp_seconds{script="escapes"}`)
			})
			if got := within("grep ^PPid: /proc/" + stranger + "/status"); got != "PPid:\t1" {
				t.Errorf("the stranger %s: %s", stranger, got)
			}
			if got := within("grep -sc . /proc/" + dead + "/status"); got != "" {
				t.Errorf("the dead stranger %s was not reaped", dead)
			}
			if escaped := within("grep -salzE '[w]hile :; do sleep 1; done|[o]s.fork' /proc/[0-9]*/cmdline | wc -l"); escaped != "0" {
				t.Errorf("%s escaped", escaped)
			}
			_ = unix.Kill(first, unix.SIGHUP)
			p.logs("the configuration was reloaded")
			_ = unix.Kill(first, unix.SIGTERM)
			p.ends(0)
			if !strings.Contains(p.out.String(), "stopped; nothing is left running") {
				t.Errorf("it did not end well:\n%s", p.out.String())
			}
		})
	}
}
