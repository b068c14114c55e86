package takeover_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kingpin/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"scriptbridge/cli"
	"scriptbridge/internal/trust"
)

var update = flag.Bool("update", false, "write the want parts of testdata anew")

// TestPairs makes a configuration out of the files below root/ of each archive, and
// holds it and what is told against the parts want and told. The lines before the
// first file are further flags, and as-root has the bridge be root's.
func TestPairs(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no pairs: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			flags := strings.Fields(string(archive.Comment))
			var trusted *trust.Policy
			if at := slices.Index(flags, "as-root"); at >= 0 {
				if os.Geteuid() != 0 {
					t.Skip("only root's files are obeyed by root")
				}
				flags, trusted = slices.Delete(flags, at, at+1), new(trust.Policy)
			}
			root := t.TempDir()
			kept := slices.DeleteFunc(slices.Clone(archive.Files), func(f txtar.File) bool { return !strings.HasPrefix(f.Name, "root/") })
			unpack(t, root, kept)
			text, told, err := initIn(t, root, trusted, flags...)
			if err != nil {
				t.Fatal(err)
			}
			got := append(kept, txtar.File{Name: "want", Data: []byte(text)}, txtar.File{Name: "told", Data: []byte(told)})
			if *update {
				if err := os.WriteFile(file, txtar.Format(&txtar.Archive{Comment: archive.Comment, Files: got}), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(txtar.Format(&txtar.Archive{Files: archive.Files})), string(txtar.Format(&txtar.Archive{Files: got}))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestPrinted: what is printed has none of the secrets that all pairs have, and is a
// configuration all the same.
func TestPrinted(t *testing.T) {
	pairs, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	hidden := 0
	for _, pair := range pairs {
		archive, err := txtar.ParseFile(pair)
		if err != nil {
			t.Fatal(err)
		}
		root, secrets := t.TempDir(), regexp.MustCompile(`s3cret|hunter2`)
		unpack(t, root, slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return !strings.HasPrefix(f.Name, "root/") }))
		flags := strings.Fields(strings.ReplaceAll(string(archive.Comment), "as-root", ""))
		printed, err := initCommand(t, root, nil, "-", flags...)
		if at := secrets.FindStringIndex(printed); err != nil || at != nil {
			t.Errorf("%s: %v, %s", pair, err, printed)
		}
		if made, _, err := initIn(t, root, nil, flags...); err == nil && secrets.MatchString(made) {
			hidden++
		}
	}
	if hidden < 3 {
		t.Errorf("only %d pairs have secrets", hidden)
	}
}

// TestForeign: on another root too, root obeys no file that others may change, whoever
// owns what lies above that root; a user's own crontab is his.
func TestForeign(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files to others")
	}
	above := t.TempDir()
	root := filepath.Join(above, "image")
	script := "#!/bin/sh\n"
	unpack(t, root, []txtar.File{
		{Name: "etc/passwd", Data: []byte("root:x:0:0::/root:/bin/sh\nann:x:61001:61001::/home/ann:/bin/sh\nbob:x:61002:61002::/home/bob:/bin/sh\n")},
		{Name: "opt/x.sh", Data: []byte(script)},
		{Name: "etc/nagios4/nagios.cfg", Data: []byte("cfg_file=services.cfg\ncfg_file=commands.cfg\n")},
		{Name: "etc/nagios4/services.cfg", Data: []byte("define service {\nhost_name h\nservice_description s\ncheck_command c\n}\n")},
		{Name: "etc/nagios4/commands.cfg", Data: []byte("define command {\ncommand_name c\ncommand_line /opt/x.sh 5\n}\n")},
		{Name: "etc/systemd/system/script_exporter.service", Data: []byte("[Service]\nExecStart=/bin/x\n")},
		{Name: "etc/systemd/system/script_exporter.service.d/user.conf", Data: []byte("[Service]\nUser=ann\n")},
		{Name: "etc/script_exporter/config.yml", Data: []byte("scripts: [{name: exported, script: /opt/x.sh 6}]\n")},
		{Name: "etc/systemd/system/timed.service", Data: []byte("[Service]\nExecStart=/bin/sh -c '/opt/x.sh 7 > /var/lib/n/timed.prom'\n")},
		{Name: "etc/systemd/system/timed.timer", Data: []byte("[Timer]\nOnCalendar=daily\n")},
		{Name: "etc/systemd/system/timed.timer.d/x.conf", Data: []byte("[Timer]\nUnit=timed.service\n")},
		{Name: "etc/systemd/system/timers.target.wants/timed.timer", Data: []byte("link ../timed.timer")},
		{Name: "etc/nagios/nrpe.cfg", Data: []byte("command[nrpe]=/opt/x.sh\n")},
		{Name: "etc/cron.d/link", Data: []byte("link /srv/cron")},
		{Name: "srv/cron", Data: []byte("* * * * * root /opt/x.sh 1 > /var/lib/n/link.prom\n")},
		{Name: "etc/cron.d/plain", Data: []byte("* * * * * ann /opt/x.sh 2 > /var/lib/n/plain.prom\n")},
		{Name: "var/spool/cron/crontabs/ann", Data: []byte("* * * * * /opt/x.sh 3 > /var/lib/n/ann.prom\n")},
		{Name: "var/spool/cron/crontabs/bob", Data: []byte("* * * * * /opt/x.sh 4 > /var/lib/n/bob.prom\n")},
	})
	own := func(name string, uid int, mode os.FileMode) {
		t.Helper()
		if err := errors.Join(os.Chown(filepath.Join(above, name), uid, 0), os.Chmod(filepath.Join(above, name), mode)); err != nil {
			t.Fatal(err)
		}
	}
	own(".", 61001, 0o777)
	own("image", 61001, 0o777)
	own("image/var/spool/cron/crontabs", 0, 0o730|os.ModeSticky)
	own("image/var/spool/cron/crontabs/ann", 61001, 0o600)
	own("image/var/spool/cron/crontabs/bob", 61001, 0o600)
	own("image/srv", 0, 0o777)
	own("image/etc/cron.d/plain", 0, 0o664)
	own("image/etc/nagios4/commands.cfg", 61002, 0o644)
	own("image/etc/systemd/system/script_exporter.service.d/user.conf", 61002, 0o644)
	own("image/etc/systemd/system/timed.timer.d/x.conf", 61002, 0o644)
	made, _, err := initIn(t, root, new(trust.Policy))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"nrpe": "", "ann": "",
		"h-s": "61002 may change it, since /etc/nagios4/commands.cfg belongs to 61002", "exported": "61002 may change it, since /etc/systemd/system/script_exporter.service.d/user.conf belongs to 61002",
		"timed": "61002 may change it, since /etc/systemd/system/timed.timer.d/x.conf belongs to 61002",
		"link":  "everyone may change it, since /srv is writable by everyone",
		"plain": "group root may change it, since /etc/cron.d/plain is writable by group root",
		"bob":   "61001 may change it, since /var/spool/cron/crontabs/bob belongs to 61001",
	} {
		active := strings.Contains(made, "\n  - name: "+name+"\n")
		all := strings.Join(strings.Fields(strings.ReplaceAll(made, "\n  #", "")), " ")
		said := regexp.MustCompile("Not taken over: " + name + ": [^ ]+ would be obeyed by root, but " + want).MatchString(all)
		if active != (want == "") || said != (want != "") {
			t.Errorf("%s: %v, %v in\n%s", name, active, said, made)
		}
	}
}

// initIn runs init on a root, and gives the configuration and the summary.
func initIn(t *testing.T, root string, trusted *trust.Policy, flags ...string) (text, told string, err error) {
	t.Helper()
	output := filepath.Join(t.TempDir(), "scriptbridge.yml")
	told, err = initCommand(t, root, trusted, output, flags...)
	if err != nil {
		return "", "", err
	}
	made, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	// Windows has no modes; fsx has the test that such a file is its owner's alone.
	if info, err := os.Stat(output); err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("it has mode %v, %v", info.Mode(), err)
	}
	return string(made), strings.ReplaceAll(told, output, "scriptbridge.yml"), nil
}

// initCommand is the command, and what it prints.
func initCommand(t *testing.T, root string, trusted *trust.Policy, output string, flags ...string) (printed string, err error) {
	t.Helper()
	app := kingpin.New("scriptbridge", "")
	command := cli.Init(app)
	if _, err := app.Parse(append([]string{"init", "--root=" + root, "--output=" + output}, flags...)); err != nil {
		t.Fatal(err)
	}
	var stdout bytes.Buffer
	err = command.Run(t.Context(), &cli.Env{Trusted: trusted, Stdout: &stdout, Stderr: &stdout})
	return stdout.String(), err
}

// unpack makes files of an archive, those that begin with #! executable. A text
// "link TARGET" is one.
func unpack(t *testing.T, root string, files []txtar.File) {
	t.Helper()
	for _, f := range files {
		name := filepath.Join(root, strings.TrimPrefix(f.Name, "root/"))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if target, ok := strings.CutPrefix(strings.TrimSpace(string(f.Data)), "link "); ok {
			if err := os.Symlink(target, name); err != nil {
				t.Fatal(err)
			}
			continue
		}
		mode := os.FileMode(0o644)
		if bytes.HasPrefix(f.Data, []byte("#!")) {
			mode = 0o755
		}
		if err := os.WriteFile(name, f.Data, mode); err != nil {
			t.Fatal(err)
		}
	}
}
