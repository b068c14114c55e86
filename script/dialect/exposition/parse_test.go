package exposition

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"scriptbridge/internal/testkit/cases"
	"scriptbridge/record"
	"scriptbridge/script/dialect/dialecttest"
)

// TestParse reads every testdata/*.txtar: `output` is what
// a script printed, `want` what was understood of it.
func TestParse(t *testing.T) {
	cases.Run(t, "testdata", func(_ *testing.T, a *txtar.Archive, _ string) string {
		return dump(cases.Part(a, "output"))
	}, "want")
}

var typeWords = map[record.Type]string{
	record.Unknown: "untyped", record.Gauge: "gauge", record.Counter: "counter",
	record.Histogram: "histogram", record.Summary: "summary", record.Info: "info",
}

// dump shows all that was understood, one thing a line: a family
// where it is first met, then its sample.
func dump(output []byte) string {
	var b strings.Builder
	samples, _, err := Parse(output, MaxSamples, nil)
	said := make(map[*record.Meta]bool)
	for _, s := range samples {
		if m := s.Meta; m != nil && !said[m] {
			said[m] = true
			fmt.Fprintf(&b, "%s %s", typeWords[m.Type], m.Name)
			dialecttest.DumpIf(&b, "help", m.Help)
			dialecttest.DumpIf(&b, "unit", m.Unit)
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
	dialecttest.DumpErrors(&b, err)
	return b.String()
}
