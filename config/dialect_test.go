package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNewDialect: a dialect that this package has never heard of is all data.
func TestNewDialect(t *testing.T) {
	dialects := Dialects{
		{Name: "toy", Home: ".toys", Options: struct {
			Shape string `yaml:"shape" default:"round"`
		}{}},
		{Name: "kit", Modules: true, Declares: true},
	}
	dir := unpackText(t, `
global: {interval: 1m}
scripts:
  - {command: a.sh, timeout: 2m}
  - {name: b, command: b.sh, dialect: kit}
  - {dialect: kit, timeout: 2m, options: {module: x.y}}
  - {command: c.sh, shape: square}
  - {command: d.sh, permissions: off}
discover:
  - {}
  - {agent_config: f}
  - {dialect: kit, agent_config: f}
`)
	c, err := Load(dialects, "scriptbridge.yml", nil)
	const want = `scriptbridge.yml:5: scripts[1] "b": command is not for the dialect kit (name the module under options)
scriptbridge.yml:7: scripts[3] "c": unknown key "shape" (it is an option of a dialect: write it under options:)
scriptbridge.yml:8: scripts[4] "d": unknown key "permissions" (docs/configuration.md lists those that there are)
scriptbridge.yml:11: discover[1]: agent_config is not for the dialect toy (write dialect: kit)`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if len(c.Warnings) != 0 && !strings.Contains(c.Warnings[0].Error(), "scriptbridge.yml:4") || len(c.Warnings) != 1 {
		t.Errorf("warnings %q: the toy alone cannot say its interval", c.Warnings)
	}
	if s := c.Scripts[0]; s.Dialect != "toy" || c.Scripts[1].Name != "y" {
		t.Errorf("the first script speaks %q, the second is called %q", s.Dialect, c.Scripts[1].Name)
	}
	if d := c.Discover[0]; d.Directory != filepath.Join(dir, ".toys") {
		t.Errorf("discover looks into %s", d.Directory)
	}
}

// unpackText makes a folder with a configuration, which is the home too, and goes
// there.
func unpackText(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("HOME", dir)
	t.Setenv("USERPROFILE", dir)
	if err := os.WriteFile("scriptbridge.yml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestDefaults: what others need of the defaults is what the tags say.
func TestDefaults(t *testing.T) {
	c := loadText(t, "receive: {statsd: {udp: ':1'}}\n")
	if r := c.Receive.StatsD; r.TTL != DefaultTTL || r.MaxSeries != DefaultMaxSeries {
		t.Errorf("a receiver has the defaults %s and %d", r.TTL, r.MaxSeries)
	}
}
