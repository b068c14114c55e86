package takeover_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"scriptbridge/internal/trust"
)

// fuzzed are files of all tools, whatever is in them.
var fuzzed = []string{
	"opt/coscale/agent/plugins.conf", "etc/systemd/system/instrumentald.service", "etc/instrumentald.toml", "etc/scalyr-agent-2/agent.json",
	"etc/script_exporter/config.yaml", "etc/nagios/nrpe.cfg", "etc/nagios/nagios.cfg", "etc/icinga2/conf.d/x.conf", "etc/telegraf/telegraf.conf",
	"etc/crontab", "etc/collectd/collectd.conf", "lib/systemd/system/statsd_exporter.service", "var/spool/cron/crontabs/root", "etc/passwd",
}

// FuzzTools: whatever is in the files of a tool, what is made of them is a
// configuration that the program reads without an error, or nothing.
func FuzzTools(f *testing.F) {
	pairs, _ := filepath.Glob("testdata/*.txtar")
	for _, pair := range pairs {
		archive, err := txtar.ParseFile(pair)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			for i, name := range fuzzed {
				if filepath.Base(name) == filepath.Base(file.Name) || i == 6 && strings.HasSuffix(file.Name, "localhost.cfg") {
					f.Add(uint8(i), string(file.Data))
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, text string) {
		root := t.TempDir()
		name := filepath.Join(root, fuzzed[int(which)%len(fuzzed)])
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		var trusted *trust.Policy
		if len(text)%2 == 0 {
			trusted = new(trust.Policy)
		}
		if _, err := initCommand(t, root, trusted, "-"); err != nil && !strings.HasPrefix(err.Error(), "nothing of the tools ") {
			t.Error(err)
		}
	})
}
