package script

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"scriptbridge/record"
)

// TestNagiosParse reads every testdata/nagios/*.txtar: `exit` is the exit code,
// `output` (or output.escaped, as in TestCoscaleParse) what the plugin printed,
// `want` what was understood of it.
func TestNagiosParse(t *testing.T) {
	for _, path := range nagiosCases(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := dumpNagios(nagiosCase(t, a))
			for i := range a.Files {
				if a.Files[i].Name != "want" {
					continue
				}
				if *update {
					a.Files[i].Data = []byte(got)
				}
				if diff := cmp.Diff(string(a.Files[i].Data), got); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			}
			if *update {
				if err := os.WriteFile(path, txtar.Format(a), 0o666); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func nagiosCases(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/nagios/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	return paths
}

// nagiosCase gives the parts of a case.
func nagiosCase(t testing.TB, a *txtar.Archive) (state int, output []byte) {
	t.Helper()
	state, err := strconv.Atoi(strings.TrimSpace(string(coscalePart(a, "exit"))))
	if err != nil {
		t.Fatal(err)
	}
	return state, coscalePart(a, "output")
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
