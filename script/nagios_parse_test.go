package script

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"scriptbridge/record"
)

// TestNagiosParse reads every testdata/nagios/*.txtar: `exit` is the exit code,
// `output` what the plugin printed, `want` what was understood of it.
func TestNagiosParse(t *testing.T) {
	pairs(t, "nagios", func(t *testing.T, a *txtar.Archive, _ string) string {
		return dumpNagios(nagiosCase(t, a))
	}, "want")
}

// nagiosCase gives the parts of a case.
func nagiosCase(t testing.TB, a *txtar.Archive) (state int, output []byte) {
	t.Helper()
	state, err := strconv.Atoi(strings.TrimSpace(string(part(a, "exit"))))
	if err != nil {
		t.Fatal(err)
	}
	return state, part(a, "output")
}

// dumpNagios shows all that was understood, one thing a line.
func dumpNagios(state int, output []byte) string {
	var b strings.Builder
	said, err := parseNagios(make(nagiosUnits), state, output, 0)
	if said.blank {
		b.WriteString("blank\n")
	}
	fmt.Fprintf(&b, "text %q\n", said.text)
	for _, l := range said.long {
		fmt.Fprintf(&b, "long %q\n", l)
	}
	for _, s := range said.samples {
		fmt.Fprintf(&b, "%d: %s", s.Line, s.Name)
		dumpIf(&b, "in", s.Meta.Unit)
		if s.Meta.Type == record.Counter {
			b.WriteString(" counter")
		}
		for _, l := range s.Labels {
			fmt.Fprintf(&b, " %s=%q", l.Name, l.Value)
		}
		fmt.Fprintf(&b, " = %v\n", s.Value)
	}
	dumpErrors(&b, err)
	return b.String()
}
