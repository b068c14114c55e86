package process

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The README says exactly which variables a script is not given, and which ones
// another user's script is.
func TestDocsEnvironment(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	account := (&Account{Shell: "/bin/sh"}).Env()
	for i, v := range account {
		account[i] = nameOf(v)
	}
	for row, want := range map[string][]string{
		"environment, with `user:`":    slices.Concat(accountVariables, account),
		"environment, without `user:`": bridgeVariables,
	} {
		_, rest, ok := strings.Cut(string(text), "\n| "+row+" |")
		if !ok {
			t.Errorf("the README has no row %s", row)
		}
		rest, _, _ = strings.Cut(rest, "\n")
		var names []string
		for _, m := range regexp.MustCompile("`([A-Z_]+)\\*?`").FindAllStringSubmatch(rest, -1) {
			names = append(names, m[1])
		}
		slices.Sort(names)
		if want = slices.Sorted(slices.Values(want)); !slices.Equal(names, want) {
			t.Errorf("the README names %q for %s, not %q", names, row, want)
		}
	}
}
