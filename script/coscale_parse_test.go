package script

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"scriptbridge/record"
)

// coscaleEnd is when every run of the tests ended.
var coscaleEnd = time.Unix(1_700_000_000, 700_000_000)

// TestCoscaleParse reads every testdata/coscale/*.txtar: `config` is what -c
// printed, `output` what -d printed, `want` what was understood of them.
func TestCoscaleParse(t *testing.T) {
	pairs(t, "coscale", func(_ *testing.T, a *txtar.Archive, _ string) string {
		return dumpCoscale(part(a, "config"), part(a, "output"))
	}, "want")
}

// dumpCoscale shows all that was understood, one thing a line.
func dumpCoscale(config, output []byte) string {
	var b strings.Builder
	c, err := parseCoscaleConfig(config)
	if c == nil {
		fmt.Fprintf(&b, "no configuration\n")
		dumpErrors(&b, err)
		return b.String()
	}
	if c.period > 0 {
		fmt.Fprintf(&b, "period %s\n", c.period)
	}
	if c.maxRuntime > 0 {
		fmt.Fprintf(&b, "maxruntime %s\n", c.maxRuntime)
	}
	for _, m := range c.declared.Metrics {
		dumpMeta(&b, m)
	}
	for _, e := range c.declared.Events {
		fmt.Fprintf(&b, "event %s %q", e.ID, e.Name)
		dumpIf(&b, "description", e.Description)
		for _, a := range e.Attributes {
			fmt.Fprintf(&b, " attribute %q", a)
		}
		b.WriteString("\n")
	}
	dumpWarnings(&b, slices.Concat(c.periodWarnings, c.runTimeWarnings, c.warnings))
	dumpErrors(&b, err)
	samples, events, warnings, err := parseCoscaleData(c, output, coscaleEnd)
	for _, s := range samples {
		fmt.Fprintf(&b, "%d: %s", s.Line, s.Name)
		for _, l := range s.Labels {
			fmt.Fprintf(&b, " %s=%q", l.Name, l.Value)
		}
		fmt.Fprintf(&b, " %s %v\n", map[record.Op]string{record.Set: "=", record.Add: "+="}[s.Op], s.Value)
	}
	for _, e := range events {
		fmt.Fprintf(&b, "%d: event %s %d to %d %s %q", e.Line, e.Name, e.Start.Unix(), e.Stop.Unix(), e.Subject.Kind, e.Message)
		if e.Subject.Kind == record.Host {
			b.WriteString(" of this host")
		}
		for _, l := range e.Attributes {
			fmt.Fprintf(&b, " %s=%q", l.Name, l.Value)
		}
		b.WriteString("\n")
	}
	dumpWarnings(&b, warnings)
	dumpErrors(&b, err)
	return b.String()
}

func dumpMeta(b *strings.Builder, m *record.Meta) {
	fmt.Fprintf(b, "metric %s %q %s %s %s", m.ID, m.Name, map[record.Type]string{record.Gauge: "gauge", record.Counter: "counter"}[m.Type], m.Datatype, m.Calctype)
	dumpIf(b, "help", m.Help)
	dumpIf(b, "unit", m.Unit)
	dumpIf(b, "groups", m.Groups)
	dumpIf(b, "tags", m.Tags)
	for _, d := range m.Dimensions {
		fmt.Fprintf(b, " by %q", d)
	}
	b.WriteString("\n")
}

func dumpIf(b *strings.Builder, what, text string) {
	if text != "" {
		fmt.Fprintf(b, " %s %q", what, text)
	}
}

func dumpWarnings(b *strings.Builder, all []string) {
	for _, w := range all {
		fmt.Fprintf(b, "warning: %s\n", w)
	}
}

func dumpErrors(b *strings.Builder, err error) {
	if err == nil {
		return
	}
	lines := record.LineErrors(err)
	if joined, ok := err.(interface{ Unwrap() []error }); !ok || len(joined.Unwrap()) > len(lines) {
		text, _, _ := strings.Cut(err.Error(), "\n")
		fmt.Fprintf(b, "error: %s\n", text)
	}
	for _, le := range lines {
		fmt.Fprintf(b, "%d: refused, %s: %s [%s]\n", le.Line, le.Reason, le, bytes.ToValidUTF8([]byte(le.Text), []byte("?")))
	}
}
