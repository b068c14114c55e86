package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// hostPath is a path in a configuration.
var hostPath = regexp.MustCompile(`/[A-Za-z0-9][^\s"',;|<>()\]]*`)

// TestInitChecked has check look at each configuration that init makes in its own
// package's tests, with the paths at which the files are here. Accounts are left
// out, which are not on this machine, and Scalyr's monitors, which check starts:
// the scenario init-takeover has some that work.
func TestInitChecked(t *testing.T) {
	pairs, err := filepath.Glob("takeover/testdata/*.txtar")
	if err != nil || len(pairs) == 0 {
		t.Fatalf("no pairs: %v", err)
	}
	for _, pair := range pairs {
		t.Run(strings.TrimSuffix(filepath.Base(pair), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(pair)
			if err != nil {
				t.Fatal(err)
			}
			root := t.TempDir()
			t.Setenv("PATH", os.Getenv("PATH")+":"+filepath.Join(root, "usr/bin"))
			made := ""
			for _, f := range archive.Files {
				name, below := strings.CutPrefix(f.Name, "root/")
				if !below {
					if f.Name == "want" {
						made = string(f.Data)
					}
					continue
				}
				if bytes.HasPrefix(f.Data, []byte("link ")) {
					continue
				}
				place := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(place), 0o700); err != nil {
					t.Fatal(err)
				}
				mode := os.FileMode(0o600)
				if bytes.HasPrefix(f.Data, []byte("#!")) {
					mode = 0o700
				}
				write(t, place, string(f.Data), mode)
			}
			scalyr := regexp.MustCompile(`(?m)^  - dialect: scalyr\n(?:    .*\n)*`)
			accounts := regexp.MustCompile(`(?m)^    user: .*\n`)
			made = accounts.ReplaceAllString(scalyr.ReplaceAllString(made, ""), "")
			moved := 0
			lines := strings.SplitAfter(made, "\n")
			for i, line := range lines {
				if strings.HasPrefix(strings.TrimSpace(line), "#") {
					continue
				}
				lines[i] = hostPath.ReplaceAllStringFunc(line, func(path string) string {
					if _, err := os.Stat(filepath.Join(root, path)); err != nil {
						return path
					}
					moved++
					return filepath.Join(root, path)
				})
			}
			file := filepath.Join(root, "made.yml")
			write(t, file, strings.Join(lines, ""), 0o600)
			var stdout, stderr bytes.Buffer
			if err := run(t.Context(), []string{"check", file}, &stdout, &stderr); err != nil {
				t.Errorf("%v\n%s\nof\n%s", err, &stderr, strings.Join(lines, ""))
			}
			if moved == 0 {
				t.Error("nothing is looked at")
			}
		})
	}
}
