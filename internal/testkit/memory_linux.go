package testkit

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"
)

// RestMemory gives back what the test's own process does not need, and has
// PeakMemory begin there: in bytes resident, those of mapped files included.
func RestMemory(tb testing.TB) int64 {
	tb.Helper()
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		tb.Fatal(err)
	}
	return status(tb, "VmRSS")
}

// PeakMemory is the most that was resident since RestMemory, in bytes.
func PeakMemory(tb testing.TB) int64 {
	tb.Helper()
	return status(tb, "VmHWM")
}

func status(tb testing.TB, field string) int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), field+":")
	var kB int64
	if _, err := fmt.Sscan(rest, &kB); err != nil {
		tb.Fatal(err)
	}
	return kB << 10
}
