package takeover_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
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
	if info, err := os.Stat(output); err != nil || info.Mode().Perm() != 0o600 {
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
