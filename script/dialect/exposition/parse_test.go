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
		return dump(&remembered{}, cases.Part(a, "output"))
	}, "want")
}

func FuzzExpositionMemory(f *testing.F) {
	outputs := append(dialecttest.Parts(f, "testdata", "output"),
		[]byte("a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 2\na{x=\"1\"} 3\na 4\nab 5\n"),
		[]byte("# TYPE a counter\na_total 1\n# HELP a_total x\na 2\n"), []byte("# TYPE a gauge\n# UNIT a \na 1\n"))
	dialecttest.FuzzMemory(f, outputs, func() func([]byte) string {
		r := new(remembered)
		return func(out []byte) string { return dump(r, out) }
	})
}

var typeWords = map[record.Type]string{
	record.Unknown: "untyped", record.Gauge: "gauge", record.Counter: "counter",
	record.Histogram: "histogram", record.Summary: "summary", record.Info: "info",
}

// remembered is what a script's runs hand on.
type remembered struct{ metas map[string]*record.Meta }

// dump shows all that was understood, one thing a line: a family
// where it is first met, then its sample.
func dump(r *remembered, output []byte) string {
	var b strings.Builder
	samples, metas, err := Parse(output, MaxSamples, r.metas)
	r.metas = metas
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
