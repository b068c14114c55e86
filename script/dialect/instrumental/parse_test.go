package instrumental

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"scriptbridge/internal/testkit/cases"
	"scriptbridge/record"
	"scriptbridge/script/dialect/dialecttest"
)

func newParser(lenient bool) *parser {
	return &parser{prefix: "app", lenient: lenient, maxSamples: maxSamples, known: make(map[string]*metric)}
}

// TestInstrumentalParse reads every testdata/*.txtar: `output` is
// what a script printed, `want` what was understood of it and `want.lenient`
// what lenient_numbers makes of it.
func TestInstrumentalParse(t *testing.T) {
	cases.Run(t, "testdata", func(_ *testing.T, a *txtar.Archive, want string) string {
		return dump(newParser(want == "want.lenient"), cases.Part(a, "output"))
	}, "want", "want.lenient")
}

// dump shows all that was understood, one thing a line.
func dump(p *parser, out []byte) string {
	var b strings.Builder
	samples, warnings, err := p.parse(out)
	for _, s := range samples {
		fmt.Fprintf(&b, "%d: %q %q = %v", s.Line, s.Meta.ID, s.Name, s.Value)
		if !s.Time.IsZero() {
			fmt.Fprintf(&b, " at %s", s.Time.UTC().Format("2006-01-02T15:04:05.999Z"))
		}
		b.WriteString("\n")
	}
	dialecttest.DumpWarnings(&b, warnings)
	dialecttest.DumpErrors(&b, err)
	return b.String()
}

func TestInstrumentalSample(t *testing.T) {
	p := newParser(false)
	first, _, _ := p.parse([]byte("memory 1\nload 2\n"))
	again, _, _ := p.parse([]byte("load 3\n"))
	want := record.Sample{
		Name: "app.load", Value: 3, Op: record.Set, Line: 1,
		Meta: &record.Meta{ID: "load", Name: "app.load", Type: record.Gauge},
	}
	if diff := cmp.Diff([]record.Sample{want}, again); diff != "" {
		t.Errorf("sample (-want +got):\n%s", diff)
	}
	if first[1].Meta != again[0].Meta {
		t.Error("the metric's Meta is another in each run")
	}
}

// What a run may cost in memory is bounded, and so is what is kept of names.
func TestInstrumentalBounds(t *testing.T) {
	p := newParser(false)
	p.maxSamples = 5
	var out bytes.Buffer
	for i := range 8 {
		fmt.Fprintf(&out, "n%d 1\n", i)
	}
	samples, _, err := p.parse(out.Bytes())
	if got := dialecttest.Reasons(err); len(samples) != 5 || got != "too_many:6 too_many:7 too_many:8" {
		t.Errorf("%d samples, refused %q", len(samples), got)
	}
	for run := range 100 {
		out.Reset()
		for i := range 100 {
			fmt.Fprintf(&out, "made-up-%d-%d 1\n", run, i)
		}
		p.maxSamples = maxSamples
		if _, _, err := p.parse(out.Bytes()); err != nil {
			t.Fatal(err)
		}
		if most := 2*100 + namesKept; len(p.known) > most {
			t.Fatalf("%d names are remembered, more than %d", len(p.known), most)
		}
	}
	if p.known["made-up-99-0"] == nil {
		t.Error("the names of the last run are forgotten")
	}
	samples, warnings, _ := p.parse([]byte(strings.Repeat("n 1\n", 100)))
	if len(samples) != 1 || len(warnings) != 1 {
		t.Errorf("%d samples, %d warnings", len(samples), len(warnings))
	}
}

func TestInstrumentalPrefix(t *testing.T) {
	for file, want := range map[string]string{
		"application_load":           "application_load",
		"/x/application_load.sh":     "application_load",
		"my.app.v2.sh":               "my.app.v2",
		"we ird@näme é.sh":           "we_ird_n_me__",
		"we ird@näme é":              "we_ird_n_me__",
		"foo.":                       "foo",
		".hidden":                    ".hidden",
		"UPPER-and_1.rb":             "UPPER-and_1",
		"caf\xe9.sh":                 "caf_",
		"/srv/app.d/application.bin": "application",
	} {
		if got := prefixOf(file); got != want {
			t.Errorf("%q: %q, want %q", file, got, want)
		}
	}
}

// TestRubyFloat holds what Ruby 3.1's String#to_f gives.
func TestRubyFloat(t *testing.T) {
	for text, want := range map[string]float64{
		"abc": 0, "12abc": 12, "12%": 12, "1_000": 1000, "1e3": 1000, "1,5": 1, "0x10": 0, "NaN": 0, "Infinity": 0, ".5": 0.5, "+3": 3,
		"": 0, "-": 0, "-1.5": -1.5, "1.": 1, "1.e3": 1, "1__0": 1, "_1": 0, "1_": 1, "1_.5": 1, "1._5": 1, "1.5_5": 1.55, "1e": 1, "1e+": 1,
		"1e+2": 100, "1e-2x": 0.01, "1E1_0": 1e10, "--1": 0, "-.5e1": -5, "007": 7, "1.2.3": 1.2, "1e-999": 0,
	} {
		if got, ok := rubyFloat([]byte(text)); !ok || got != want {
			t.Errorf("%q: %v %t, want %v", text, got, ok, want)
		}
	}
	if got, ok := rubyFloat([]byte("1e999")); ok {
		t.Errorf("1e999: %v", got)
	}
}

func FuzzInstrumentalMemory(f *testing.F) {
	outputs := append(dialecttest.Parts(f, "testdata", "output"), []byte("a 1\na 2\nb 3\nab 4\n"), []byte("b 1 1500000000\na 2\n"), []byte("a\nb x\na 1 2 3\n"))
	dialecttest.FuzzMemory(f, outputs, func() func([]byte) string {
		p := newParser(false)
		p.maxSamples = 5 // so that it is reached
		return func(out []byte) string { return dump(p, out) }
	})
}

func FuzzInstrumental(f *testing.F) {
	for _, c := range cases.All(f, "testdata") {
		f.Add(cases.Part(c.Archive, "output"), false)
		f.Add(cases.Part(c.Archive, "output"), true)
	}
	garbage := []byte("\none\na b c d\nx 1 now\n\xff\x00\nx 1e999\n")
	f.Fuzz(func(t *testing.T, out []byte, lenient bool) {
		samples, _, err := newParser(lenient).parse(out)
		lines := 1 + bytes.Count(out, []byte("\n"))
		used, seen := make(map[int]bool), make(map[string]bool)
		for _, s := range samples {
			if math.IsNaN(s.Value) || math.IsInf(s.Value, 0) || s.Line < 1 || s.Line > lines || used[s.Line] || seen[s.Name] {
				t.Errorf("sample %+v of %d lines", s, lines)
			}
			if y := s.Time.UTC().Year(); !s.Time.IsZero() && (y < 1970 || y > 9999) {
				t.Errorf("time %s", s.Time)
			}
			if s.Meta.ID == "" || s.Name != "app."+s.Meta.ID {
				t.Errorf("name %q of %+v", s.Name, s.Meta)
			}
			used[s.Line], seen[s.Name] = true, true
		}
		for _, le := range record.LineErrors(err) {
			if le.Line < 1 || le.Line > lines || used[le.Line] || le.Reason == "" || le.Err == nil {
				t.Errorf("refused %+v", le)
			}
		}

		// Lines stand for themselves: garbage before and behind costs nothing.
		if !bytes.HasSuffix(out, []byte("\n")) {
			out = append(bytes.Clone(out), '\n')
		}
		behind, _, _ := newParser(lenient).parse(append(bytes.Clone(out), garbage...))
		if diff := cmp.Diff(samples, behind); diff != "" {
			t.Errorf("garbage behind changes samples:\n%s", diff)
		}
		before, _, _ := newParser(lenient).parse(append(bytes.Clone(garbage), out...))
		if len(before) != len(samples) {
			t.Errorf("garbage before leaves %d of %d samples", len(before), len(samples))
		}
	})
}

// BenchmarkInstrumental reads a thousand lines of one kind at a time.
func BenchmarkInstrumental(b *testing.B) {
	const lines = 1000
	for _, kind := range []struct {
		name    string
		lenient bool
		line    func(i int) string
	}{
		{"plain", false, func(i int) string { return fmt.Sprintf("some.metric.%d %d.5", i, i) }},
		{"time", false, func(i int) string { return fmt.Sprintf("some.metric.%d %d.5 %d", i, i, 1500000000+i) }},
		{"lenient", true, func(i int) string { return fmt.Sprintf("some.metric.%d %d%%", i, i) }},
		{"refused", false, func(i int) string { return fmt.Sprintf("some.metric.%d none", i) }},
	} {
		var out strings.Builder
		for i := range lines {
			out.WriteString(kind.line(i))
			out.WriteByte('\n')
		}
		text := []byte(out.String())
		b.Run(kind.name, func(b *testing.B) {
			p := newParser(kind.lenient)
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				_, _, _ = p.parse(text)
			}
			b.ReportMetric(lines*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}
