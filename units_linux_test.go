package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"scriptbridge/internal/testkit"
)

// installed is where the units expect the program.
const installed = "/usr/local/bin/scriptbridge"

// unit is a unit with its drop-ins, as systemd reads it.
type unit map[string][]string

func readUnit(t *testing.T, files ...string) unit {
	t.Helper()
	var texts []string
	for _, file := range files {
		texts = append(texts, read(t, file))
	}
	return unitOf(texts...)
}

func unitOf(texts ...string) unit {
	u := make(unit)
	for _, text := range texts {
		for line := range strings.Lines(text) {
			key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
			switch {
			case !ok || strings.HasPrefix(key, "#"):
			case value == "": // begins the list anew
				u[key] = []string{}
			case key == "CapabilityBoundingSet" || key == "SystemCallFilter":
				u[key] = append(u[key], strings.Fields(value)...)
			default:
				u[key] = []string{value}
			}
		}
	}
	return u
}

// the gives a key that stands once.
func (u unit) the(key string) string { return strings.Join(u[key], " ") }

// analyze asks systemd-analyze about units; it gives all that there is to object.
func analyze(t *testing.T, args ...string) string {
	t.Helper()
	needs(t, "systemd-analyze", "systemd")
	cmd := exec.Command("systemd-analyze", append([]string{"--no-pager"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%s%v", out, err)
	}
	return string(out)
}

// verify asks systemd whether it understands a unit with drop-ins.
func verify(t *testing.T, file string, dropIns ...string) {
	t.Helper()
	program, err := os.Executable() // systemd looks whether it is there
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	name := filepath.Base(file)
	text := read(t, file)
	if !strings.Contains(text, "\nExecStart="+installed+" ") {
		t.Errorf("%s does not start %s", file, installed)
	}
	write(t, filepath.Join(folder, name), strings.ReplaceAll(text, installed, program), 0o600)
	for i, text := range dropIns {
		text = strings.ReplaceAll(text, installed, program)
		if err := os.MkdirAll(filepath.Join(folder, name+".d"), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, name+".d", fmt.Sprintf("%d.conf", i)), text, 0o600)
	}
	if said := analyze(t, "verify", "--man=no", filepath.Join(folder, name)); said != "" {
		t.Errorf("systemd does not understand %s with %q:\n%s", file, dropIns, said)
	}
}

const (
	ownUnit  = "examples/scriptbridge.service"
	rootUnit = "examples/scriptbridge-root.service"
	sudoConf = "examples/drop-ins/sudo.conf"
)

// systemd understands all that is in the units, the drop-ins and the docs.
func TestUnitsSyntax(t *testing.T) {
	verify(t, ownUnit)
	verify(t, rootUnit)
	verify(t, ownUnit, read(t, sudoConf))
	units := []unit{readUnit(t, ownUnit), readUnit(t, rootUnit)}
	for _, b := range docBlocks(t) {
		if b.lang == "ini" {
			verify(t, ownUnit, b.text)
			verify(t, rootUnit, b.text)
			units = append(units, unitOf(read(t, ownUnit), b.text))
		}
	}
	for _, u := range units {
		line, more := strings.CutSuffix(u.the("ExecStart"), " $ARGS") // of /etc/default/scriptbridge
		if _, _, err := parseArgs(strings.Fields(line)[1:], os.Stdout, os.Stderr); err != nil || !more {
			t.Errorf("the program does not take %s, or takes no more flags: %v", line, err)
		}
	}
}

// What the docs have root type makes the accounts, the files and the unit that they
// speak of, here below a folder in the place of /.
func TestUnitsInstall(t *testing.T) {
	needs(t, "systemctl", "systemd")
	needs(t, "useradd", "passwd")
	if os.Geteuid() != 0 {
		t.Skip("only root can install")
	}
	root := t.TempDir()
	for _, folder := range []string{"etc/systemd/system", "lib/systemd/system"} {
		if err := os.MkdirAll(filepath.Join(root, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"passwd", "group"} {
		write(t, filepath.Join(root, "etc", file), "", 0o644)
	}
	var script strings.Builder
	for _, b := range docBlocks(t) {
		if b.page == "docs/security.md" && b.lang == "sh" {
			script.WriteString(b.text)
		}
	}
	text := strings.NewReplacer(
		"useradd ", "useradd --prefix="+root+" ",
		"systemctl enable --now ", "systemctl --root="+root+" enable ",
		" /etc/", " "+root+"/etc/",
		"-m 0644 scriptbridge.yml", "-m 0644 examples/scriptbridge.yml",
	).Replace(script.String())
	if out, err := exec.Command("sh", "-euc", text).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, text)
	}
	accounts := read(t, filepath.Join(root, "etc/passwd"))
	users := []string{readUnit(t, ownUnit).the("User")}
	for _, m := range regexp.MustCompile(`user: (monitoring-\w+)`).FindAllStringSubmatch(read(t, "docs/security.md"), -1) {
		users = append(users, m[1])
	}
	for _, user := range users {
		if !strings.Contains("\n"+accounts, "\n"+user+":") {
			t.Errorf("nothing makes the account %s", user)
		}
	}
	for _, file := range []string{"etc/scriptbridge/scriptbridge.yml", "etc/systemd/system/multi-user.target.wants/scriptbridge.service"} {
		if _, err := os.Lstat(filepath.Join(root, file)); err != nil {
			t.Error(err)
		}
	}
}

// The units leave no more open than they did.
func TestUnitsExposure(t *testing.T) {
	for file, most := range map[string]string{ownUnit: "30", rootUnit: "45"} { // tenths
		said := analyze(t, "security", "--offline=true", "--threshold="+most, file)
		if !regexp.MustCompile(`Overall exposure level for \S+: \d\.\d OK`).MatchString(said) || strings.Contains(said, "exit status") {
			t.Errorf("%s is more exposed than %s tenths:\n%s", file, most, said)
		}
	}
}

// confined makes a command that runs as systemd would run the unit's, as far as
// that can be had without systemd: user, capabilities, no_new_privs, umask and
// system calls. All that the unit says of mounts is left out.
func confined(t *testing.T, u unit, folder string, args ...string) *exec.Cmd {
	t.Helper()
	needs(t, "setpriv", "util-linux")
	needs(t, "python3", "python3")
	caps := "-all"
	for _, name := range u["CapabilityBoundingSet"] {
		caps += ",+" + strings.ToLower(strings.TrimPrefix(name, "CAP_"))
	}
	var full []string
	if filter := u["SystemCallFilter"]; len(filter) > 0 {
		calls := filepath.Join(folder, "calls")
		write(t, calls, strings.Join(systemCalls(t, filter), "\n"), 0o644)
		full = []string{"python3", filepath.Join(folder, "syscalls.py"), calls}
		write(t, full[1], read(t, "testdata/units/syscalls.py"), 0o644)
	}
	full = append(full, "setpriv", "--bounding-set="+caps, "--inh-caps=-all")
	if u.the("User") != "root" {
		full = append(full, "--reuid=65534", "--regid=65534", "--clear-groups")
	}
	if u.the("NoNewPrivileges") == "yes" {
		full = append(full, "--no-new-privs")
	}
	cmd := exec.Command(full[0], slices.Concat(full[1:], args)...)
	cmd.Dir = folder
	return cmd
}

// systemCalls gives the names in groups of system calls.
func systemCalls(t *testing.T, groups []string) (names []string) {
	for len(groups) > 0 {
		name := groups[0]
		groups = groups[1:]
		if name[0] != '@' {
			names = append(names, name)
			continue
		}
		for line := range strings.Lines(analyze(t, "syscall-filter", name)) {
			if line = strings.TrimSpace(line); line != name && line != "" && line[0] != '#' {
				groups = append(groups, line)
			}
		}
	}
	return names
}

// confinedFolder is one that everybody can reach, with the program in it.
func confinedFolder(t *testing.T) (folder, program string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can run the bridge as the unit's account")
	}
	folder, err := os.MkdirTemp("", "unit")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(folder, "scriptbridge")
	text, err := os.ReadFile(own)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, text, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	return folder, program
}

// confinedBridge runs the bridge as a unit does, with a service manager that
// listens, until the page says all that is wanted.
func confinedBridge(t *testing.T, u unit, folder, program, config string, wanted ...string) {
	t.Helper()
	state := filepath.Join(folder, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(folder, "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	if u.the("User") != "root" {
		for _, path := range []string{state, socket} {
			if err := os.Chown(path, 65534, 65534); err != nil {
				t.Fatal(err)
			}
		}
	}
	address := testkit.FreeAddress()
	cmd := confined(t, u, folder, program, "--config.file="+config, "--web.listen-address="+address, "--storage.path="+state)
	text := new(lockedBuffer)
	cmd.Stdout, cmd.Stderr = text, text
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "NOTIFY_SOCKET=" + socket, "WATCHDOG_USEC=600000"}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer cmd.Process.Kill()
	for _, what := range []string{"READY=1", "WATCHDOG=1"} {
		awaitTold(t, manager, what, text)
	}
	for _, want := range wanted {
		re := regexp.MustCompile("(?m)" + want)
		eventually(t, func() error {
			if page := string(httpGet(t, "http://"+address+"/metrics")); !re.MatchString(page) {
				return fmt.Errorf("the page does not say %s:\n%s\nthe log:\n%s", want, ofSources(page), text)
			}
			return nil
		})
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	awaitTold(t, manager, "STOPPING=1", text)
	if err := <-ended; err != nil || !strings.Contains(text.String(), `msg="stopped; nothing is left running"`) {
		t.Errorf("it ended with %v:\n%s", err, text)
	}
}

// awaitTold reads what the service manager is told until there is what.
func awaitTold(t *testing.T, manager *net.UnixConn, what string, text *lockedBuffer) {
	t.Helper()
	if err := manager.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	for buf := make([]byte, 4<<10); ; {
		n, err := manager.Read(buf)
		if err != nil {
			t.Fatalf("waited in vain for %s: %v\n%s", what, err, text)
		}
		if slices.Contains(strings.Split(string(buf[:n]), "\n"), what) {
			return
		}
	}
}

// The examples run as the unit's account, with no capabilities and no more system
// calls than the unit allows.
func TestUnitOwn(t *testing.T) {
	folder, program := confinedFolder(t)
	files := exampleFiles(t)
	copied := filepath.Join(folder, "examples")
	if err := os.Rename(examplesCopy(t, files), copied); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(copied, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, 65534, 65534))
	})
	if err != nil {
		t.Fatal(err)
	}
	var wanted []string
	for _, name := range []string{"load", "disks", "network", "restart-watcher", "features", "check_files", "processes", "machine", "random_coin_monitor", "machine_monitor"} {
		wanted = append(wanted, `^scriptbridge_script_success\{script="`+name+`"\} 1$`)
	}
	confinedBridge(t, readUnit(t, ownUnit), folder, program, filepath.Join(copied, "scriptbridge.yml"), wanted...)
}

// What is left of root is enough for other accounts, for ending what they run
// wherever it goes, and for reading what is theirs.
func TestUnitRoot(t *testing.T) {
	folder, program := confinedFolder(t)
	theirs := filepath.Join(folder, "theirs")
	if err := os.Mkdir(theirs, 0o700); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(theirs, "value")
	write(t, secret, "M1 7\n", 0o600)
	for _, path := range []string{secret, theirs} {
		if err := os.Chown(path, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	config := filepath.Join(folder, "scriptbridge.yml")
	script := func(name, text string) string {
		path := filepath.Join(folder, name)
		write(t, path, "#!/bin/sh\n[ \"$1\" = -c ] && exec echo '{\"metrics\": [{\"id\": 1, \"name\": \"V\"}]}'\n"+text+"\n", 0o755)
		return path
	}
	write(t, config, fmt.Sprintf(`scripts:
  - {command: %s, user: nobody, nice: 19, umask: 077, no_new_privileges: true, limits: {files: 256, memory: 256MiB, cpu: 5s}}
  - {command: %s}
  - {command: %s, user: nobody}
  - {command: %s, user: nobody, timeout: 1s}
`,
		script("account.sh", `echo "M1 $(id -u)"`),
		script("reads.sh", "cat "+secret),
		script("leaves.sh", "env -i setsid sh -c 'sleep 600; : "+folder+"' </dev/null >/dev/null 2>&1 &\necho M1 1"),
		script("hangs.sh", "trap '' TERM; while :; do sleep 1; done")), 0o600)
	confinedBridge(t, readUnit(t, rootUnit), folder, program, config,
		`^coscale_v\{script="account"\} 65534$`, `^coscale_v\{script="reads"\} 7$`, `^coscale_v\{script="leaves"\} 1$`,
		`^scriptbridge_script_runs_total\{script="hangs",result="timeout"\} [1-9]`)
	if left := leftovers(folder, 0); len(left) > 0 {
		t.Errorf("these are left: %q", left)
	}
}

// A setuid program gains nothing under the unit, and what it is for with the
// drop-in.
func TestUnitSudo(t *testing.T) {
	folder, program := confinedFolder(t)
	secret := filepath.Join(folder, "secret")
	write(t, secret, "OK - read | n=7\n", 0o600)
	cat, err := exec.LookPath("cat")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(cat)
	if err != nil {
		t.Fatal(err)
	}
	plugin := filepath.Join(folder, "plugin")
	if err := errors.Join(os.WriteFile(plugin, text, 0o755), os.Chmod(plugin, 0o755|fs.ModeSetuid)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		files []string
		want  string
	}{
		{[]string{ownUnit}, "Permission denied"},
		{[]string{ownUnit, sudoConf}, `nagios_perfdata_value{script="plugin",label="n"} 7`},
	} {
		out, _ := confined(t, readUnit(t, c.files...), folder, program, "try", "--dialect=nagios", "--", plugin, secret).CombinedOutput()
		if !strings.Contains(string(out), c.want) {
			t.Errorf("under %q there is no %q in\n%s", c.files, c.want, out)
		}
	}
}

// lockedBuffer is a buffer that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
