// Package processtest has what tests of processes share.
package processtest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/go-kit/log"
)

// Logger writes what is logged into the test's log.
func Logger(t testing.TB) log.Logger {
	return log.LoggerFunc(func(keyvals ...any) error {
		t.Log(keyvals...)
		return nil
	})
}

// WriteScript writes a file of the given mode and gives its path.
func WriteScript(t testing.TB, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// Tag is a number of seconds to sleep that no other process sleeps, so that a
// process can be found by its arguments when it has no environment.
func Tag() string {
	return fmt.Sprintf("86400.%d%d", os.Getpid(), time.Now().UnixNano())
}

// Holding lists the living processes of the whole machine that have text
// among their arguments, but for this one; none where there is no /proc.
func Holding(text string) []int {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	var pids []int
	for _, f := range files {
		args, _ := os.ReadFile(f)
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		if bytes.Contains(args, []byte(text)) && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}
