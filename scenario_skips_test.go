package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var skipsOnWindows = regexp.MustCompile(`(?m)^\[(?:windows|!unix|!linux|!root)\] skip\b(?: '(.*)')?$`)

// TestWindowsScenarios holds that no scenario stays out on Windows in secret: the page
// lists why each does, and says how many there are.
func TestWindowsScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios (%v)", err)
	}
	page := read(t, "docs/windows.md")
	skipped := make(map[string][]string)
	out := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		script, _, _ := strings.Cut(string(data), "\n-- ")
		m := skipsOnWindows.FindStringSubmatch(script)
		if m == nil {
			continue
		}
		out++
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		skipped[m[1]] = append(skipped[m[1]], "`"+name+"`")
	}
	for why, names := range skipped {
		if row := "| " + why + " | " + strings.Join(names, ", ") + " |"; why == "" || !strings.Contains(page, row) {
			t.Errorf("docs/windows.md has not the row\n%s", row)
		}
	}
	if want := fmt.Sprintf("%d of the %d scenarios", len(files)-out, len(files)); !strings.Contains(page, want) {
		t.Errorf("docs/windows.md does not say: %s", want)
	}
}
