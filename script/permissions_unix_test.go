//go:build unix

package script

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/config"
	"scriptbridge/config/cmdline"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/all"
	"scriptbridge/script/dialect/instrumental"
	"scriptbridge/script/process"
	"scriptbridge/script/process/processtest"
)

// No remedy changes what is not the script's own: whatever the command is,
// chmod is said of no other file and of no folder, and chown of nothing.
func TestRemediesAreSafe(t *testing.T) {
	nobody := &process.Account{Name: "nobody", UID: 65534, GID: 65534}
	own := processtest.WriteScript(t, "own.sh", "", 0o777)
	os.Chmod(filepath.Dir(own), 0o700)
	toSystem := filepath.Join(t.TempDir(), "link.sh")
	if err := os.Symlink("/usr/bin/env", toSystem); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", os.Getenv("PATH")+":"+filepath.Dir(processtest.WriteScript(t, "inpath.sh", "", 0o777)))
	lines := []string{
		own, toSystem, "inpath.sh", "sh", "df -h", "/usr/bin/env", "/usr/bin/env " + own, "sh /dev/stdin", "/dev/null", "sh /etc/passwd", "/etc/passwd",
		"/tmp/nothing.sh", "sh -c 'echo a 1'", "/bin/sh -c 'echo a 1'", "bash -ec /etc/passwd", "sh -s /etc/passwd", "python3 -c 1", "python3 -c1 /etc/passwd",
		"python3 - /etc/passwd", "perl -ne print /etc/passwd", "perl -e1 /etc/passwd", "php -r 1", "php -d a=1 -r 1", "env X=y sh -c 'echo a 1'", "env -S 'sh /etc/passwd'",
		"nice python3 -m mod", "nice -n 5 cat /etc/passwd", "timeout 5 cat /etc/passwd", "busybox sh -c 'echo a 1'", "sudo -u nobody sh -c 'echo a 1'", "su nobody -c /etc/passwd",
		"python3 missing.py /etc/passwd", "node --eval 1 /etc/passwd", "time -o /etc/passwd sh -c 1", "bash -o pipefail -c /etc/passwd",
	}
	command := regexp.MustCompile(`chmod \S+ (\S+)|chown`)
	for _, line := range lines {
		words, err := cmdline.Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		for _, option := range []string{"owner-only", "not-writable-by-others"} {
			cfg, err := config.FromCommand(all.Dialects.Config(), "instrumental", words, t.TempDir(), map[string]string{"permissions": option})
			if err != nil {
				t.Fatal(err)
			}
			scripts, _, err := Resolve(all.Dialects, cfg)
			if err != nil {
				t.Fatal(err)
			}
			for _, runAs := range []*process.Account{nil, nobody, {UID: 0}} {
				guard := &process.Guard{RunAs: runAs}
				errs := []error{scripts[0].Check(), instrumental.Dialect{}.CheckPermissions(&scripts[0].Script, guard), guard.CheckProgram(words[0], true)}
				if file := scripts[0].File; file != "" {
					errs = append(errs, guard.CheckProgram(file, false), guard.CheckFolder(filepath.Dir(file)), guard.CheckFolder("/tmp"))
				}
				for _, err := range errs {
					if err == nil {
						continue
					}
					for _, m := range command.FindAllStringSubmatch(err.Error(), -1) {
						if strings.TrimSuffix(m[1], ",") != own {
							t.Errorf("%s, %s: %v", line, option, err)
						}
					}
				}
			}
		}
	}
}

// Links are followed, the folder is looked at, and Check asks too.
func TestInstrumentalAdmit(t *testing.T) {
	admit := func(file, option string) error {
		given, err := config.OptionsFrom(map[string]string{"permissions": option})
		if err != nil {
			t.Fatal(err)
		}
		s := &Script{
			Script: dialect.Script{
				Script: &config.Script{Command: []string{file}, Settings: config.Settings{Options: given}},
				File:   file,
			},
			dialect: instrumental.Dialect{},
		}
		return s.Check()
	}
	target := processtest.WriteScript(t, "target.sh", "", 0o755)
	link := filepath.Join(t.TempDir(), "link.sh")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Dir(link)
	os.Chmod(folder, 0o700)
	if err := admit(link, "owner-only"); err == nil || !strings.HasPrefix(err.Error(), link+" has mode 0755") {
		t.Errorf("the target's mode: %v", err)
	}
	os.Chmod(target, 0o700)
	if err := admit(link, "owner-only"); err != nil {
		t.Errorf("the target is good: %v", err)
	}
	os.Chmod(folder, 0o750)
	if err := admit(link, "owner-only"); err == nil || !strings.HasPrefix(err.Error(), "its folder "+folder+" has mode 0750") {
		t.Errorf("the folder's mode: %v", err)
	}
	if err := admit(link, "not-writable-by-others"); err != nil {
		t.Errorf("nobody else may write it: %v", err)
	}
	if err := admit(link, "off"); err != nil {
		t.Errorf("nothing is asked: %v", err)
	}
}

func TestResolveInstrumental(t *testing.T) {
	dir := t.TempDir()
	load := func(text string) *config.Config {
		t.Helper()
		file := filepath.Join(dir, "scriptbridge.yml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Load(all.Dialects.Config(), file, nil)
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	cfg := load("discover: [{dialect: instrumental, directory: scripts}, {dialect: instrumental, directory: a/b, interval: 10s}]")
	// One that is still to be made is no problem; one that cannot be is.
	want := fmt.Sprintf("%s/scriptbridge.yml:1: discover: there is no folder %[1]s/a/b (%[1]s/a is missing already)", dir)
	if scripts, problems, err := Resolve(all.Dialects, cfg); len(scripts) != 0 || len(problems) != 1 || problems[0].Error() != want || err != nil {
		t.Errorf("folders that are still to be made: %v, %v, %v", scripts, problems, err)
	}
	made, problems := makeMissingFolders(all.Dialects, cfg)
	if diff := cmp.Diff([]string{filepath.Join(dir, "scripts")}, made); diff != "" {
		t.Errorf("made (-want +got):\n%s", diff)
	}
	if len(problems) != 0 {
		t.Errorf("problems %v", problems)
	}
	if info, err := os.Stat(made[0]); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("made as %v, %v", info, err)
	}
	if again, _ := makeMissingFolders(all.Dialects, cfg); again != nil {
		t.Errorf("made again: %v", again)
	}
	if got := Round(all.Dialects, cfg); got != 10*time.Second {
		t.Errorf("a round is %s", got)
	}

	for text, want := range map[string][2]time.Duration{
		"":                                      {30 * time.Second, 30 * time.Second},
		"global: {interval: 2m}\n":              {2 * time.Minute, 2 * time.Minute},
		"global: {timeout: 7s}\n":               {30 * time.Second, 7 * time.Second},
		"global: {interval: 2m, timeout: 7s}\n": {2 * time.Minute, 7 * time.Second},
	} {
		cfg := load(text + "scripts: [{dialect: instrumental, command: /bin/app}]")
		scripts, _, err := Resolve(all.Dialects, cfg)
		if err != nil {
			t.Fatal(err)
		}
		interval, timeout := newJudge(scripts[0]).terms(nil)
		if interval != want[0] || timeout != want[1] {
			t.Errorf("%q: interval %s, timeout %s", text, interval, timeout)
		}
		if Round(all.Dialects, cfg) != 0 {
			t.Errorf("%q: a round of no folder is %s", text, Round(all.Dialects, cfg))
		}
	}
	scripts, _, err := Resolve(all.Dialects, load("scripts: [{dialect: instrumental, command: /bin/app, interval: 15s}]"))
	if err != nil {
		t.Fatal(err)
	}
	if interval, timeout := newJudge(scripts[0]).terms(nil); interval != 15*time.Second || timeout != 15*time.Second {
		t.Errorf("its own interval: %s, timeout %s", interval, timeout)
	}
}
