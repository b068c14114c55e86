package prometheus

import (
	"bytes"
	"context"
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

	"scriptbridge/config"
	"scriptbridge/internal/testkit/cases"
	"scriptbridge/record"
	"scriptbridge/script"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/dialecttest"
	"scriptbridge/script/dialect/lines"
	"scriptbridge/script/process"
)

// runOnce runs a script whose one process comes to o.
func runOnce(t *testing.T, r dialect.Runner, o func() *process.Outcome) *dialect.Result {
	t.Helper()
	calls := 0
	turn := r.Run(t.Context(), func(_ context.Context, in dialect.Invocation) *process.Outcome {
		calls++
		if in.Args != nil || in.Stdin != nil || in.Timeout != 0 {
			t.Errorf("called with %+v", in)
		}
		return o()
	})
	if calls != 1 || len(turn.Outcomes) != 1 {
		t.Errorf("%d calls, %d outcomes", calls, len(turn.Outcomes))
	}
	return turn
}

func TestPrometheusTurn(t *testing.T) {
	const text = "# TYPE a gauge\na 1\nb -\n"
	for _, tt := range []struct {
		name      string
		useFailed bool
		outcome   func() *process.Outcome
		heard     bool
		samples   int
		result    record.Result
		refused   string
		err       string
	}{
		{name: "good", outcome: dialecttest.Says(text), heard: true, samples: 1, refused: "not_a_number:3"},
		{name: "silent", outcome: dialecttest.Says(""), heard: true},
		{name: "comments", outcome: dialecttest.Says("# nothing to say\n"), heard: true},
		{name: "unreadable", outcome: dialecttest.Says("\nNo such device\n<html>\n"), result: record.Invalid, refused: "not_a_number:2 bad_name:3",
			err: `no line of the output can be used; the first that cannot: No: "such" is not a number (print no line when there is no value)`},
		{name: "failed", outcome: dialecttest.Fails(record.Error, 3, text), refused: "failed_run:2+1"},
		{name: "failed and used", useFailed: true, outcome: dialecttest.Fails(record.Error, 3, text), heard: true, samples: 1, refused: "not_a_number:3"},
		{name: "not started", useFailed: true, outcome: dialecttest.Fails(record.Error, -1, ""), refused: ""},
		{name: "too slow", useFailed: true, outcome: dialecttest.Fails(record.Timeout, -1, text), refused: "failed_run:2+1"},
		{name: "killed", useFailed: true, outcome: dialecttest.Fails(record.Killed, -1, text), refused: "failed_run:2+1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &runner{useFailedOutput: tt.useFailed, maxSamples: maxSamples}
			turn := runOnce(t, r, tt.outcome)
			if turn.Complete != tt.heard || len(turn.Samples) != tt.samples || turn.Failure != tt.result || turn.Declared != nil {
				t.Errorf("turn %+v", turn)
			}
			if got := dialecttest.Reasons(turn.Err); got != tt.refused {
				t.Errorf("refused %q, want %q", got, tt.refused)
			}
			if err := record.WithoutLines(turn.Err); fmt.Sprint(err) != tt.err && (err != nil || tt.err != "") {
				t.Errorf("error %v, want %s", err, tt.err)
			}
			if want := string(tt.outcome().Stdout); string(turn.Output) != want {
				t.Errorf("output %q", turn.Output)
			}
		})
	}
}

// TestPrometheusMetas: what does not change from run to run is the same Meta,
// so that sinks and overrides keep what they know of it.
func TestPrometheusMetas(t *testing.T) {
	r := &runner{maxSamples: maxSamples}
	first := runOnce(t, r, dialecttest.Says("# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\n# HELP c One\nc 1\n"))
	second := runOnce(t, r, dialecttest.Says("# TYPE a gauge\na 2\n# TYPE b counter\nb 2\n# HELP c Two\nc 2\n"))
	for i, want := range []bool{true, false, false} {
		if same := first.Samples[i].Meta == second.Samples[i].Meta; same != want {
			t.Errorf("%s: the same Meta is %t", first.Samples[i].Name, same)
		}
	}
	if len(r.metas) != 3 {
		t.Errorf("%d metas are kept", len(r.metas))
	}
	if runOnce(t, r, dialecttest.Says("d 1\n")); len(r.metas) != 0 {
		t.Errorf("%d metas are kept of a run without any", len(r.metas))
	}
}

// Where times are shown, those that can only be seconds are left out, with one
// warning; the values stay. Elsewhere nothing is said: no time is shown.
func TestPrometheusEarlyTimes(t *testing.T) {
	const text = "a 1 1700000000\nb 2 1700000000000\nc 3\nd 4 1700000001\n"
	for _, tt := range []struct {
		honor bool
		text  string
		times []bool
		warns string
	}{
		{true, text, []bool{false, true, false, false}, "the time of a is before 2001, and such times are not used: the text format has milliseconds, and OpenMetrics, which ends in a line # EOF, seconds"},
		{false, text, []bool{true, true, false, true}, ""},
		{true, strings.ReplaceAll(text, "000000000\n", "000\n") + "# EOF\n", []bool{true, false, false, true}, "the time of b is before 2001, and such times are not used: the text format has milliseconds, and OpenMetrics, which ends in a line # EOF, seconds"},
	} {
		newRunner, err := Dialect{}.Prepare(config.Options{})
		if err != nil {
			t.Fatal(err)
		}
		turn := runOnce(t, newRunner(&dialect.Script{Script: &config.Script{Settings: config.Settings{HonorTimestamps: tt.honor}}}, dialect.Forgetful{}), dialecttest.Says(tt.text))
		var times []bool
		for _, s := range turn.Samples {
			times = append(times, !s.Time.IsZero())
		}
		if diff := cmp.Diff(tt.times, times); diff != "" || strings.Join(turn.Warnings, "|") != tt.warns || turn.Err != nil {
			t.Errorf("%q, %v: %v, warnings %q, %v", tt.text, tt.honor, times, turn.Warnings, turn.Err)
		}
	}
}

func TestPrometheusBounds(t *testing.T) {
	many := func(n int, line string) []byte { return []byte(strings.Repeat(line+"\n", n)) }
	samples, _, err := parse(many(7, "a 1"), 5, nil)
	if got := dialecttest.Reasons(err); len(samples) != 5 || got != "too_many:6 too_many:7" {
		t.Errorf("%d samples, %s", len(samples), got)
	}
	_, _, err = parse(many(lines.MaxRefused+5, "a"), 5, nil)
	all := record.LineErrors(err)
	if last := all[len(all)-1]; len(all) != lines.MaxRefused+1 || last.More != 4 || last.Reason != "too_many" {
		t.Errorf("%d errors, the last %+v", len(all), last)
	}
	err = dropData(&process.Outcome{Stdout: many(lines.MaxRefused+5, "a 1")})
	if all := record.LineErrors(err); len(all) != 1 || all[0].More != lines.MaxRefused+4 {
		t.Errorf("%d errors of a failed run", len(all))
	}
	var pairs []string
	for i := range maxLabels + 1 {
		pairs = append(pairs, fmt.Sprintf(`l%d="x"`, i))
	}
	_, _, err = parse([]byte("a{"+strings.Join(pairs, ",")+"} 1"), 5, nil)
	if got := dialecttest.Reasons(err); got != "too_long:1" {
		t.Error(got)
	}
}

func TestPrometheusOptions(t *testing.T) {
	cfg, err := config.FromCommand(dialect.Table{Dialect{}}.Config(), "prometheus", []string{"./x.sh"}, t.TempDir(), map[string]string{"use_failed_output": "true"})
	if err != nil {
		t.Fatal(err)
	}
	scripts, _, err := script.Resolve(dialect.Table{Dialect{}}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := scripts[0]
	newRunner, err := Dialect{}.Prepare(s.Options)
	if err != nil {
		t.Fatal(err)
	}
	if r := newRunner(&s.Script, nil).(*runner); !r.useFailedOutput || r.maxSamples != maxSamples {
		t.Errorf("%+v", r)
	}
	if !s.Source.Verbatim || s.Source.Prefix != "" {
		t.Errorf("%+v", s.Source)
	}
	cfg, err = config.FromCommand(dialect.Table{Dialect{}}.Config(), "prometheus", []string{"./x.sh"}, t.TempDir(), map[string]string{"permissions": "off"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err = script.Resolve(dialect.Table{Dialect{}}, cfg); err == nil || !strings.Contains(err.Error(), "permissions") {
		t.Error(err)
	}
}

// garbage is output that makes no sample and says nothing of any.
var garbage = []byte("\n9 lives\na{b=\"c} 1\nb{c=\"d\"\nfoo-bar 1\nx 1 2 3 4\n#\n# EOFs\n# TYPE\n# HELP 9 x\n{\"\"} 1\nno value\n\xff\x00\n")

// FuzzPrometheus holds the parser to what any output may ask of it, and, line
// by line, to Prometheus's own parser: what both read, they read alike.
func FuzzPrometheus(f *testing.F) {
	for _, c := range cases.All(f, "testdata") {
		f.Add(cases.Part(c.Archive, "output"))
	}
	f.Fuzz(func(t *testing.T, out []byte) {
		samples, metas, err := parse(out, 1000, nil)
		lines := bytes.Split(out, []byte("\n"))
		checkSamples(t, samples, metas, err, len(lines))
		seconds := isOpenMetrics(bytes.TrimPrefix(out, []byte("\ufeff")))
		for _, s := range samples {
			compareWithPeer(t, s, bytes.Trim(lines[s.Line-1], " \t\r\n\ufeff"), seconds)
		}

		again, _, _ := parse(out, 1000, metas)
		for i, s := range again {
			if s.Meta != samples[i].Meta {
				t.Errorf("%s: another Meta for the same output", s.Name)
			}
		}
		behind, _, _ := parse(append(bytes.Clone(out), garbage...), 1000, nil)
		if diff := cmp.Diff(samples, behind, cmp.Comparer(sameValue)); diff != "" && !bytes.HasSuffix(out, []byte("# EOF")) {
			t.Errorf("garbage behind changes samples:\n%s", diff)
		}
		before, _, _ := parse(append(bytes.Clone(garbage), bytes.TrimPrefix(out, []byte("\ufeff"))...), 1000, nil)
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

// BenchmarkPrometheus reads a thousand samples of one kind at a time.
func BenchmarkPrometheus(b *testing.B) {
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
				_, metas, _ = parse(text, maxSamples, metas)
			}
			b.ReportMetric(lines*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}
