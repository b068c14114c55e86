package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"scriptbridge/internal/testkit"
	"scriptbridge/internal/trust"
)

// The other user, who has no account, and a group of theirs.
const (
	other     = 61001
	otherCrew = 61003
)

// A script that says who it runs as, to the page and to a file that the other user
// may look for.
const (
	good = "#!/bin/sh\n[ \"$1\" = -c ] && echo '{\"metrics\": [{\"id\": 1, \"name\": \"uid\"}]}' || echo \"M1 $(id -u)\"\n"
	evil = "#!/bin/sh\nid -u >>SITE/out/taken\n"
)

// taken is one way in which another user takes what root would run or obey.
type taken struct {
	name string
	// open makes, as root, what an administrator has left open; attack is what the
	// other user then does, in a shell, which must succeed. EVIL is a file with
	// their script.
	open   func(s *site)
	attack string
	// after is what root does then; nil for nothing.
	after func(s *site)
	files map[string]string // beside what every site has; SITE is the folder
	args  []string          // of the program, instead of try
	// refused is what root is told; mend puts the owners right again, after which
	// the same is taken.
	refused string
	mend    func(s *site)
}

// TestRootAndAnotherUser plays what is in docs/security.md with a real second user:
// each file that root obeys, and each way to it, is taken by them, and refused by a
// bridge that runs as root; with the right owners it is obeyed.
func TestRootAndAnotherUser(t *testing.T) {
	for _, group := range [][]taken{programs, configurations, storages} {
		for _, row := range group {
			t.Run(row.name, func(t *testing.T) { newSite(t, row.files).play(row) })
		}
	}
}

// x is a site's own script, as most rows have it.
var x = map[string]string{"scriptbridge.yml": "scripts: [{command: SITE/p/x}]\n"}

// mendX gives root its script again, and the folder.
func mendX(s *site) {
	s.noACL("p", 0o755)
	s.script("p/x")
}

// programs are those that root runs.
var programs = []taken{
	{"a program of another", func(s *site) { s.own("p/x", other, 0, 0o755) }, "cp EVIL p/x", nil, x, nil,
		"p/x belongs to 61001 (mode -rwxr-xr-x) and would run as root: ", mendX},
	{"a program that everyone may write", func(s *site) { s.own("p/x", 0, 0, 0o757) }, "cp EVIL p/x", nil, x, nil,
		"p/x is writable by everyone (owner root, mode -rwxr-xrwx) and would run as root: ", mendX},
	{"a program that root's group may write", func(s *site) { s.own("p/x", 0, otherCrew, 0o775) }, "cp EVIL p/x", nil, x, nil,
		"p/x is writable by group 61003 (owner root, mode -rwxrwxr-x) and would run as root: ", mendX},
	{"a program with an access control list", func(s *site) { s.acl("p/x") }, "cp EVIL p/x", nil, x, nil,
		"p/x is writable by those whom its access control list names ", mendX},
	{"a folder that a group may write", func(s *site) { s.own("p", 0, otherCrew, 0o775) }, "cp EVIL p/y; mv p/y p/x", nil, x, nil,
		"p/x would run as root but group 61003 may replace it, since SITE/p is writable by group 61003 ", mendX},
	{"a folder of another", func(s *site) { s.own("p", other, 0, 0o755) }, "rm p/x; cp EVIL p/x", nil, x, nil,
		"p/x would run as root but 61001 may replace it, since SITE/p belongs to 61001 ", mendX},
	{"a folder with an access control list", func(s *site) { s.acl("p") }, "cp EVIL p/y; mv p/y p/x", nil, x, nil,
		"since SITE/p is writable by those whom its access control list names ", mendX},
	{"a folder further up", func(s *site) { s.mkdir("up", 0o777); s.mkdir("up/p", 0o755); s.script("up/p/x") },
		"mv up/p up/q; mkdir up/p; cp EVIL up/p/x", nil, map[string]string{"scriptbridge.yml": "scripts: [{command: SITE/up/p/x}]\n"}, nil,
		"p/x would run as root but everyone may replace it, since SITE/up is writable by everyone ",
		func(s *site) { s.own("up", 0, 0, 0o755); s.own("up/p", 0, 0, 0o755); s.script("up/p/x") }},
	{"another's program in a sticky folder", func(s *site) { s.mkdir("tmp", 0o1777) }, "cp EVIL tmp/x", nil, map[string]string{"scriptbridge.yml": "scripts: [{command: SITE/tmp/x}]\n"}, nil,
		"tmp/x belongs to 61001 (mode -rwxr-xr-x) and would run as root: ", func(s *site) { s.script("tmp/x") }},
	{"a link in another's folder", func(s *site) { s.mkdir("links", 0o755); s.link("links/x", "../p/x"); s.own("links", other, 0, 0o755) },
		"ln -sf EVIL links/x", nil, map[string]string{"scriptbridge.yml": "scripts: [{command: SITE/links/x}]\n"}, nil,
		"links/x would run as root but 61001 may replace it, since SITE/links belongs to 61001 ",
		func(s *site) { s.own("links", 0, 0, 0o755); s.link("links/x", "../p/x") }},
	{"a link on the way", func(s *site) { s.mkdir("open", 0o777); s.link("open/l", "../p") },
		"ln -sfn ../theirs open/l", nil, map[string]string{"scriptbridge.yml": "scripts: [{command: SITE/open/l/x}]\n"}, nil,
		"open/l/x would run as root but everyone may replace it, since SITE/open is writable by everyone ",
		func(s *site) { s.own("open", 0, 0, 0o755); s.link("open/l", "../p") }},
	{"an interpreter", func(s *site) { s.script("p/i"); s.own("p/i", other, 0, 0o755) }, "cp EVIL p/i",
		nil, map[string]string{"scriptbridge.yml": "scripts: [{command: SITE/p/by}]\n", "p/by": "#!SITE/p/i\n"}, nil,
		"p/by is run by SITE/p/i: SITE/p/i belongs to 61001 ", func(s *site) { s.write("p/i", strings.ReplaceAll(good, "$1", "$2"), 0o755) }},
	{"a folder in which scripts are discovered", func(s *site) { s.mkdir("drop", 0o1777) }, "cp EVIL drop/x",
		nil, map[string]string{"scriptbridge.yml": "discover: [{directory: drop}]\n"}, nil,
		"scriptbridge.yml:1: discover[0]: directory is obeyed by root, but everyone may change it, since SITE/drop is writable by everyone ",
		func(s *site) { s.own("drop", 0, 0, 0o755); s.script("drop/x") }},
	{"a folder of a monitor's modules", func(s *site) { s.mkdir("mods", 0o777) },
		`printf 'import os\nopen("SITE/out/taken", "w")\n' >mods/m.py`,
		nil, map[string]string{"scriptbridge.yml": "scripts: [{dialect: scalyr, name: x, options: {module: m, module_paths: [SITE/mods]}}]\n"}, nil,
		"SITE/mods is writable by everyone ", func(s *site) {
			s.own("mods", 0, 0, 0o755)
			s.write("mods/m.py", "import os\nfrom scalyr_agent import ScalyrMonitor\nclass M(ScalyrMonitor):\n def gather_sample(self):\n  self._logger.emit_value('uid', os.getuid())\n", 0o644)
		}},
}

// evilConfig is a configuration that runs the other user's script.
const evilConfig = `printf 'scripts: [{name: x, command: EVIL}]\n'`

// envFile is a script whose variables are in a file.
var envFile = map[string]string{"scriptbridge.yml": "scripts: [{command: SITE/p/x, env_file: SITE/e/env}]\n", "e/env": "A=b\n"}

// preload is what gives away root there.
const preload = "printf 'LD_PRELOAD=SITE/theirs/lib.so\\n' "

func envRow(name, refused string, open func(s *site), attack string) taken {
	return taken{name, open, attack, nil, envFile, nil, "scriptbridge.yml:1: scripts[0] \"x\": env_file is obeyed by root, but " + refused,
		func(s *site) { s.own("e", 0, 0, 0o755); s.noACL("e/env", 0o600); s.write("e/env", "A=b\n", 0o600) }}
}

// configurations are what tells root what to run.
var configurations = []taken{
	{"a configuration that everyone may write", func(s *site) { s.own("scriptbridge.yml", 0, 0, 0o666) }, evilConfig + " >scriptbridge.yml", nil, x, nil,
		"scriptbridge.yml: is obeyed by root, but everyone may change it, ", func(s *site) { s.write("scriptbridge.yml", x["scriptbridge.yml"], 0o644) }},
	{"a default configuration in another's folder", func(s *site) { s.own(".", other, 0, 0o755) }, "rm -f scriptbridge.yml; " + evilConfig + " >scriptbridge.yml", nil, x, nil,
		"scriptbridge.yml: is obeyed by root, but 61001 may change it, since SITE belongs to 61001 ",
		func(s *site) { s.own(".", 0, 0, 0o755); s.write("scriptbridge.yml", x["scriptbridge.yml"], 0o644) }},
	{"an included file", func(s *site) { s.mkdir("conf.d", 0o777) }, evilConfig + " >conf.d/a.yml", nil, map[string]string{"scriptbridge.yml": "include: [conf.d/*.yml]\n"}, nil,
		"scriptbridge.yml:1: include \"conf.d/*.yml\": conf.d/a.yml is obeyed by root, but ",
		func(s *site) { s.own("conf.d", 0, 0, 0o755); s.write("conf.d/a.yml", x["scriptbridge.yml"], 0o644) }},
	envRow("an env_file that others may write", "everyone may change it, since SITE/e/env is writable by everyone ", func(s *site) { s.own("e/env", 0, 0, 0o602) }, preload+">>e/env"),
	envRow("an env_file that a group may write", "group 61003 may change it, ", func(s *site) { s.own("e/env", 0, otherCrew, 0o620) }, preload+">>e/env"),
	envRow("an env_file of another", "61001 may change it, since SITE/e/env belongs to 61001 ", func(s *site) { s.own("e/env", other, 0, 0o600) }, preload+">>e/env"),
	envRow("an env_file with an access control list", "those whom its access control list names may change it, ", func(s *site) { s.own("e/env", 0, 0, 0o600); s.acl("e/env") }, preload+">>e/env"),
	envRow("an env_file in a folder that everyone may write", "everyone may change it, since SITE/e is writable by everyone ", func(s *site) { s.own("e", 0, 0, 0o777) },
		"rm -f e/env; umask 077; "+preload+">e/env"),
	{"a file of secrets", func(s *site) { s.own("token", 0, otherCrew, 0o620) }, "echo mine-mine-mine-mine >token",
		nil, map[string]string{"scriptbridge.yml": "scripts: [{command: SITE/p/x}]\nreceive: {coscale: {app_id: A, access_tokens_file: SITE/token}}\n", "token": "a-token-of-ours-that-is-long\n"}, nil,
		"receive: coscale: access_tokens_file is obeyed by root, but group 61003 may change it, ", func(s *site) { s.own("token", 0, 0, 0o600) }},
	{"the file of a mapping", func(s *site) { s.own("map.yml", other, 0, 0o600) }, "echo 'mappings: []' >map.yml",
		nil, map[string]string{"scriptbridge.yml": "scripts: [{command: SITE/p/x}]\nreceive: {statsd: {udp: \"127.0.0.1:8125\", mapping_config: SITE/map.yml}}\n", "map.yml": "mappings: []\n"}, nil,
		"receive: statsd: mapping_config is obeyed by root, but 61001 may change it, ", func(s *site) { s.own("map.yml", 0, 0, 0o600) }},
	{"the file of the web port", func(s *site) { s.own("web.yml", 0, 0, 0o602) }, "echo 'basic_auth_users: {}' >web.yml",
		nil, map[string]string{"scriptbridge.yml": x["scriptbridge.yml"], "web.yml": "http_server_config: {http2: true}\n"}, []string{"check", "--web.config.file=SITE/web.yml"},
		"--web.config.file: SITE/web.yml is obeyed by root, but everyone may change it, ", func(s *site) { s.own("web.yml", 0, 0, 0o600) }},
}

// storageArgs open the storage folder as the commands about uploads do, which use
// it and end.
var storageArgs = []string{"uploads", "retry", "--storage.path=SITE/s/store"}

// stored has an upload, so that there is something to be done there.
var stored = map[string]string{
	"scriptbridge.yml": "scripts: [{command: SITE/p/x}]\nupload: {instrumental: {api_key_file: SITE/key}}\n", "key": "0123456789abcdef\n", "root-only": "root's\n",
}

func storageRow(name, refused string, open func(s *site), attack string, after func(s *site)) taken {
	fresh := func(s *site) {
		s.must(os.RemoveAll(s.at("s")))
		s.mkdir("s", 0o755)
		s.mkdir("s/store", 0o755)
		s.mkdir("s/store/uploads", 0o700)
	}
	return taken{name, func(s *site) { fresh(s); open(s) }, attack, after, stored, storageArgs, refused, fresh}
}

// storages are folders in which root would write where a link leads.
var storages = []taken{
	storageRow("a storage folder of another", "61001 may change it, since SITE/s/store belongs to 61001 ", func(s *site) { s.own("s/store", other, 0, 0o755) },
		"ln -s SITE/root-only s/store/lock", nil),
	storageRow("a link in a folder that was another's", "s/store/lock is a link, which is not followed here: ", func(s *site) { s.own("s/store", other, 0, 0o755) },
		"ln -s SITE/root-only s/store/lock", func(s *site) { s.own("s/store", 0, 0, 0o755) }),
	storageRow("a file in a folder that was another's", "s/store/lock belongs to another user (uid 61001): ", func(s *site) { s.own("s/store", other, 0, 0o755) },
		"echo >s/store/lock", func(s *site) { s.own("s/store", 0, 0, 0o755) }),
	storageRow("a folder in it that everyone may write", "s/store/scripts: others may write it (mode drwxrwxrwx): ", func(s *site) { s.mkdir("s/store/scripts", 0o777) },
		"mkfifo s/store/scripts/x", nil),
	storageRow("a folder in it that is a link", "s/store/scripts is a link, which is not followed here: ", func(s *site) { s.link("s/store/scripts", "/etc") }, "true", nil),
	storageRow("a storage folder in one that everyone may write", "everyone may change it, since SITE/s is writable by everyone ", func(s *site) { s.own("s", 0, 0, 0o777) },
		"mv s/store s/away; mkdir -p s/store/uploads; ln -s SITE/root-only s/store/lock", nil),
}

// site is a folder that only root may change, in which a row is played.
type site struct {
	t    *testing.T
	root string
}

func newSite(t *testing.T, files map[string]string) *site {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files to others")
	}
	root, err := filepath.EvalSymlinks(t.TempDir())
	s := &site{t, root}
	s.must(err, os.Chmod(filepath.Dir(root), 0o755), os.Chmod(root, 0o755)) // the other user may look
	if e := (trust.Policy{}).Fault(root); e != nil {
		t.Skipf("the folder for tests is none that only root may change: %v", e)
	}
	s.mkdir("p", 0o755)
	s.script("p/x")
	s.mkdir("out", 0o1777)
	s.mkdir("theirs", 0o755)
	s.write("theirs/x", evil, 0o755)
	s.own("theirs", other, other, 0o755)
	s.own("theirs/x", other, other, 0o755)
	for name, text := range files {
		mode := os.FileMode(0o600)
		switch {
		case strings.HasPrefix(name, "p/"):
			mode = 0o755
		case strings.HasSuffix(name, ".yml"):
			mode = 0o644
		}
		if folder := filepath.Dir(name); folder != "." && folder != "p" {
			s.mkdir(folder, 0o755)
		}
		s.write(name, text, mode)
	}
	return s
}

func (s *site) play(row taken) {
	t := s.t
	row.open(s)
	s.attack(row.attack)
	if row.after != nil {
		row.after(s)
	}
	args := row.args
	if args == nil {
		args = []string{"try"}
	}
	said, err := s.run(args...)
	if refused := s.text(row.refused); err == nil || !strings.Contains(said, refused) {
		t.Errorf("it is not refused (%v), or not for the reason: %s\nit says\n%s", err, refused, said)
	}
	s.untaken()
	row.mend(s)
	said, err = s.run(args...)
	if err != nil || row.args == nil && !strings.Contains(said, "_uid{") {
		t.Errorf("with the right owners: %v\n%s", err, said)
	}
	s.untaken()
}

// untaken sees that nothing of the other user's was run, and nothing was written
// where they wanted it.
func (s *site) untaken() {
	s.t.Helper()
	if who, err := os.ReadFile(s.at("out/taken")); !errors.Is(err, os.ErrNotExist) {
		s.t.Errorf("the other user's script ran as uid %s %v", who, err)
	}
	if text, err := os.ReadFile(s.at("root-only")); err == nil && string(text) != "root's\n" {
		s.t.Errorf("the file of root alone has %q", text)
	}
}

// run runs the program as root.
func (s *site) run(args ...string) (said string, err error) {
	cmd := exec.Command("scriptbridge", args...)
	for i := range cmd.Args {
		cmd.Args[i] = s.text(cmd.Args[i])
	}
	cmd.Dir = s.root
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// attack does something as the other user, who is in their group.
func (s *site) attack(script string) {
	s.t.Helper()
	cmd := exec.Command("sh", "-ec", s.text(script))
	cmd.Dir = s.root
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: other, Gid: other, Groups: []uint32{otherCrew}}}
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("the other user cannot do that: %v\n%s", err, out)
	}
}

func (s *site) at(name string) string { return filepath.Join(s.root, name) }

func (s *site) text(text string) string {
	return strings.NewReplacer("SITE", s.root, "EVIL", s.at("theirs/x")).Replace(text)
}

func (s *site) must(errs ...error) {
	s.t.Helper()
	if err := errors.Join(errs...); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) own(name string, uid, gid int, mode uint32) {
	s.t.Helper()
	s.must(os.Chown(s.at(name), uid, gid), syscall.Chmod(s.at(name), mode))
}

func (s *site) mkdir(name string, mode uint32) {
	s.t.Helper()
	s.must(os.Mkdir(s.at(name), 0o700))
	s.own(name, 0, 0, mode)
}

// write puts a file of root's in the place of what is there.
func (s *site) write(name, text string, mode os.FileMode) {
	s.t.Helper()
	s.must(os.RemoveAll(s.at(name)), os.WriteFile(s.at(name), []byte(s.text(text)), mode), os.Chmod(s.at(name), mode))
}

func (s *site) script(name string) { s.write(name, good, 0o755) }

func (s *site) link(name, to string) {
	s.t.Helper()
	s.must(os.RemoveAll(s.at(name)), os.Symlink(to, s.at(name)))
}

func (s *site) acl(name string) { testkit.ACL(s.t, s.at(name), other, 7) }

func (s *site) noACL(name string, mode uint32) {
	_ = unix.Removexattr(s.at(name), "system.posix_acl_access") // there may be none
	s.own(name, 0, 0, mode)
}
