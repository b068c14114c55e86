package nagios

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"scriptbridge/internal/testkit/cases"
	"scriptbridge/record"
	"scriptbridge/script/dialect/dialecttest"
)

// TestNagiosParse reads every testdata/*.txtar: `exit` is the exit code,
// `output` what the plugin printed, `want` what was understood of it.
func TestNagiosParse(t *testing.T) {
	cases.Run(t, "testdata", func(t *testing.T, a *txtar.Archive, _ string) string {
		state, output := caseOf(t, a)
		return dump(newUnits(), state, output)
	}, "want")
}

// caseOf gives the parts of a case.
func caseOf(t testing.TB, a *txtar.Archive) (state int, output []byte) {
	t.Helper()
	state, err := strconv.Atoi(strings.TrimSpace(string(cases.Part(a, "exit"))))
	if err != nil {
		t.Fatal(err)
	}
	return state, cases.Part(a, "output")
}

// dump shows all that was understood, one thing a line.
func dump(units *unitTable, state int, output []byte) string {
	return dumpAs(units, state, output, func(unit string) string { return unit })
}

// dumpAs shows units as a function gives them.
func dumpAs(units *unitTable, state int, output []byte, shown func(unit string) string) string {
	var b strings.Builder
	said, err := parse(units, state, output, 0)
	if said.blank {
		b.WriteString("blank\n")
	}
	fmt.Fprintf(&b, "text %q\n", said.text)
	for _, l := range said.long {
		fmt.Fprintf(&b, "long %q\n", l)
	}
	for _, s := range said.samples {
		fmt.Fprintf(&b, "%d: %s", s.Line, s.Name)
		dialecttest.DumpIf(&b, "in", shown(s.Meta.Unit))
		if s.Meta.Type == record.Counter {
			b.WriteString(" counter")
		}
		for _, l := range s.Labels {
			fmt.Fprintf(&b, " %s=%q", l.Name, l.Value)
		}
		fmt.Fprintf(&b, " = %v\n", s.Value)
	}
	dialecttest.DumpErrors(&b, err)
	return b.String()
}
