package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"scriptbridge/internal/testkit"
)

// TestRootAndAnotherUsersPackage: the folder that a dialect's package was unpacked
// into is removed from a shared /tmp, and the other user makes one of its name.
func TestRootAndAnotherUsersPackage(t *testing.T) {
	module := "from scalyr_agent import ScalyrMonitor\nopen('SITE/out/ran-N', 'w')\nclass M(ScalyrMonitor):\n def gather_sample(self):\n  self._logger.emit_value('n', 1)\n"
	s := newSite(t, map[string]string{
		"scriptbridge.yml": "scripts: [{dialect: scalyr, name: x, options: {module: m, module_paths: [SITE/p]}}]\n",
		"p/m.py":           strings.ReplaceAll(module, "N", "1"),
	})
	s.mkdir("tmp", 0o1777)
	cmd := exec.Command("scriptbridge", "--web.listen-address=127.0.0.1:0", "--config.auto-reload-interval=50ms")
	cmd.Dir, cmd.Env = s.root, append(os.Environ(), "TMPDIR="+s.at("tmp"))
	log := new(testkit.Buffer)
	cmd.Stdout, cmd.Stderr = log, log
	s.must(cmd.Start())
	ran := func(n string) {
		testkit.Poll(t, "the monitor", func() bool { _, err := os.Stat(s.at("out/ran-" + n)); return err == nil }, log.String)
	}
	ran("1")
	ours, err := filepath.Glob(s.at("tmp/scriptbridge-*"))
	if err != nil || len(ours) != 1 {
		t.Fatalf("unpacked are %v, %v", ours, err)
	}
	// They have the files from the program, as everybody has.
	s.must(os.CopyFS(s.at("files"), os.DirFS(ours[0])), os.Chmod(s.at("files"), 0o755), os.RemoveAll(ours[0]))
	s.attack("cp -r files " + ours[0] + "; printf 'import os\nopen(\"SITE/out/taken\", \"w\").write(str(os.getuid()))\n' >" + ours[0] + "/scriptbridge_host.py")
	s.write("p/m.py", strings.ReplaceAll(module, "N", "2"), 0o644)
	ran("2")
	s.must(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait())
	s.untaken()
	if left, _ := filepath.Glob(s.at("tmp/scriptbridge-*")); len(left) != 1 || left[0] != ours[0] {
		t.Errorf("left are %v, and theirs is %s", left, ours[0])
	}
}

// TestRootAndAnotherUsersScript: a script with an account of its own has nothing of
// the bridge's, which runs as root: no descriptor, and no variable but those of the
// list.
func TestRootAndAnotherUsersScript(t *testing.T) {
	const config = "scripts: [{name: x, command: SITE/p/x, user: nobody%s}]\n"
	s := newSite(t, map[string]string{
		"scriptbridge.yml": strings.ReplaceAll(config, "%s", ""),
		"passing.yml":      strings.ReplaceAll(config, "%s", ", pass_env: [HTTP_PROXY]"),
		"p/x":              "#!/bin/sh\n[ \"$1\" = -c ] || { env; readlink /proc/$$/fd/* | sed s/^/fd=/; } >SITE/out/$$\n" + strings.TrimPrefix(good, "#!/bin/sh\n"),
		"secret":           "of root\n",
	})
	secret, err := os.Open(s.at("secret"))
	s.must(err)
	defer secret.Close()
	has := func(config string) (lines []string) {
		cmd := exec.Command("scriptbridge", "--config.file="+config, "try")
		cmd.Dir, cmd.ExtraFiles = s.root, []*os.File{secret, secret, secret, secret, secret}
		cmd.Env = append(os.Environ(), "AWS_SECRET_ACCESS_KEY=secret", "HTTP_PROXY=http://u:pw@proxy", "SSH_AUTH_SOCK=/run/agent", "DBUS_SESSION_BUS_ADDRESS=unix:path=/run/bus",
			"XDG_RUNTIME_DIR=/run/user/0", "SUDO_USER=root", "MAINPID=1", "SYSTEMD_EXEC_PID=1", "STATE_DIRECTORY=/s", "FDSTORE=1", "SCRIPTBRIDGE_API_TOKEN_FILE=/t", "SHELL=/bin/root", "LANG=C")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		files, _ := filepath.Glob(s.at("out/*"))
		for _, file := range files {
			text, err := os.ReadFile(file)
			s.must(err, os.Remove(file))
			for line := range strings.Lines(string(text)) {
				name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
				if name == "fd" && value != s.at("secret") {
					continue
				}
				lines = append(lines, name)
			}
		}
		slices.Sort(lines)
		return lines
	}
	shells := []string{"PWD", "OLDPWD", "SHLVL", "_"} // which sh adds
	for config, want := range map[string][]string{
		"scriptbridge.yml": {"HOME", "LANG", "LOGNAME", "PATH", "SCRIPTBRIDGE_RUN", "SHELL", "USER"},
		"passing.yml":      {"HOME", "HTTP_PROXY", "LANG", "LOGNAME", "PATH", "SCRIPTBRIDGE_RUN", "SHELL", "USER"},
	} {
		got := slices.DeleteFunc(has(config), func(name string) bool {
			return slices.Contains(shells, name) || name == "TZ" || name == "TERM" || strings.HasPrefix(name, "LC_")
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", config, diff)
		}
	}
}

// TestCapabilitiesOfAnotherUser: a bridge without root that may change users does
// not hand that on: a script of its own user does not become root by it.
func TestCapabilitiesOfAnotherUser(t *testing.T) {
	s := newSite(t, map[string]string{
		"p/x": "#!/bin/sh\nsetpriv --reuid=0 --clear-groups id -u >SITE/out/$1 2>/dev/null || echo refused >SITE/out/$1\ngrep CapEff /proc/self/status >>SITE/out/$1\n" +
			strings.TrimPrefix(good, "#!/bin/sh\n"),
	})
	self, err := os.Executable()
	s.must(err)
	program, err := os.ReadFile(self)
	s.must(err, os.WriteFile(s.at("scriptbridge"), program, 0o700))
	s.own("scriptbridge", 0, 0, 0o755)
	run := func(args ...string) {
		t.Helper()
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = s.root
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Credential:  &syscall.Credential{Uid: other, Gid: other},
			AmbientCaps: []uintptr{unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_KILL},
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	check := func(name, want string) {
		t.Helper()
		if got, err := os.ReadFile(s.at("out/" + name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
	run(s.at("p/x"), "alone") // so it is without a bridge
	check("alone", "0\nCapEff:\t00000000000000e0\n")
	run(s.at("scriptbridge"), "try", "--", s.at("p/x"))
	check("-d", "refused\nCapEff:\t0000000000000000\n")
}
