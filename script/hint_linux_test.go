package script

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-kit/log"

	"scriptbridge/config"
	"scriptbridge/record"
	"scriptbridge/script/process"
)

// TestMissingIsLookedForOnce: what else may be meant by a file that is missing
// is looked for when its script begins to fail, not in each of its runs.
func TestMissingIsLookedForOnce(t *testing.T) {
	for name, entry := range map[string]string{
		"program":           "command: FOLDER/scrip.sh",
		"script":            "command: [/bin/sh, FOLDER/scrip.sh]",
		"working_directory": "command: /bin/true\n    working_directory: FOLDER/scrip.sh",
		"env_file":          "command: /bin/true\n    env_file: FOLDER/scrip.sh",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			scripts := unpackTxtar(t, "-- script.sh --\n")
			opens := countOpens(t, scripts)
			file := filepath.Join(dir, "scriptbridge.yml")
			text := "scripts:\n  - name: a\n    dialect: prometheus\n    " + strings.ReplaceAll(entry, "FOLDER", scripts) + "\n"
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg, err := config.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			all, _, err := Resolve(cfg)
			if err != nil {
				t.Fatal(err)
			}
			p := NewPool(record.Tee{}, log.NewNopLogger(), 1)
			defer p.Close()
			run := func() int {
				v := p.Once(t.Context(), all)[0]
				want := "did you mean " + scripts + "/script.sh?)"
				if v.Last == nil || v.Last.Err == nil || !strings.HasSuffix(v.Last.Err.Error(), want) {
					t.Fatalf("the verdict is %+v, want %q at the end of its error", v.Last, want)
				}
				return opens()
			}
			if n := run(); n != 1 {
				t.Errorf("the first run reads the folder %d times", n)
			}
			if n := run() + run() + run(); n != 0 {
				t.Errorf("three further runs read the folder %d times", n)
			}
		})
	}
}

// TestHintsHoldNoPlace: what is looked for in files after a run, on a disk that
// may hang, takes no place from the others.
func TestHintsHoldNoPlace(t *testing.T) {
	p := NewPool(record.Tee{}, log.NewNopLogger(), 1)
	defer p.Close()
	fails := &player{play: func(context.Context, int) *Result {
		return &Result{Outcomes: []*process.Outcome{{Result: record.Error, ExitCode: 1}}}
	}}
	s := newTestScript("a", 0, fails)
	s.Command = []string{"/bin/sh"}
	asked := false
	s.Dialect.Admit = func(*Script, *process.Account) error {
		asked = true
		if n := p.Running(); n != 0 {
			t.Errorf("%d places are taken while the reason of a failure is looked for", n)
		}
		return nil
	}
	p.Once(t.Context(), []*Script{s})
	if !asked {
		t.Error("no reason was looked for")
	}
}
