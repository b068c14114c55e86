package exposition

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"scriptbridge/internal/testkit/cases"
	"scriptbridge/record"
	"scriptbridge/script/dialect/dialecttest"
	"scriptbridge/script/dialect/lines"
)

func TestBounds(t *testing.T) {
	many := func(n int, line string) []byte { return []byte(strings.Repeat(line+"\n", n)) }
	samples, _, err := Parse(many(7, "a 1"), 5, nil)
	if got := dialecttest.Reasons(err); len(samples) != 5 || got != "too_many:6 too_many:7" {
		t.Errorf("%d samples, %s", len(samples), got)
	}
	_, _, err = Parse(many(lines.MaxRefused+5, "a"), 5, nil)
	all := record.LineErrors(err)
	if last := all[len(all)-1]; len(all) != lines.MaxRefused+1 || last.More != 4 || last.Reason != "too_many" {
		t.Errorf("%d errors, the last %+v", len(all), last)
	}
	var pairs []string
	for i := range maxLabels + 1 {
		pairs = append(pairs, fmt.Sprintf(`l%d="x"`, i))
	}
	_, _, err = Parse([]byte("a{"+strings.Join(pairs, ",")+"} 1"), 5, nil)
	if got := dialecttest.Reasons(err); got != "too_long:1" {
		t.Error(got)
	}
}

// garbage is output that makes no sample and says nothing of any.
var garbage = []byte("\n9 lives\na{b=\"c} 1\nb{c=\"d\"\nfoo-bar 1\nx 1 2 3 4\n#\n# EOFs\n# TYPE\n# HELP 9 x\n{\"\"} 1\nno value\n\xff\x00\n")

// FuzzExposition holds the parser to what any output may ask of it, and, line
// by line, to Prometheus's own parser: what both read, they read alike.
func FuzzExposition(f *testing.F) {
	for _, c := range cases.All(f, "testdata") {
		f.Add(cases.Part(c.Archive, "output"))
	}
	f.Fuzz(func(t *testing.T, out []byte) {
		samples, metas, err := Parse(out, 1000, nil)
		lines := bytes.Split(out, []byte("\n"))
		checkSamples(t, samples, metas, err, len(lines))
		seconds := isOpenMetrics(bytes.TrimPrefix(out, []byte("\ufeff")))
		for _, s := range samples {
			compareWithPeer(t, s, bytes.Trim(lines[s.Line-1], " \t\r\n\ufeff"), seconds)
		}

		again, _, _ := Parse(out, 1000, metas)
		for i, s := range again {
			if s.Meta != samples[i].Meta {
				t.Errorf("%s: another Meta for the same output", s.Name)
			}
		}
		behind, _, _ := Parse(append(bytes.Clone(out), garbage...), 1000, nil)
		if diff := cmp.Diff(samples, behind, cmp.Comparer(sameValue)); diff != "" && !bytes.HasSuffix(out, []byte("# EOF")) {
			t.Errorf("garbage behind changes samples:\n%s", diff)
		}
		before, _, _ := Parse(append(bytes.Clone(garbage), bytes.TrimPrefix(out, []byte("\ufeff"))...), 1000, nil)
		if len(before) != len(samples) {
			t.Errorf("garbage before leaves %d of %d samples", len(before), len(samples))
		}
	})
}

func sameValue(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }

func checkSamples(t *testing.T, samples []record.Sample, metas map[string]*record.Meta, err error, lines int) {
	t.Helper()
	used := make(map[int]bool)
	for _, s := range samples {
		if s.Line < 1 || s.Line > lines || used[s.Line] {
			t.Errorf("line %d of %d, used %t", s.Line, lines, used[s.Line])
		}
		used[s.Line] = true
		if name, rest := cutMetricName(s.Name); name == "" || rest != "" {
			t.Errorf("name %q", s.Name)
		}
		seen := make(map[string]bool)
		for _, l := range s.Labels {
			if name, rest := cutLabelName(l.Name); name == "" || rest != "" || strings.HasPrefix(name, "__") || seen[name] {
				t.Errorf("labels %v", s.Labels)
			}
			seen[l.Name] = true
		}
		if s.Meta != nil && metas[s.Meta.Name] != s.Meta {
			t.Errorf("%s: its Meta is not among those given", s.Name)
		}
	}
	for _, le := range record.LineErrors(err) {
		if le.Line < 1 || le.Line > lines || used[le.Line] || le.Reason == "" || le.Err == nil {
			t.Errorf("line error %+v", le)
		}
		used[le.Line] = true
	}
}

// compareWithPeer reads the line of a sample with Prometheus's parser, where
// that can.
func compareWithPeer(t *testing.T, s record.Sample, line []byte, seconds bool) {
	t.Helper()
	p := textparse.NewPromParser(bytes.Clone(line), labels.NewSymbolTable(), false)
	if seconds {
		p = textparse.NewOpenMetricsParser(append(bytes.Clone(line), "\n# EOF\n"...), labels.NewSymbolTable())
	}
	if entry, err := p.Next(); err != nil || entry != textparse.EntrySeries {
		return
	}
	_, at, value := p.Series()
	var theirs labels.Labels
	p.Labels(&theirs)
	if _, err := p.Next(); !errors.Is(err, io.EOF) {
		return
	}
	ours := map[string]string{"__name__": s.Name}
	for _, l := range s.Labels {
		if l.Value != "" {
			ours[l.Name] = l.Value
		}
	}
	// To the parser an empty label is one.
	wanted := make(map[string]string)
	for name, v := range theirs.Map() {
		switch {
		case name == "__name__":
			wanted[name] = model.EscapeName(v, model.UnderscoreEscaping)
		case v != "":
			wanted[legacyName(name, false)] = v
		}
	}
	if diff := cmp.Diff(wanted, ours); diff != "" {
		t.Errorf("%q: -prometheus +ours:\n%s", line, diff)
	}
	if value != s.Value && !(math.IsNaN(value) && math.IsNaN(s.Value)) {
		t.Errorf("%q: %v, to Prometheus %v", line, s.Value, value)
	}
	if at == nil != s.Time.IsZero() || at != nil && math.Abs(float64(*at-s.Time.UnixMilli())) > 1 { // it cuts, we round
		t.Errorf("%q: at %v, to Prometheus %v", line, s.Time, at)
	}
}

// BenchmarkExposition reads a thousand samples of one kind at a time.
func BenchmarkExposition(b *testing.B) {
	const lines = 1000
	for _, kind := range []struct {
		name, head string
		line       func(i int) string
	}{
		{"plain", "", func(i int) string { return fmt.Sprintf("metric_%d %d.5", i, i) }},
		{"labels", "# HELP traffic_bytes_total Traffic.\n# TYPE traffic_bytes_total counter\n", func(i int) string {
			return fmt.Sprintf(`traffic_bytes_total{device="eth%d",direction="in"} %d`, i, i*1000)
		}},
		{"histogram", "# TYPE took_seconds histogram\n", func(i int) string {
			return fmt.Sprintf(`took_seconds_bucket{path="/%d",le="%g"} %d`, i/10, float64(i%10)/8, i)
		}},
		{"refused", "", func(i int) string { return fmt.Sprintf("metric_%d None", i) }},
	} {
		text := []byte(kind.head)
		for i := range lines {
			text = append(text, kind.line(i)+"\n"...)
		}
		b.Run(kind.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			var metas map[string]*record.Meta
			for b.Loop() {
				_, metas, _ = Parse(text, MaxSamples, metas)
			}
			b.ReportMetric(lines*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}
