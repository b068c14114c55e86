package coscale

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/internal/testkit/cases"
	"scriptbridge/record"
	"scriptbridge/script/dialect/dialecttest"
)

func FuzzCoscaleConfig(f *testing.F) {
	for _, c := range cases.All(f, "testdata") {
		f.Add(cases.Part(c.Archive, "config"))
	}
	f.Fuzz(func(t *testing.T, out []byte) {
		c, err := parseConfig(out)
		if c == nil {
			if err == nil {
				t.Fatal("neither a configuration nor an error")
			}
			return
		}
		if err != nil && len(record.LineErrors(err)) == 0 {
			t.Fatalf("a configuration with the error %v", err)
		}
		if len(c.metrics)+len(c.events) == 0 || len(c.metrics) != len(c.declared.Metrics) || len(c.events) != len(c.declared.Events) {
			t.Fatalf("%d metrics for %d declared, %d events for %d", len(c.metrics), len(c.declared.Metrics), len(c.events), len(c.declared.Events))
		}
		if c.period != 0 && (c.period < 60e9 || c.period > maxPeriodDeclared) || c.maxRuntime < 0 || c.maxRuntime > maxRunTimeDeclared {
			t.Fatalf("period %s, maxruntime %s", c.period, c.maxRuntime)
		}
		for id, m := range c.metrics {
			if c.declared.Metrics[m.index] != m.meta || fmt.Sprint(id) != m.meta.ID || len(m.dimensions) != len(m.meta.Dimensions) {
				t.Fatalf("metric %d: %+v", id, m)
			}
			if strings.TrimSpace(m.meta.Name) == "" || m.meta.Type == record.Unknown {
				t.Fatalf("metric %d: %+v", id, m.meta)
			}
		}
	})
}

const fuzzConfig = `{"metrics": [
	{"id": 0, "name": "zero"},
	{"id": 1, "name": "one", "dimensions": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]},
	{"id": 2, "name": "two", "datatype": "COUNT", "dimensions": [{"id": 0, "name": "a"}]}],
	"events": [{"id": 0, "name": "zero"}, {"id": 1, "name": "one"}]}`

// garbage is output that makes no sample and no event.
var garbage = []byte("\nM\nM1\nM1 \"1:a\nM2 \"9:a\" 1\nM0 1M0 2\nM77 1\nE\nE1 0 0\nE1 0 0 \"a\" \"{\"\nMore \"{}\"\nE0 x 0 \"\" \"{}\"\n\xff\x00\n")

func FuzzCoscaleMemory(f *testing.F) {
	outputs := append(dialecttest.Parts(f, "testdata", "output"), []byte("M1 \"1:a,2:b\" 1\nM1 \"2:b,1:a\" 2\nM1 \"1:ab,2:\" 3\nM1 \"1:ab\" 4\nM1 5\nM2 \"0:ab\" 6\nM0 1\nM0 2\n"))
	dialecttest.FuzzMemory(f, outputs, func() func([]byte) string {
		return func(out []byte) string { return dump([]byte(fuzzConfig), out) }
	})
}

func FuzzCoscaleData(f *testing.F) {
	for _, c := range cases.All(f, "testdata") {
		f.Add(cases.Part(c.Archive, "output"))
	}
	c, err := parseConfig([]byte(fuzzConfig))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, out []byte) {
		samples, events, _, err := parseData(c, out, runEnd)
		checkData(t, samples, events, err, 1+bytes.Count(out, []byte("\n")))

		// Lines stand for themselves: garbage behind them, and before them,
		// costs nothing.
		behind, behindEvents, _, _ := parseData(c, append(bytes.Clone(out), garbage...), runEnd)
		if diff := cmp.Diff(samples, behind); diff != "" {
			t.Errorf("garbage behind changes samples:\n%s", diff)
		}
		if diff := cmp.Diff(events, behindEvents); diff != "" {
			t.Errorf("garbage behind changes events:\n%s", diff)
		}
		before, beforeEvents, _, _ := parseData(c, append(bytes.Clone(garbage), bytes.TrimPrefix(out, []byte("\ufeff"))...), runEnd)
		if len(before) != len(samples) || len(beforeEvents) != len(events) {
			t.Errorf("garbage before leaves %d of %d samples, %d of %d events", len(before), len(samples), len(beforeEvents), len(events))
		}
	})
}

func checkData(t *testing.T, samples []record.Sample, events []record.Event, err error, lines int) {
	t.Helper()
	used := make(map[int]bool)
	seen := make(map[string]bool)
	for _, s := range samples {
		if math.IsNaN(s.Value) || math.IsInf(s.Value, 0) {
			t.Errorf("value %v", s.Value)
		}
		if s.Line < 1 || s.Line > lines || used[s.Line] {
			t.Errorf("line %d of %d, used %t", s.Line, lines, used[s.Line])
		}
		used[s.Line] = true
		series := map[string]string{"": s.Meta.ID}
		for _, l := range s.Labels {
			if _, twice := series[l.Name]; twice {
				t.Errorf("label %q twice", l.Name)
			}
			if l.Value != "" {
				series[l.Name] = l.Value
			}
		}
		if key := fmt.Sprint(series); seen[key] { // maps print in order
			t.Errorf("series %s twice", key)
		} else {
			seen[key] = true
		}
	}
	for _, e := range events {
		if e.Line < 1 || e.Line > lines || used[e.Line] || e.Meta == nil || e.Start.Unix() < minTime {
			t.Errorf("event %+v", e)
		}
		used[e.Line] = true
	}
	for _, le := range record.LineErrors(err) {
		if le.Line < 1 || le.Line > lines || used[le.Line] || le.Reason == "" || le.Err == nil {
			t.Errorf("line error %+v", le)
		}
		used[le.Line] = true
	}
}
