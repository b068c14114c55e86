//go:build unix

package script

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-kit/log"

	"scriptbridge/config"
	"scriptbridge/record"
	"scriptbridge/script/dialect/all"
)

// TestGuessRuns guesses real files, through an interpreter as well.
func TestGuessRuns(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"plugin":  "#!/bin/sh\necho run >>calls\necho 'RAID WARNING - slow'\nexit 1\n",
		"scalyr":  "#!/bin/sh\necho run >>calls\n# ScalyrMonitor\n",
		"coscale": "#!/bin/sh\necho run >>calls\ncase $1 in -c) ;; -d) ;; esac\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		command           []string
		dialect, why, err string
		calls             string
	}{
		{[]string{"./plugin"}, "nagios", "it says WARNING and exits with 1", "", "run\n"},
		{[]string{"sh", "plugin", "-w", "1"}, "nagios", "it says WARNING and exits with 1", "", "run\n"},
		{[]string{"./coscale"}, "coscale", "its text asks whether its argument is -c or -d", "", ""},
		{[]string{"./missing"}, "coscale", "there is no clue (--dialect names another)", "", ""},
		{[]string{"./scalyr"}, "scalyr", "its text speaks of ScalyrMonitor", "", ""},
	} {
		t.Run(strings.Join(tt.command, " "), func(t *testing.T) {
			os.Remove(filepath.Join(dir, "calls"))
			cfg, err := config.FromCommand(all.Dialects.Config(), "", tt.command, dir, nil)
			if err != nil {
				t.Fatal(err)
			}
			dialect, why, err := newGuesser(t).Guess(t.Context(), all.Dialects, cfg.Scripts[0])
			if dialect != tt.dialect || why != tt.why || (err == nil) != (tt.err == "") || err != nil && !strings.HasPrefix(err.Error(), tt.err) {
				t.Errorf("guessed %q, since %q, error %v", dialect, why, err)
			}
			calls, _ := os.ReadFile(filepath.Join(dir, "calls"))
			if string(calls) != tt.calls {
				t.Errorf("it was run: %q, want %q", calls, tt.calls)
			}
		})
	}
}

func newGuesser(t *testing.T) *Pool {
	p := NewPool(record.Tee{}, log.NewNopLogger(), 1)
	t.Cleanup(p.Close)
	return p
}
