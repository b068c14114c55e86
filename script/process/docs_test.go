package process

import (
	"os"
	"strings"
	"testing"
)

// The docs name every variable that a script does not inherit, since what they
// leave out it does.
func TestDocsEnvironment(t *testing.T) {
	text, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range notPassedOn {
		if name == runMark {
			continue // which the bridge sets anew
		}
		if strings.HasSuffix(name, "_") {
			name += "*"
		}
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("docs/operating.md does not say that %s is not passed on", name)
		}
	}
}
