//go:build !windows

package testkit

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func wine() bool { return false }

// Kept says that a file cannot be cut, which it always can here.
func Kept(error) bool { return false }

// Held says what of the process still has a file: descriptors and memory.
func Held(t testing.TB, path string) []string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux and Windows tell what a process has open")
	}
	var all []string
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && strings.HasPrefix(to, path) {
			all = append(all, "descriptor "+to)
		}
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		if strings.Contains(line, path) {
			all = append(all, "memory "+line)
		}
	}
	return all
}
