package testkit

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// child names the test that a process is there for.
const child = "SCRIPTBRIDGE_TEST_CHILD"

// MayEnd runs a test, whose whole name is t's, in a process of its own. That comes
// to its end by itself, or by a panic that gives the reason.
func MayEnd(t *testing.T, reason string, run func()) {
	t.Helper()
	if os.Getenv(child) == t.Name() {
		run()
		return
	}
	parts := strings.Split(t.Name(), "/")
	for i, part := range parts {
		parts[i] = "^" + regexp.QuoteMeta(part) + "$"
	}
	args := []string{"-test.run=" + strings.Join(parts, "/")}
	if testing.Short() {
		args = append(args, "-test.short")
	}
	cmd := exec.Command(os.Args[0], args...) // #nosec G204 G702 -- this test itself
	cmd.Env = append(os.Environ(), child+"="+t.Name())
	out, err := cmd.CombinedOutput()
	first, _, _ := strings.Cut(string(out), "\n")
	switch {
	case err == nil:
	case strings.HasPrefix(first, "panic: ") && strings.Contains(first, reason):
		t.Log("it ended with its reason: " + first)
	default:
		t.Errorf("%v\n%s", err, out)
	}
}
