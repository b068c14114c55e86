package textfile

import (
	"bytes"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"scriptbridge/internal/testkit/cases"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/dialecttest"
	"scriptbridge/script/dialect/exposition"
	"scriptbridge/script/dialect/lines"
)

// now is when the files of the cases are read.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// TestMerge reads every testdata/*.txtar: parts that end in .prom are files of one
// folder, written a minute ago, those that begin with old- two days ago; `want` is
// what was understood of them.
func TestMerge(t *testing.T) {
	cases.Run(t, "testdata", func(_ *testing.T, a *txtar.Archive, _ string) string {
		m := merger{maxAge: 24 * time.Hour, maxSamples: exposition.MaxSamples, honorTimestamps: true}
		return dump(m.merge(filesOf(a), now))
	}, "want")
}

func filesOf(a *txtar.Archive) (files []file) {
	for _, part := range a.Files {
		name, escaped := strings.CutSuffix(part.Name, ".escaped")
		if filepath.Ext(name) != ".prom" {
			continue
		}
		text := part.Data
		if escaped {
			text = cases.Part(a, name)
		}
		one := file{name: name, path: "/metrics/" + name, text: text, modTime: now.Add(-time.Minute)}
		if strings.HasPrefix(name, "old-") {
			one.modTime = now.AddDate(0, 0, -2)
		}
		files = append(files, one)
	}
	return files
}

var typeWords = map[record.Type]string{
	record.Unknown: "untyped", record.Gauge: "gauge", record.Counter: "counter",
	record.Histogram: "histogram", record.Summary: "summary", record.Info: "info",
}

// dump shows all that was understood, one thing a line.
func dump(r *dialect.Result) string {
	var b strings.Builder
	for _, f := range r.Files {
		fmt.Fprintf(&b, "file %s, used %t\n", f.Path, f.Used)
	}
	said := make(map[*record.Meta]bool)
	for _, s := range r.Samples {
		if m := s.Meta; m != nil && !said[m] {
			said[m] = true
			fmt.Fprintf(&b, "%s %s", typeWords[m.Type], m.Name)
			dialecttest.DumpIf(&b, "help", m.Help)
			dialecttest.DumpIf(&b, "unit", m.Unit)
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%s: %s", r.Files.Place(s.Line), s.Name)
		for _, l := range s.Labels {
			fmt.Fprintf(&b, " %s=%q", l.Name, l.Value)
		}
		fmt.Fprintf(&b, " = %v", s.Value)
		if !s.Time.IsZero() {
			fmt.Fprintf(&b, " at %s", s.Time.UTC().Format(time.RFC3339))
		}
		if s.Meta == nil {
			b.WriteString(", nothing said of it")
		}
		b.WriteString("\n")
	}
	for _, le := range record.LineErrors(r.Err) {
		where := ""
		if le.Line > 0 {
			where = r.Files.Place(le.Line) + " "
		}
		fmt.Fprintf(&b, "refused %s%q, and %d more (%s): %v\n", where, le.Text, le.More, le.Reason, le.Err)
	}
	if err := record.WithoutLines(r.Err); err != nil {
		fmt.Fprintf(&b, "%s: %v\n", r.Failure, err)
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	return b.String()
}

// What does not change from turn to turn is the same Meta, so that sinks and
// overrides keep what they know of it.
func TestMergeKeepsMetas(t *testing.T) {
	m := merger{maxSamples: exposition.MaxSamples}
	files := func(second string) []file {
		return []file{{name: "a.prom", text: []byte("# TYPE a gauge\na 1\n# HELP b One\nb 1\n")}, {name: "b.prom", text: []byte(second)}}
	}
	first := m.merge(files("# HELP b Two\n# TYPE b gauge\nb{x=\"y\"} 1\n"), now)
	again := m.merge(files("# HELP b Two\n# TYPE b gauge\nb{x=\"y\"} 2\n"), now)
	other := m.merge(files("# TYPE b counter\nb{x=\"y\"} 2\n"), now)
	for i, s := range first.Samples {
		if s.Meta != again.Samples[i].Meta {
			t.Errorf("%s: another Meta for the same", s.Name)
		}
	}
	if first.Samples[0].Meta != other.Samples[0].Meta || first.Samples[1].Meta == other.Samples[1].Meta {
		t.Error("not just the Meta of b is another")
	}
	if want := (&record.Meta{Name: "b", Help: "One", Type: record.Counter}); !cmp.Equal(want, other.Samples[1].Meta) {
		t.Errorf("%+v", other.Samples[1].Meta)
	}
}

// However many files and lines there are, what is said of them has a bound.
func TestMergeBounds(t *testing.T) {
	m := merger{maxSamples: 5}
	bad := bytes.Repeat([]byte("a\n"), lines.MaxRefused/2)
	good := []byte("a 1\na 2\na 3\n")
	r := m.merge([]file{{name: "1.prom", text: bad}, {name: "2.prom", text: good}, {name: "3.prom", text: bad}, {name: "4.prom", text: good}, {name: "5.prom", text: bad}}, now)
	all := record.LineErrors(r.Err)
	sum := 0
	for _, le := range all {
		sum += 1 + le.More
	}
	if len(r.Samples) != 5 || len(all) != lines.MaxRefused+1 || sum != 3*len(bad)/2+1 || all[len(all)-1].Reason != "too_many" {
		t.Errorf("%d samples, %d errors for %d lines", len(r.Samples), len(all), sum)
	}
}

// FuzzMerge: two files, whatever they hold, are what each of them is by itself,
// but for types that differ; lines are where they say.
func FuzzMerge(f *testing.F) {
	for _, c := range cases.All(f, "testdata") {
		files := append(filesOf(c.Archive), file{}, file{})
		f.Add(files[0].text, files[1].text)
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		one, two := file{name: "a.prom", path: "/a.prom", text: a}, file{name: "b.prom", path: "/b.prom", text: b}
		mergeOf := func(files ...file) *dialect.Result {
			m := merger{maxSamples: exposition.MaxSamples}
			return m.merge(files, now)
		}
		both := mergeOf(one, two)
		total := bytes.Count(both.Output, newline)
		conflicts := 0
		for _, le := range record.LineErrors(both.Err) {
			if le.Line < 1 || le.Line > total || le.Reason == "" || le.Err == nil {
				t.Errorf("line error %+v of %d lines", le, total)
			}
			if le.Reason == "type_conflict" {
				conflicts += 1 + le.More
			}
		}
		apart := len(mergeOf(one).Samples) + len(mergeOf(two).Samples)
		if len(both.Samples)+conflicts != apart {
			t.Errorf("%d samples and %d conflicts, apart %d", len(both.Samples), conflicts, apart)
		}
		output := bytes.Split(both.Output, newline)
		metas := make(map[string]*record.Meta)
		for _, s := range both.Samples {
			name, own := both.Files.Find(s.Line)
			text := map[string][]byte{"a.prom": a, "b.prom": b}[name]
			if split := bytes.Split(text, newline); own > len(split) || !bytes.Equal(split[own-1], output[s.Line-1]) {
				t.Errorf("%s, line %d is not line %d of all", name, own, s.Line)
			}
			if s.Meta == nil {
				continue
			}
			if other := metas[s.Meta.Name]; other != nil && other != s.Meta {
				t.Errorf("two Metas for %s", s.Meta.Name)
			}
			metas[s.Meta.Name] = s.Meta
		}
	})
}

// A file that ends in the middle of a line says nothing by it.
func TestUnfinished(t *testing.T) {
	whole := "# TYPE a gauge\na 1\na{b=\"c\"} 1234\n"
	m := merger{maxSamples: exposition.MaxSamples}
	wanted := map[string]float64{}
	for _, s := range m.merge([]file{{name: "a.prom", text: []byte(whole)}}, now).Samples {
		wanted[fmt.Sprint(s.Name, s.Labels)] = s.Value
	}
	for cut := range len(whole) {
		for _, s := range m.merge([]file{{name: "a.prom", text: []byte(whole[:cut])}}, now).Samples {
			if want := wanted[fmt.Sprint(s.Name, s.Labels)]; want != s.Value {
				t.Errorf("%q gives %v", whole[:cut], s.Value)
			}
		}
	}
	if keys := slices.Sorted(maps.Keys(wanted)); len(keys) != 2 {
		t.Errorf("%q", keys)
	}
}
