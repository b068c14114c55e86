package process

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// The docs name every variable that a script is not given, and every one that
// another user's script is.
func TestDocsEnvironment(t *testing.T) {
	text, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Concat(supervisors, handedOn) {
		if strings.HasSuffix(name, "_") {
			name += "*"
		}
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("docs/security.md does not name %s", name)
		}
	}
}
