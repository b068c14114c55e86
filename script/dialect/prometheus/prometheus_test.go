package prometheus

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/config"
	"scriptbridge/record"
	"scriptbridge/script"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/dialecttest"
	"scriptbridge/script/dialect/exposition"
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
			r := &runner{useFailedOutput: tt.useFailed, maxSamples: exposition.MaxSamples}
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
	r := &runner{maxSamples: exposition.MaxSamples}
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

// Of a failed run all lines are one refusal.
func TestPrometheusDrops(t *testing.T) {
	err := dropData(&process.Outcome{Stdout: []byte(strings.Repeat("a 1\n", lines.MaxRefused+5))})
	if all := record.LineErrors(err); len(all) != 1 || all[0].More != lines.MaxRefused+4 {
		t.Errorf("%d errors of a failed run", len(all))
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
	if r := newRunner(&s.Script, nil).(*runner); !r.useFailedOutput || r.maxSamples != exposition.MaxSamples {
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
