package script

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/go-kit/log"

	"scriptbridge/config"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/all"
	"scriptbridge/script/dialect/dialecttest"
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
			scripts := dialecttest.UnpackTxtar(t, "-- script.sh --\n")
			opens := countOpens(t, scripts)
			file := filepath.Join(dir, "scriptbridge.yml")
			text := "scripts:\n  - name: a\n    dialect: prometheus\n    " + strings.ReplaceAll(entry, "FOLDER", scripts) + "\n"
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg, err := config.Load(all.Dialects.Config(), file, nil)
			if err != nil {
				t.Fatal(err)
			}
			all, _, err := Resolve(all.Dialects, cfg)
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
	fails := &player{play: func(context.Context, int) *dialect.Result {
		return &dialect.Result{Outcomes: []*process.Outcome{{Result: record.Error, ExitCode: 1}}}
	}}
	s := newTestScript("a", 0, fails)
	s.Command = []string{"/bin/sh"}
	asked := false
	s.dialect = fakeDialect{check: func() error {
		asked = true
		if n := p.Running(); n != 0 {
			t.Errorf("%d places are taken while the reason of a failure is looked for", n)
		}
		return nil
	}}
	p.Once(t.Context(), []*Script{s})
	if !asked {
		t.Error("no reason was looked for")
	}
}

// TestDiscoverScalyrReads: how often the agent's configuration is read does not
// depend on how many monitors it names.
func TestDiscoverScalyrReads(t *testing.T) {
	reads := func(monitors int) int {
		dir := t.TempDir()
		var named []string
		for i := range monitors {
			named = append(named, fmt.Sprintf(`{module: "some_module", id: "m%d"}`, i))
		}
		file := filepath.Join(dir, "agent.json")
		if err := os.WriteFile(file, []byte("{monitors: ["+strings.Join(named, ",")+"]}"), 0o600); err != nil {
			t.Fatal(err)
		}
		opens := countOpens(t, file)
		d := &config.Discover{AgentConfig: file}
		d.Dialect, d.Env = "scalyr", map[string]config.Secret{"A": "1"}
		scripts, _, err := Resolve(all.Dialects, &config.Config{Discover: []*config.Discover{d}})
		if err != nil || len(scripts) != monitors {
			t.Fatalf("%d scripts, %v", len(scripts), err)
		}
		for _, s := range scripts {
			if len(s.inputs) != 64 {
				t.Fatalf("%s sees %q", s.Name, s.inputs)
			}
		}
		return opens()
	}
	if few, many := reads(2), reads(50); few == 0 || few != many {
		t.Errorf("it is opened %d times for 2 monitors and %d times for 50", few, many)
	}
}

// countOpens watches a file, and gives what tells how often it has been opened.
func countOpens(t *testing.T, file string) func() int {
	t.Helper()
	fd, err := syscall.InotifyInit1(syscall.IN_NONBLOCK | syscall.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	// Closing too, since the kernel merges events that are the same.
	if _, err := syscall.InotifyAddWatch(fd, file, syscall.IN_OPEN|syscall.IN_CLOSE_NOWRITE); err != nil {
		t.Fatal(err)
	}
	return func() (opens int) {
		buf := make([]byte, 64<<10)
		for {
			n, err := syscall.Read(fd, buf)
			if err != nil || n <= 0 {
				return opens
			}
			for event := buf[:n]; len(event) >= syscall.SizeofInotifyEvent; {
				if binary.NativeEndian.Uint32(event[4:])&syscall.IN_OPEN != 0 {
					opens++
				}
				event = event[syscall.SizeofInotifyEvent+int(binary.NativeEndian.Uint32(event[12:])):]
			}
		}
	}
}
