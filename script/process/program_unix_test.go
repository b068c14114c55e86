//go:build unix

package process

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/record"
	"scriptbridge/script/process/processtest"
)

func TestResolveProgram(t *testing.T) {
	tool := processtest.WriteScript(t, "tool", "", 0o755)
	dull := processtest.WriteScript(t, "tool", "", 0o644)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "tool"), 0o755); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ args0, path, want, err string }{
		{"/no/matter", "", "/no/matter", ""},
		{"./tool", filepath.Dir(tool), "./tool", ""},
		{"tool", filepath.Dir(tool), tool, ""},
		{"tool", strings.Join([]string{"", ".", dir, filepath.Dir(dull), filepath.Dir(tool)}, ":"), tool, ""},
		{"tool", filepath.Dir(dull), "", dull + " is not executable (mode -rw-r--r--): chmod +x " + dull +
			", or put its interpreter in front of it in command"},
		{"tool", dir, "", "tool: not found in PATH (" + dir + ")"},
		{"nosuchtool", "", "", "nosuchtool: not found in PATH (/usr/local/bin:/usr/bin:/bin)"},
	}
	for _, test := range tests {
		got, err := ResolveProgram(test.args0, test.path)
		if got != test.want || fmt.Sprint(err) != orNil(test.err) {
			t.Errorf("%s in %q: got %q, %v; want %q, %s", test.args0, test.path, got, err, test.want, orNil(test.err))
		}
	}
}

// orNil is how fmt prints an error with this text, or none.
func orNil(text string) string {
	if text == "" {
		return "<nil>"
	}
	return text
}

func TestCheckProgram(t *testing.T) {
	root, nobody := &Account{UID: 0}, &Account{UID: 65534, GID: 65534}
	file := processtest.WriteScript(t, "f", "", 0o755)
	dir := filepath.Dir(file)
	elsewhere := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(file, elsewhere); err != nil {
		t.Fatal(err)
	}
	group, err := user.LookupGroupId("65534")
	if err != nil {
		group = &user.Group{Name: "65534"}
	}
	owned := os.Geteuid() == 0 && os.Chown(file, 0, 65534) == nil // group is not root's
	tests := []struct {
		name          string
		file          string
		mode, dirMode os.FileMode
		runAs         *Account
		direct        bool
		want          string
	}{
		{"good", file, 0o755, 0o755, root, true, ""},
		{"missing", "/no/such", 0o755, 0o755, root, true, "/no/such: no such file or directory"},
		{"a folder", "/usr", 0o755, 0o755, nobody, true, "/usr is a folder: name a program in it"},
		{"not executable", file, 0o640, 0o755, nobody, true,
			file + " is not executable (mode -rw-r-----): chmod +x " + file + ", or put its interpreter in front of it in command"},
		{"not executable, but read by an interpreter", file, 0o644, 0o755, root, false, ""},
		{"everyone's", file, 0o757, 0o755, root, true,
			file + " is writable by everyone (owner root, mode -rwxr-xrwx) and would run as root: chmod go-w " + file + ", or give it a user"},
		{"everyone's, for an interpreter", file, 0o646, 0o755, root, false,
			file + " is writable by everyone (owner root, mode -rw-r--rw-) and would run as root: chmod go-w " + file + ", or give it a user"},
		{"everyone's, not as root", file, 0o777, 0o777, nobody, true, ""},
		{"a group's", file, 0o775, 0o755, root, true,
			file + " is writable by group " + group.Name + " (owner root, mode -rwxrwxr-x) and would run as root: chmod go-w " + file + ", or give it a user"},
		{"in everyone's folder", file, 0o755, 0o777, root, true,
			file + " would run as root but everyone may replace it, since " + dir +
				" is writable by everyone (owner root, mode drwxrwxrwx): move it to a folder that only root may write, give it a user, or list " + dir + " under global.trusted_paths"},
		{"a link into everyone's folder", elsewhere, 0o755, 0o777, root, true,
			elsewhere + " would run as root but everyone may replace it, since " + dir +
				" is writable by everyone (owner root, mode drwxrwxrwx): move it to a folder that only root may write, give it a user, or list " + dir + " under global.trusted_paths"},
		{"in everyone's sticky folder", file, 0o755, os.ModeSticky | 0o777, root, true, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.runAs == root && !owned {
				t.Skip("only root's files are obeyed, and this is not root")
			}
			for f, mode := range map[string]os.FileMode{file: test.mode, dir: test.dirMode} {
				if err := os.Chmod(f, mode); err != nil {
					t.Fatal(err)
				}
			}
			if err := (&Guard{RunAs: test.runAs}).CheckProgram(test.file, test.direct); fmt.Sprint(err) != orNil(test.want) {
				t.Errorf("got  %v\nwant %s", err, orNil(test.want))
			}
		})
	}
}

// What keeps another user from a script is its own mode, or that of a folder above.
func TestBarred(t *testing.T) {
	me := &Account{UID: uint32(os.Getuid()) + 1, GID: uint32(os.Getgid()) + 1}
	folder := t.TempDir()
	for at := folder; at != filepath.Dir(at); at = filepath.Dir(at) { // those of the test are for others too
		if strings.HasPrefix(at, filepath.Clean(os.TempDir())+"/") {
			if err := os.Chmod(at, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	script, binary := filepath.Join(folder, "script"), filepath.Join(folder, "binary")
	for file, text := range map[string]string{script: "#!/bin/sh\n", binary: "\x7fELF"} {
		if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		file         string
		mode, folder os.FileMode
		want         string
	}{
		{script, 0o755, 0o755, ""},
		{script, 0o711, 0o755, script + " (mode -rwx--x--x)"},
		{binary, 0o711, 0o755, ""},
		{script, 0o644, 0o755, ""}, // an interpreter reads it
		{script, 0o600, 0o755, script + " (mode -rw-------)"},
		{script, 0o750, 0o755, script + " (mode -rwxr-x---)"},
		{script, 0o755, 0o700, folder + " (mode drwx------)"},
		{binary, 0o755, 0o711, ""},
		{filepath.Join(folder, "gone"), 0o755, 0o755, ""},
	} {
		for _, file := range []string{script, binary} {
			if err := os.Chmod(file, tt.mode); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(folder, tt.folder); err != nil {
			t.Fatal(err)
		}
		if got := me.Barred(tt.file); got != tt.want {
			t.Errorf("%s with mode %o in one with %o: got %q, want %q", filepath.Base(tt.file), tt.mode, tt.folder, got, tt.want)
		}
		if got := (&Account{UID: 0}).Barred(tt.file); got != "" {
			t.Errorf("root is kept out: %s", got)
		}
		if own := (&Account{UID: uint32(os.Getuid())}).Barred(tt.file); own != "" && tt.mode&0o500 == 0o500 {
			t.Errorf("its owner is kept out: %s", own)
		}
	}
}

func TestLookupAccount(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	byName, err := LookupAccount(me.Username)
	if err != nil {
		t.Fatal(err)
	}
	byID, err := LookupAccount(me.Uid)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(byName, byID, cmp.AllowUnexported(Account{})); diff != "" {
		t.Errorf("by name and by number (-name +number):\n%s", diff)
	}
	if got := fmt.Sprint(byName.UID, byName.GID); got != me.Uid+" "+me.Gid {
		t.Errorf("uid and gid %s, want %s %s", got, me.Uid, me.Gid)
	}
	if diff := cmp.Diff([]string{"HOME=" + me.HomeDir, "USER=" + me.Username, "LOGNAME=" + me.Username, "SHELL=" + shellOf(me.Username)}, byName.Env()); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	for _, name := range []string{"no such user", "4294967290"} {
		if _, err := LookupAccount(name); err == nil || err.Error() != fmt.Sprintf("user %q is unknown on this machine: correct user:, or make the account", name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// Only root may run a script as somebody else.
func TestRunAsNeedsRoot(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("this is root")
	}
	root, err := LookupAccount("root")
	if err != nil {
		t.Skip(err)
	}
	c := shell("id -u")
	c.Account = root
	checkEnding(t, testLauncher(t).Run(t.Context(), c), ending{"", record.Error, -1, "cannot be started as user root: operation not permitted " +
		"(only root may switch users: run scriptbridge as root, or leave out user)"})
}

func TestRunAs(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("this is not root")
	}
	nobody, err := LookupAccount("nobody")
	if err != nil {
		t.Skip(err)
	}
	l := testLauncher(t)
	c := shell("setsid sleep 600 >/dev/null 2>&1 & id -u; id -g; id -G; echo $HOME:$USER:$LOGNAME")
	c.Account = nobody
	c.Env = append(c.Env, nobody.Env()...)
	o := l.Run(t.Context(), c)
	var groups []string
	for _, g := range nobody.Groups {
		groups = append(groups, fmt.Sprint(g))
	}
	checkEnding(t, o, ending{fmt.Sprintf("%d\n%d\n%s\n%s:nobody:nobody\n", nobody.UID, nobody.GID, strings.Join(groups, " "), nobody.Home),
		record.OK, 0, ""})
	locked := processtest.WriteScript(t, "locked", "#!/bin/sh\n", 0o700)
	checkEnding(t, l.Run(t.Context(), Command{Args: []string{locked}, Account: nobody}), ending{"", record.Error, -1,
		"cannot be started: " + locked + ": permission denied (it, its #! interpreter or the working directory cannot be reached " +
			"by the user it runs as, or the file system is mounted noexec)"})
}

func TestRunAsOurselves(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	a, err := LookupAccount(me.Uid)
	if err != nil {
		t.Fatal(err)
	}
	c := shell("id -u")
	c.Account = a
	checkEnding(t, testLauncher(t).Run(t.Context(), c), ending{me.Uid + "\n", record.OK, 0, ""})
}

func TestRunCannotBeStarted(t *testing.T) {
	text := processtest.WriteScript(t, "text.sh", "echo hi\n", 0o644)
	lost := processtest.WriteScript(t, "lost", "#!/no/such/interpreter -x\n", 0o755)
	crlf := processtest.WriteScript(t, "crlf", "#!/bin/sh\r\necho hi\r\n", 0o755)
	elf := processtest.WriteScript(t, "elf", "\x7fELF\x02\x01\x01\x00\x00\x00for another machine", 0o755)
	dir := t.TempDir()
	tests := []struct {
		name string
		c    Command
		want string
	}{
		{"missing", Command{Args: []string{"/no/such/file"}}, "cannot be started: /no/such/file: no such file or directory"},
		{"not in PATH", Command{Args: []string{"nosuchprogram"}, Env: []string{"PATH=/usr/bin:/bin"}},
			"cannot be started: nosuchprogram: not found in PATH (/usr/bin:/bin)"},
		{"no interpreter", Command{Args: []string{lost}},
			"cannot be started: " + lost + ": its interpreter /no/such/interpreter, named in its #! line, is missing: correct that line"},
		{"CR LF", Command{Args: []string{crlf}},
			"cannot be started: " + crlf + " has CRLF (Windows) line ends, so that its #! line names \"/bin/sh\\r\": dos2unix " + crlf + ", or sed -i 's/\\r$//' " + crlf},
		{"not executable", Command{Args: []string{text}},
			"cannot be started: " + text + " is not executable (mode -rw-r--r--): chmod +x " + text + ", or put its interpreter in front of it in command"},
		{"another machine's", Command{Args: []string{elf}},
			"cannot be started: " + elf + ": exec format error (it is not a program for this machine)"},
		{"a folder", Command{Args: []string{dir}}, "cannot be started: " + dir +
			": permission denied (it, its #! interpreter or the working directory cannot be reached by the user it runs as, or the file system is mounted noexec)"},
		{"working directory missing", Command{Args: []string{"/bin/sh"}, Dir: "/no/such/dir"},
			"cannot be started: working directory /no/such/dir: no such file or directory"},
		{"working directory a file", Command{Args: []string{"/bin/sh"}, Dir: text},
			"cannot be started: working directory " + text + ": not a directory"},
	}
	l := testLauncher(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			checkEnding(t, l.Run(t.Context(), test.c), ending{"", record.Error, -1, test.want})
		})
	}
}

// What has no #! line goes to /bin/sh, with its arguments, from PATH too.
func TestRunWithoutShebang(t *testing.T) {
	path := processtest.WriteScript(t, "plain", "echo \"$0:$1:$2\"\n", 0o755)
	l := testLauncher(t)
	for _, c := range []Command{
		{Args: []string{path, "a b", "c"}},
		{Args: []string{"plain", "a b", "c"}, Env: []string{"PATH=relative:/nowhere:" + filepath.Dir(path)}},
		{Args: []string{"./plain", "a b", "c"}, Dir: filepath.Dir(path)},
	} {
		c.MaxOutput, c.Timeout = 1000, time.Minute
		checkEnding(t, l.Run(t.Context(), c), ending{path + ":a b:c\n", record.OK, 0, ""})
	}
	empty := processtest.WriteScript(t, "empty", "", 0o755)
	checkEnding(t, l.Run(t.Context(), Command{Args: []string{empty}}), ending{"", record.OK, 0, ""})
}
