package coscale

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"scriptbridge/internal/testkit/cases"
	"scriptbridge/record"
	"scriptbridge/script/dialect/dialecttest"
)

// runEnd is when every run of the tests ended.
var runEnd = time.Unix(1_700_000_000, 700_000_000)

// TestCoscaleParse reads every testdata/*.txtar: `config` is what -c
// printed, `output` what -d printed, `want` what was understood of them.
func TestCoscaleParse(t *testing.T) {
	cases.Run(t, "testdata", func(_ *testing.T, a *txtar.Archive, _ string) string {
		return dump(cases.Part(a, "config"), cases.Part(a, "output"))
	}, "want")
}

// dump shows all that was understood, one thing a line.
func dump(config, output []byte) string {
	var b strings.Builder
	c, err := parseConfig(config)
	if c == nil {
		fmt.Fprintf(&b, "no configuration\n")
		dialecttest.DumpErrors(&b, err)
		return b.String()
	}
	if c.period > 0 {
		fmt.Fprintf(&b, "period %s\n", c.period)
	}
	if c.maxRuntime > 0 {
		fmt.Fprintf(&b, "maxruntime %s\n", c.maxRuntime)
	}
	for _, m := range c.declared.Metrics {
		dialecttest.DumpMeta(&b, m)
	}
	for _, e := range c.declared.Events {
		fmt.Fprintf(&b, "event %s %q", e.ID, e.Name)
		dialecttest.DumpIf(&b, "description", e.Description)
		for _, a := range e.Attributes {
			fmt.Fprintf(&b, " attribute %q", a)
		}
		b.WriteString("\n")
	}
	dialecttest.DumpWarnings(&b, slices.Concat(c.periodWarnings, c.runTimeWarnings, c.warnings))
	dialecttest.DumpErrors(&b, err)
	samples, events, warnings, err := parseData(c, output, runEnd)
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
	dialecttest.DumpWarnings(&b, warnings)
	dialecttest.DumpErrors(&b, err)
	return b.String()
}
