package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rogpeppe/go-internal/txtar"
)

// lastLine is the command that every scenario gets as its last line.
const lastLine = "reached-the-last-line"

// runScenarios runs every scenario of dir, and makes sure of two things that
// testscript does not: a command of ours is never hidden by a builtin of the
// same name, and a scenario that passes has reached its last line.
func runScenarios(t *testing.T, dir string, p testscript.Params) {
	t.Helper()
	if hidden := hiddenCommands(t, slices.Sorted(maps.Keys(p.Cmds))); len(hidden) > 0 {
		t.Fatalf("these commands can never run, since testscript has builtins of the same names: %s", strings.Join(hidden, ", "))
	}
	needShell(t)
	p.Files = withLastLine(t, dir)
	guardLastLine(&p)
	testscript.Run(t, p)
}

// withLastLine copies the scenarios of dir with one more line each, behind all
// others, so that the numbers of the lines stay as they are.
func withLastLine(t *testing.T, dir string) (files []string) {
	t.Helper()
	sources, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(sources) == 0 {
		t.Fatalf("no scenarios in %s (%v)", dir, err)
	}
	to := t.TempDir()
	for _, source := range sources {
		archive, err := txtar.ParseFile(source)
		if err != nil {
			t.Fatal(err)
		}
		forSystem(archive)
		archive.Comment = slices.Concat(archive.Comment, []byte(lastLine+"\n"))
		file := filepath.Join(to, filepath.Base(source))
		if err := os.WriteFile(file, txtar.Format(archive), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

type lastLineKey struct{}

// guardLastLine fails a scenario that would pass without its last line.
func guardLastLine(p *testscript.Params) {
	p.Cmds = maps.Clone(p.Cmds)
	if p.Cmds == nil {
		p.Cmds = make(map[string]func(*testscript.TestScript, bool, []string))
	}
	p.Cmds[lastLine] = func(ts *testscript.TestScript, _ bool, _ []string) {
		*ts.Value(lastLineKey{}).(*bool) = true
	}
	setup := p.Setup
	p.Setup = func(env *testscript.Env) error {
		reached := new(bool)
		env.Values[lastLineKey{}] = reached
		t := env.T()
		env.Defer(func() {
			if ended, ok := t.(interface{ Failed() bool }); ok && ended.Failed() {
				return
			}
			if left, ok := t.(interface{ Skipped() bool }); ok && left.Skipped() {
				return
			}
			if !*reached {
				t.Fatal("the scenario ended before its last line (as testscript's own stop ends it)")
			}
		})
		if setup == nil {
			return nil
		}
		return setup(env)
	}
}

// hiddenCommands tells which of the names testscript takes for builtins of its
// own. It has no list that one could ask, so each name is tried.
func hiddenCommands(t *testing.T, names []string) (hidden []string) {
	t.Helper()
	dir := t.TempDir()
	for i, name := range names {
		file := filepath.Join(dir, fmt.Sprintf("probe%d.txtar", i))
		if err := os.WriteFile(file, []byte(name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		ours := false
		dryRun(testscript.Params{
			Files: []string{file},
			Cmds: map[string]func(*testscript.TestScript, bool, []string){
				name: func(*testscript.TestScript, bool, []string) { ours = true },
			},
		})
		if !ours {
			hidden = append(hidden, name)
		}
	}
	return hidden
}

// dryRun runs scripts without a test, and tells why they failed.
func dryRun(p testscript.Params) error {
	t := &dryT{}
	done := make(chan struct{})
	go func() { // since a failure ends the goroutine, as in a test
		defer close(done)
		testscript.RunT(t, p)
	}()
	<-done
	return errors.Join(t.failures...)
}

// dryT is what testscript wants of a test.
type dryT struct {
	failures []error
	skipped  bool
}

func (t *dryT) Skipped() bool { return t.skipped }

func (t *dryT) Skip(...any) {
	t.skipped = true
	runtime.Goexit()
}

func (t *dryT) Fatal(args ...any) {
	t.failures = append(t.failures, errors.New(fmt.Sprint(args...)))
	runtime.Goexit()
}
func (t *dryT) FailNow() {
	t.failures = append(t.failures, errors.New("failed"))
	runtime.Goexit()
}
func (t *dryT) Parallel()     {}
func (t *dryT) Log(...any)    {}
func (t *dryT) Verbose() bool { return false }

func (t *dryT) Run(_ string, f func(testscript.T)) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(t)
	}()
	<-done
}

// TestTheNet holds what runScenarios promises.
func TestTheNet(t *testing.T) {
	if got, want := hiddenCommands(t, []string{"serve", "skip", "stop", "terminate", "wait"}), []string{"skip", "stop", "wait"}; !slices.Equal(got, want) {
		t.Errorf("hidden by builtins: %v, not %v", got, want)
	}
	for _, c := range []struct{ script, want string }{
		{"stop\nexec false\n", "ended before its last line"},
		{"stop\n", "ended before its last line"},
		{"[unix] stop\n", "ended before its last line"},
		{"exec false\n", "failed"},
		{"env A=b\n\n-- file --\ntext\n", ""},
		{"skip 'for want of a program'\n", ""},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a.txtar"), []byte(c.script), 0o600); err != nil {
			t.Fatal(err)
		}
		p := testscript.Params{Files: withLastLine(t, dir)}
		guardLastLine(&p)
		err := dryRun(p)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%q failed: %v", c.script, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%q ended with %v, not with %q", c.script, err, c.want)
		}
	}
}
