//go:build !windows

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rogpeppe/go-internal/txtar"
)

// What scenarios are and need on Unix, for which they are written: nothing more.

func needShell(*testing.T) {}

func forSystem(*txtar.Archive) {}

func prepare(*testscript.Env) error { return nil }

var systemNames []string

func serveFlags([]string) []string { return nil }

func hangUp(ts *testscript.TestScript) {
	ts.Check(bridgeOf(ts).cmd.Process.Signal(syscall.SIGHUP))
}

func end(_ *testscript.TestScript, b *serving) error {
	return b.cmd.Process.Signal(syscall.SIGTERM)
}

// leftovers looks through /proc for processes that carry the mark in their environment,
// or in their arguments where the environment was cleared.
func leftovers(mark string, except int) (left []string) {
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range procs {
		if pid, _ := strconv.Atoi(filepath.Base(p)); pid == except || pid == os.Getpid() {
			continue
		}
		env, _ := os.ReadFile(filepath.Join(p, "environ"))
		args, _ := os.ReadFile(filepath.Join(p, "cmdline"))
		if bytes.Contains(env, []byte("SCENARIO="+mark+"\x00")) || bytes.Contains(args, []byte(mark)) {
			left = append(left, filepath.Base(p)+" "+strings.ReplaceAll(string(args), "\x00", " "))
		}
	}
	return left
}
