package coscale

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scriptbridge/config"
	"scriptbridge/record"
)

// TestCoscaleExamples runs every script of examples/coscale in both modes, from
// a folder of its own, and reads every line that it prints.
func TestCoscaleExamples(t *testing.T) {
	// As discovery finds them: the watcher keeps a state file beside itself.
	paths, err := config.ScriptFiles("../../../examples/coscale")
	if err != nil || len(paths) < 5 {
		t.Fatalf("%d examples: %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			c, samples, events := runExample(t, path, t.TempDir())
			given := make(map[string]bool)
			for _, s := range samples {
				given[s.Meta.ID] = true
			}
			for _, m := range c.declared.Metrics {
				if !given[m.ID] && m.Name != "Process uptime" { // which needs $WATCH
					t.Errorf("no value for metric %s %q", m.ID, m.Name)
				}
				if m.Help == "" && m.Name != "Demo minimum" {
					t.Errorf("metric %q has no description", m.Name)
				}
			}
			if filepath.Base(path) == "features.py" && len(events) < 2 {
				t.Errorf("%d events", len(events))
			}
		})
	}
}

// runExample runs an example in dir, and fails the test over everything
// in its output that is not used.
func runExample(t *testing.T, path, dir string, env ...string) (*configuration, []record.Sample, []record.Event) {
	t.Helper()
	c, err := parseConfig(exampleOutput(t, path, dir, "-c", env))
	if err != nil || len(c.warnings) > 0 {
		t.Fatalf("-c: %v, warnings %q", err, c.warnings)
	}
	if c.period != time.Minute || c.maxRuntime != 5*time.Second {
		t.Errorf("period %s, maxruntime %s", c.period, c.maxRuntime)
	}
	out := exampleOutput(t, path, dir, "-d", env)
	samples, events, warnings, err := parseData(c, out, time.Now())
	if err != nil || len(warnings) > 0 {
		t.Fatalf("-d: %v, warnings %q\n%s", err, warnings, out)
	}
	comments := bytes.Count(out, []byte("\n# "))
	if lines := bytes.Count(out, []byte("\n")); len(samples)+len(events)+comments != lines {
		t.Errorf("%d samples and %d events of %d lines:\n%s", len(samples), len(events), lines, out)
	}
	return c, samples, events
}

func exampleOutput(t *testing.T, path, dir, mode string, env []string) []byte {
	t.Helper()
	if strings.HasSuffix(path, ".py") {
		if _, err := exec.LookPath("python3"); err != nil {
			t.Skip("python3 is not installed")
		}
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, mode)
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("%s %s: %v\n%s", path, mode, err, &stderr)
	}
	return out
}

// TestCoscaleRestartWatcher makes the example believe that the machine and a
// process ran before in another life.
func TestCoscaleRestartWatcher(t *testing.T) {
	const path = "../../../examples/coscale/restart-watcher.sh"
	cwd, dir := t.TempDir(), t.TempDir()
	name := fmt.Sprintf("watched%d", os.Getpid()) // nobody else's
	watch(t, name)
	env := []string{"WATCH=" + name, "STATE_DIRECTORY=" + dir + ":/elsewhere"}

	for run := range 2 {
		_, samples, events := runExample(t, path, cwd, env...)
		if len(samples) != 2 || samples[1].Labels[0].Value != name || len(events) != 0 {
			t.Fatalf("run %d: samples %+v, events %+v", run, samples, events)
		}
	}
	state := filepath.Join(dir, "restart-watcher.state")
	if err := os.WriteFile(state, []byte("another boot\n"+name+"\n1 2\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	_, _, events := runExample(t, path, cwd, env...)
	var told []string
	for _, e := range events {
		told = append(told, e.Name+": "+e.Message)
		if e.Start.After(time.Now()) || !e.Start.Equal(e.Stop) {
			t.Errorf("%s from %s to %s", e.Name, e.Start, e.Stop)
		}
	}
	want := "Machine restarted: The machine was restarted, Process restarted: " + name + " was restarted"
	if got := strings.Join(told, ", "); got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	if _, _, events := runExample(t, path, cwd, env...); len(events) != 0 {
		t.Errorf("told again: %+v", events)
	}
	if _, _, events := runExample(t, path, cwd, "STATE_DIRECTORY="+dir); len(events) != 0 {
		t.Errorf("another process is watched: told %+v", events)
	}
	if left, err := os.ReadDir(cwd); err != nil || len(left) != 0 {
		t.Errorf("left in the working directory: %v, %v", left, err)
	}
}

// watch keeps a process of that name running until the test's end.
func watch(t *testing.T, name string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho\nread -r _\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	if _, err := out.Read(make([]byte, 1)); err != nil { // it runs under its name now
		t.Fatal(err)
	}
}

// TestCoscaleRestartWatcherReadOnly: where it cannot remember it still
// measures, and says once a run why there are no events.
func TestCoscaleRestartWatcherReadOnly(t *testing.T) {
	path, err := filepath.Abs("../../../examples/coscale/restart-watcher.sh")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, "-d")
	missing := filepath.Join(t.TempDir(), "missing")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "STATE_DIRECTORY=" + missing}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || !bytes.HasPrefix(out, []byte("M1 ")) {
		t.Errorf("%v: %s", err, out)
	}
	want := path + ": " + missing + "/restart-watcher.state cannot be written: restarts go unnoticed (set STATE_DIRECTORY)\n"
	if stderr.String() != want {
		t.Errorf("stderr %q, want %q", &stderr, want)
	}
}
