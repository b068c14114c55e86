package main

import (
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/alecthomas/kingpin/v2"
)

// The service runs with the flags that it was installed with, whose paths no longer depend on
// the folder of whoever installed it.
func TestServiceArgs(t *testing.T) {
	folder := t.TempDir()
	t.Chdir(folder)
	at := func(names ...string) string { return filepath.Join(append([]string{folder}, names...)...) }
	for _, c := range []struct{ args, want []string }{
		{nil, []string{"--config.file=" + at("scriptbridge.yml")}},
		{
			[]string{"--config.file=a b.yml", "--storage.path", "data", "--web.listen-address=127.0.0.1:10469", "--web.listen-address=:10470"},
			[]string{"--config.file=" + at("a b.yml"), "--storage.path=" + at("data"), "--web.listen-address=127.0.0.1:10469", "--web.listen-address=:10470"},
		},
		{
			[]string{"--web.enable-lifecycle", "--no-web.enable-pprof", "--account=LocalSystem", "--web.config.file=web.yml"},
			[]string{"--config.file=" + at("scriptbridge.yml"), "--web.enable-lifecycle", "--no-web.enable-pprof", "--web.config.file=" + at("web.yml")},
		},
		{
			[]string{"--log.file=eventlog", "--log.level=debug", "--config.trusted-path=x", "--config.file=" + at("c.yml")},
			[]string{"--log.file=eventlog", "--log.level=debug", "--config.trusted-path=" + at("x"), "--config.file=" + at("c.yml")},
		},
		{
			[]string{"--log.file=logs/eventlog", "--web.external-url=https://example.org/bridge"},
			[]string{"--config.file=" + at("scriptbridge.yml"), "--log.file=" + at("logs", "eventlog"), "--web.external-url=https://example.org/bridge"},
		},
	} {
		args := append([]string{"service", "install"}, c.args...)
		got, err := serviceArgs(windowsApplication(args), args)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q: the service runs with\n%q (%v), not\n%q", args, got, err, c.want)
		}
		// It understands them.
		if _, cmd, err := parseArgs(got, nil, nil); err != nil || cmd.Name != commandServe {
			t.Errorf("%q: %v", got, err)
		}
	}
}

// windowsApplication is the command line as it is on Windows.
func windowsApplication(args []string) *kingpin.Application {
	f := new(flags)
	app, _ := f.application(args)
	if runtime.GOOS != "windows" {
		f.serviceCommands(app, args)
	}
	return app
}

func TestRemovedText(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "removed the service scriptbridge; its configuration stays as it is\n"},
		{[]string{`--config.file=C:\a b.yml`}, "removed the service scriptbridge; its configuration C:\\a b.yml stays as it is\n"},
		{[]string{`--storage.path=C:\data`, `--config.file=C:\a.yml`}, "removed the service scriptbridge; its configuration C:\\a.yml and its storage C:\\data stay as they are\n"},
	} {
		if got := removedText(c.args); got != c.want {
			t.Errorf("%q: it says %q, not %q", c.args, got, c.want)
		}
	}
}
