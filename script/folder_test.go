package script

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scriptbridge/config"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/all"
	"scriptbridge/script/process/processtest"
)

// The files of a folder are data: a reload leaves its script alone, whatever has
// become of them.
func TestFolderIsData(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "metrics")
	file := filepath.Join(dir, "scriptbridge.yml")
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	load := func(max string) *Script {
		t.Helper()
		write(file, "scripts:\n  - {dialect: textfile, directory: metrics, max_age: "+max+"}\n")
		l, err := Load(all.Dialects, file, false, nil)
		if err != nil || len(l.Scripts) != 1 || len(l.Problems) > 0 {
			t.Fatal(err, l)
		}
		return l.Scripts[0]
	}
	first := load("1h") // the folder is not there yet
	write(filepath.Join(folder, "a.prom"), "a 1\n")
	second := load("1h")
	write(filepath.Join(folder, "a.prom"), "a 22\n")
	write(filepath.Join(folder, "b.prom"), "b 1\n")
	if third := load("1h"); first.Fingerprint() != second.Fingerprint() || second.Fingerprint() != third.Fingerprint() {
		t.Error("another file makes another script")
	}
	if other := load("2h"); other.Fingerprint() == first.Fingerprint() {
		t.Error("another max_age makes no other script")
	}
	if first.Name != "metrics" || first.Dir != folder || first.Check() != nil || len(first.Suspicions()) > 0 || !first.Source.Verbatim || first.Source.Prefix != "" {
		t.Errorf("%+v, %v, %q", first, first.Check(), first.Suspicions())
	}
}

// A folder that is given in the place of a command is read.
func TestGuessFolder(t *testing.T) {
	dir := t.TempDir()
	p := NewPool(&memory{}, processtest.Logger(t), 1)
	for _, words := range [][]string{{dir}, {dir + "/"}} {
		c, err := config.NewScript("", words, dir, config.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		if name, why, err := p.Guess(t.Context(), all.Dialects, c); name != "textfile" || why != "it is a folder" || err != nil {
			t.Errorf("%q: %q, since %s, %v", words, name, why, err)
		}
	}
}

// A folder may be read for a request, as a script is run.
func TestProbeFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.prom"), []byte("a 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.NewFolder("s", dir, "/", config.Settings{Dialect: "textfile", Probe: true, Interval: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	scripts, _, err := Resolve(all.Dialects, &config.Config{Scripts: []*config.Script{c}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := all.Dialects.Find("textfile")
	text := strings.ReplaceAll(strings.ReplaceAll(scripts[0].YAML(), `\\`, `\`), `"`, "") // Windows' separator is escaped
	if err != nil || !dialect.ReadsFolders(d) || !strings.Contains(text, "directory: "+dir) {
		t.Errorf("%v, %s", err, scripts[0].YAML())
	}
	p := NewPool(&memory{}, processtest.Logger(t), 1)
	defer p.Close()
	p.Reload(t.Context(), scripts, 1)
	got, err := p.Probe(t.Context(), "s", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if b := got.Batch; len(b.Samples) != 1 || len(b.Files) != 1 || !b.Files[0].Used {
		t.Errorf("%+v", b)
	}
}
