//go:build unix

package script

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/config"
)

func TestCheckOwner(t *testing.T) {
	us := userName(uint32(os.Geteuid()))
	path := writeScript(t, "app.sh", "", 0o700)
	other := &account{name: "other", uid: uint32(os.Geteuid()) + 4242}
	for _, c := range []struct {
		mode    os.FileMode
		allowed permissions
		runAs   *account
		want    string
	}{
		{0o700, ownerOnly, nil, ""},
		{0o700, notWritableByOthers, nil, ""},
		{0o755, notWritableByOthers, nil, ""},
		{0o500, notWritableByOthers, nil, ""},
		{0o755, ownerOnly, nil, "FILE has mode 0755, not 0700: chmod 0700 FILE, or options: {permissions: not-writable-by-others}"},
		{0o500, ownerOnly, nil, "FILE has mode 0500, not 0700: chmod 0700 FILE, or options: {permissions: not-writable-by-others}"},
		{0o700 | os.ModeSetuid, ownerOnly, nil, "FILE has mode 4700, not 0700: chmod 0700 FILE, or options: {permissions: not-writable-by-others}"},
		{0o720, notWritableByOthers, nil, "FILE has mode 0720, others may write it: chmod go-w FILE (or chmod 0700), or options: {permissions: off}"},
		{0o702, notWritableByOthers, nil, "FILE has mode 0702, others may write it: chmod go-w FILE (or chmod 0700), or options: {permissions: off}"},
		{0o700, ownerOnly, other, fmt.Sprintf("FILE belongs to %s, not to %d, who would run it: chown %[2]d FILE (and chmod 0700), or options: {permissions: off}", us, other.uid)},
	} {
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := checkOwner(path, c.allowed, c.runAs); err != nil {
			got = strings.ReplaceAll(err.Error(), path, "FILE")
		}
		if got != c.want {
			t.Errorf("%v, %s: %q, want %q", c.mode, c.allowed, got, c.want)
		}
	}
	// Root's scripts are good enough for others, where they need not be one's own.
	if err := checkOwner(path, notWritableByOthers, other); (err == nil) != (os.Geteuid() == 0) {
		t.Errorf("root's script for another: %v", err)
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
			Script: &config.Script{Command: []string{file}, Settings: config.Settings{Options: given}},
			File:   file, Dialect: instrumentalDialect,
		}
		return s.Check()
	}
	target := writeScript(t, "target.sh", "", 0o755)
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
	if err := admit(link, "owner-only"); err == nil || !strings.HasPrefix(err.Error(), folder+" has mode 0750") {
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
		cfg, err := config.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	cfg := load("discover: [{dialect: instrumental, directory: scripts}, {dialect: instrumental, directory: a/b, interval: 10s}]")
	if scripts, problems, err := Resolve(cfg); len(scripts) != 0 || problems != nil || err != nil {
		t.Errorf("folders that are still to be made: %v, %v, %v", scripts, problems, err)
	}
	made, problems := MakeFolders(cfg)
	if diff := cmp.Diff([]string{filepath.Join(dir, "scripts")}, made); diff != "" {
		t.Errorf("made (-want +got):\n%s", diff)
	}
	if len(problems) != 1 || !strings.Contains(problems[0].Error(), filepath.Join(dir, "a/b")) {
		t.Errorf("problems %v", problems)
	}
	if info, err := os.Stat(made[0]); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("made as %v, %v", info, err)
	}
	if again, _ := MakeFolders(cfg); again != nil {
		t.Errorf("made again: %v", again)
	}
	if got := Round(cfg); got != 10*time.Second {
		t.Errorf("a round is %s", got)
	}

	for text, want := range map[string][2]time.Duration{
		"":                                      {30 * time.Second, 30 * time.Second},
		"global: {interval: 2m}\n":              {2 * time.Minute, 2 * time.Minute},
		"global: {timeout: 7s}\n":               {30 * time.Second, 7 * time.Second},
		"global: {interval: 2m, timeout: 7s}\n": {2 * time.Minute, 7 * time.Second},
	} {
		cfg := load(text + "scripts: [{dialect: instrumental, command: /bin/app}]")
		scripts, _, err := Resolve(cfg)
		if err != nil {
			t.Fatal(err)
		}
		interval, timeout := newJudge(scripts[0]).terms(nil)
		if interval != want[0] || timeout != want[1] {
			t.Errorf("%q: interval %s, timeout %s", text, interval, timeout)
		}
		if Round(cfg) != 0 {
			t.Errorf("%q: a round of no folder is %s", text, Round(cfg))
		}
	}
	scripts, _, err := Resolve(load("scripts: [{dialect: instrumental, command: /bin/app, interval: 15s}]"))
	if err != nil {
		t.Fatal(err)
	}
	if interval, timeout := newJudge(scripts[0]).terms(nil); interval != 15*time.Second || timeout != 15*time.Second {
		t.Errorf("its own interval: %s, timeout %s", interval, timeout)
	}
}
