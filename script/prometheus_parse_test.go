package script

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"scriptbridge/record"
)

// TestPrometheusParse reads every testdata/prometheus/*.txtar: `output` is what
// a script printed, `want` what was understood of it. For output.escaped see
// TestCoscaleParse.
func TestPrometheusParse(t *testing.T) {
	for _, path := range prometheusCases(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := dumpPrometheus(coscalePart(a, "output"))
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

func prometheusCases(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/prometheus/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	return paths
}

var promTypeWords = map[record.Type]string{
	record.Unknown: "untyped", record.Gauge: "gauge", record.Counter: "counter",
	record.Histogram: "histogram", record.Summary: "summary", record.Info: "info",
}

// dumpPrometheus shows all that was understood, one thing a line: a family
// where it is first met, then its sample.
func dumpPrometheus(output []byte) string {
	var b strings.Builder
	samples, _, err := parsePrometheus(output, promMaxSamples, nil)
	said := make(map[*record.Meta]bool)
	for _, s := range samples {
		if m := s.Meta; m != nil && !said[m] {
			said[m] = true
			fmt.Fprintf(&b, "%s %s", promTypeWords[m.Type], m.Name)
			dumpIf(&b, "help", m.Help)
			dumpIf(&b, "unit", m.Unit)
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%d: %s", s.Line, s.Name)
		for _, l := range s.Labels {
			fmt.Fprintf(&b, " %s=%q", l.Name, l.Value)
		}
		fmt.Fprintf(&b, " = %v", s.Value)
		if !s.Time.IsZero() {
			fmt.Fprintf(&b, " at %s", s.Time.UTC().Format("2006-01-02T15:04:05.000Z"))
		}
		switch {
		case s.Meta == nil:
			b.WriteString(", nothing said of it")
		case s.Meta.Name != s.Name:
			fmt.Fprintf(&b, ", of %s", s.Meta.Name)
		}
		b.WriteString("\n")
	}
	dumpErrors(&b, err)
	return b.String()
}
