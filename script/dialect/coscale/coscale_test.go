package coscale

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/config"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/dialecttest"
	"scriptbridge/script/dialect/lines"
	"scriptbridge/script/process"
)

// stage stands in for a script's processes.
type stage struct {
	t      *testing.T
	runner *runner
	config func() *process.Outcome // what -c comes to
	data   func() *process.Outcome
	calls  []string // "-c 1s"
}

func newStage(t *testing.T) *stage {
	return &stage{
		t: t,
		runner: &runner{
			script:        &dialect.Script{Script: &config.Script{}, FallbackInterval: time.Minute, FallbackTimeout: 5 * time.Second},
			configTimeout: time.Second,
		},
		config: dialecttest.Says(`{"metrics": [{"id": 1, "name": "Load"}]}`),
		data:   dialecttest.Says("M1 5\n"),
	}
}

// run runs it once and gives the result with the calls that it made.
func (s *stage) run() (t *dialect.Result, calls string) {
	s.t.Helper()
	s.calls = nil
	t = s.runner.Run(s.t.Context(), s.exec)
	if want := len(s.calls); len(t.Outcomes) != want {
		s.t.Errorf("%d outcomes of %d calls", len(t.Outcomes), want)
	}
	return t, strings.Join(s.calls, ", ")
}

func (s *stage) exec(_ context.Context, in dialect.Invocation) *process.Outcome {
	s.calls = append(s.calls, fmt.Sprintf("%s %s", strings.Join(in.Args, " "), in.Timeout))
	if in.Stdin != nil {
		s.t.Errorf("stdin %q", in.Stdin)
	}
	if in.Args[0] == "-c" {
		return s.config()
	}
	return s.data()
}

// expect runs it once, which must make just these calls.
func (s *stage) expect(calls string) *dialect.Result {
	s.t.Helper()
	t, got := s.run()
	if got != calls {
		s.t.Errorf("calls %q, want %q", got, calls)
	}
	return t
}

func TestCoscaleTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.config = dialecttest.Says(`{"period": 300, "maxruntime": 20000, "metrics": [{"id": 1, "name": "Load"}, {"id": 1, "name": "x"}]}`)
		s.data = dialecttest.Says("M1 5\nM1 None\nM2 5\n")
		turn := s.expect("-c 1s, -d 20s")
		if !turn.Complete || turn.Failure != "" || turn.RetryAfter != 0 || len(turn.Warnings) != 0 {
			t.Errorf("turn %+v", turn)
		}
		if turn.Interval != 5*time.Minute || turn.Timeout != 20*time.Second {
			t.Errorf("interval %s, timeout %s", turn.Interval, turn.Timeout)
		}
		if string(turn.Output) != "M1 5\nM1 None\nM2 5\n" {
			t.Errorf("output %q", turn.Output)
		}
		if got, want := dialecttest.Reasons(turn.Err), "duplicate_id:0 not_a_number:2 undeclared:3"; got != want {
			t.Errorf("refused %q, want %q", got, want)
		}
		if turn.Declared == nil || len(turn.Samples) != 1 || turn.Samples[0].Meta != turn.Declared.Metrics[0] {
			t.Errorf("samples %+v of %+v", turn.Samples, turn.Declared)
		}

		time.Sleep(5 * time.Minute)
		turn = s.expect("-d 20s")
		if turn.Declared != nil || turn.Interval != 5*time.Minute || turn.Timeout != 20*time.Second {
			t.Errorf("second turn %+v", turn)
		}
		if got, want := dialecttest.Reasons(turn.Err), "not_a_number:2 undeclared:3"; got != want {
			t.Errorf("refused %q, want %q: what -c said is said once", got, want)
		}
	})
}

func TestCoscaleTimeouts(t *testing.T) {
	declares := func(maxruntime string) func() *process.Outcome {
		return dialecttest.Says(`{"maxruntime": ` + maxruntime + `, "metrics": [{"id": 1, "name": "Load"}]}`)
	}
	for _, tt := range []struct {
		maxruntime string
		configured time.Duration
		want       string
	}{
		{"null", 0, "-c 1s, -d 5s"},
		{"20000", 0, "-c 1s, -d 20s"},
		{"70000", 0, "-c 1s, -d 1m0s"},
		{"-1", 0, "-c 1s, -d 5s"},
		{"20000", 3 * time.Second, "-c 1s, -d 3s"},
		{"1000", 2 * time.Minute, "-c 1s, -d 2m0s"},
	} {
		s := newStage(t)
		s.config = declares(tt.maxruntime)
		s.runner.script.Timeout = tt.configured
		s.expect(tt.want)
	}
	s := newStage(t)
	s.runner.configTimeout = 7 * time.Second
	s.expect("-c 7s, -d 5s")
}

// TestCoscaleFirstFails is case 25: -c fails three times, then works.
func TestCoscaleFirstFails(t *testing.T) {
	for _, tt := range []struct {
		name    string
		config  func() *process.Outcome
		result  record.Result
		wantErr string
	}{
		{"exit", dialecttest.Fails(record.Error, 1, "Traceback\n"), "",
			"-c must print the configuration and exit with 0"},
		{"timeout", dialecttest.Fails(record.Timeout, -1, ""), "",
			"-c must print the configuration within 1s (a slow script gets longer by options: {config_timeout: 5s})"},
		{"data", dialecttest.Says("M1 0\n"), record.Invalid,
			"the configuration output is not JSON but looks like data lines"},
		{"nothing", dialecttest.Says("{}"), record.Invalid,
			"the configuration declares neither metrics nor events"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				works := s.config
				s.config = tt.config
				s.runner.script.Interval = 30 * time.Second
				var waits []time.Duration
				for range 5 {
					turn := s.expect("-c 1s")
					if turn.Err == nil || turn.Err.Error() != tt.wantErr || turn.Failure != tt.result || turn.Complete {
						t.Fatalf("turn %+v, want the error %q", turn, tt.wantErr)
					}
					if want := tt.config().Stdout; !bytes.Equal(turn.Output, want) {
						t.Errorf("output %q, want %q", turn.Output, want)
					}
					waits = append(waits, turn.RetryAfter)
					time.Sleep(turn.RetryAfter)
				}
				if want := []time.Duration{5e9, 10e9, 20e9, 30e9, 30e9}; !slices.Equal(waits, want) {
					t.Errorf("waits %v, want %v", waits, want)
				}
				s.config = works
				if turn := s.expect("-c 1s, -d 5s"); !turn.Complete || turn.Err != nil || turn.RetryAfter != 0 {
					t.Errorf("turn %+v", turn)
				}
				s.expect("-d 5s")
			})
		})
	}
}

func TestCoscaleReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.expect("-c 1s, -d 5s")
		time.Sleep(time.Hour - time.Second)
		s.expect("-d 5s")
		s.config = dialecttest.Says(`{"metrics": [{"id": 2, "name": "Heat"}]}`)
		time.Sleep(time.Second)
		turn := s.expect("-c 1s, -d 5s")
		if turn.Declared == nil || turn.Declared.Metrics[0].Name != "Heat" || dialecttest.Reasons(turn.Err) != "undeclared:1" {
			t.Errorf("turn %+v", turn)
		}

		// From here -c fails: the good declaration serves, retries are spread.
		s.config = dialecttest.Fails(record.Error, 1, "")
		s.data = dialecttest.Says("M2 5\n")
		time.Sleep(time.Hour)
		asked := 0
		for range 120 { // two hours of runs
			turn, calls := s.run()
			switch calls {
			case "-c 1s, -d 5s":
				asked++
			case "-d 5s":
			default:
				t.Fatalf("calls %q", calls)
			}
			if turn.Err != nil || !turn.Complete || len(turn.Samples) != 1 || turn.Declared != nil || turn.RetryAfter != 0 {
				t.Fatalf("turn %+v", turn)
			}
			want := []string{"the last good declaration stays in use: it ended with error\n-c must print the configuration and exit with 0"}
			if diff := cmp.Diff(want, turn.Warnings); diff != "" {
				t.Fatalf("warnings -want +got:\n%s", diff)
			}
			time.Sleep(time.Minute)
		}
		// 5 s, 10 s … are over by the next run up to 40 s; then 80, 160, 320,
		// 640, 1280, 2560, 3600 s.
		if asked != 11 {
			t.Errorf("asked for -c %d times in two hours", asked)
		}
		s.config = dialecttest.Says(`{"metrics": [{"id": 2, "name": "Heat"}]}`)
		time.Sleep(time.Hour)
		if turn := s.expect("-c 1s, -d 5s"); len(turn.Warnings) != 0 {
			t.Errorf("warnings %q", turn.Warnings)
		}
	})
}

func TestCoscaleFileChanged(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.sh")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	stamp := time.Unix(1_700_000_000, 0)
	write("one")
	s := newStage(t)
	s.runner.script.File = file
	s.expect("-c 1s, -d 5s")
	s.expect("-d 5s")

	write("two, longer")
	s.expect("-c 1s, -d 5s")
	s.expect("-d 5s")

	if err := os.Chtimes(file, stamp, stamp); err != nil {
		t.Fatal(err)
	}
	s.expect("-c 1s, -d 5s")
	s.expect("-d 5s")

	// Another file of the same size and time under the name.
	other := file + ".new"
	if err := os.WriteFile(other, []byte("owt, longer"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chtimes(other, stamp, stamp), os.Rename(other, file)); err != nil {
		t.Fatal(err)
	}
	s.expect("-c 1s, -d 5s")
	s.expect("-d 5s")

	// It is not asked for while it is away, nor again when it failed and is
	// still the same.
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	s.expect("-d 5s")
	write("three")
	s.config = dialecttest.Fails(record.Error, 2, "")
	s.expect("-c 1s, -d 5s")
	s.expect("-d 5s")
	write("three, mended")
	s.config = dialecttest.Says(`{"metrics": [{"id": 1, "name": "Load"}]}`)
	if turn := s.expect("-c 1s, -d 5s"); len(turn.Warnings) != 0 {
		t.Errorf("warnings %q", turn.Warnings)
	}
}

// TestCoscaleFailedData holds cases 21 and 27: what a failed run printed.
func TestCoscaleFailedData(t *testing.T) {
	const out = "M1 5\nbanner\nM1 x\nE1 0\nM\n"
	for _, tt := range []struct {
		name  string
		data  func() *process.Outcome
		use   bool
		heard bool
		want  string
	}{
		{"exit", dialecttest.Fails(record.Error, 1, out), false, false, "failed_run:1+2"},
		{"exit used", dialecttest.Fails(record.Error, 1, out), true, true, "not_a_number:3 undeclared:4 no_id:5"},
		{"timeout", dialecttest.Fails(record.Timeout, -1, out), false, false, "failed_run:1+2"},
		{"timeout not used", dialecttest.Fails(record.Timeout, -1, out), true, false, "failed_run:1+2"},
		{"killed not used", dialecttest.Fails(record.Killed, -1, out), true, false, "failed_run:1+2"},
		{"not started", dialecttest.Fails(record.Error, -1, ""), true, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t)
			s.runner.useFailedOutput = tt.use
			s.data = tt.data
			turn := s.expect("-c 1s, -d 5s")
			if got := dialecttest.Reasons(turn.Err); got != tt.want {
				t.Errorf("refused %q, want %q", got, tt.want)
			}
			if turn.Complete != tt.heard || len(turn.Samples) > 0 != tt.heard || turn.Declared == nil {
				t.Errorf("turn %+v", turn)
			}
			if turn.RetryAfter != 0 || turn.Failure != "" {
				t.Errorf("retry %s, result %q", turn.RetryAfter, turn.Failure)
			}
		})
	}
}

func TestCoscaleStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := newStage(t)
	s.config = func() *process.Outcome {
		cancel()
		return dialecttest.Fails(record.Killed, -1, "")()
	}
	if turn := s.runner.Run(ctx, s.exec); len(turn.Outcomes) != 1 || turn.Err != nil || turn.RetryAfter != 0 {
		t.Errorf("turn %+v", turn)
	}
	if s.runner.backoff != 0 {
		t.Errorf("a -c that we ended ourselves counts as a failure: backoff %s", s.runner.backoff)
	}
}

func TestCoscaleWarnings(t *testing.T) {
	s := newStage(t)
	s.config = dialecttest.Says(`{"period": 10, "metrics": [{"id": 1, "name": "Load"}]}`)
	s.data = dialecttest.Says("M1 5\nM1 6\n")
	s.run()
	turn, _ := s.run()
	want := []string{
		`the declared period of "10" seconds is under 60: 60 is used (interval: goes below it)`,
		"metric 1 is printed more than once with the same dimensions: the last value is used",
	}
	if diff := cmp.Diff(want, turn.Warnings); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestCoscaleBounds: what a script prints costs memory within bounds.
func TestCoscaleBounds(t *testing.T) {
	s := newStage(t)
	var out bytes.Buffer
	s.config = dialecttest.Says(`{"metrics": [{"id": 1, "name": "Load", "dimensions": [{"id": 1, "name": "d"}]}], "events": [{"id": 1, "name": "e"}]}`)
	for i := range maxSamples + 1 {
		fmt.Fprintf(&out, "M1 \"1:%d\" 1\n", i)
	}
	for range maxEvents + 1 {
		out.WriteString("E1 0 0 \"m\" \"{}\"\n")
	}
	out.WriteString(strings.Repeat("M2 1\n", lines.MaxRefused+3))
	s.data = dialecttest.Says(out.String())
	turn := s.expect("-c 1s, -d 5s")
	refused := record.LineErrors(turn.Err)
	if len(turn.Samples) != maxSamples || len(turn.Events) != maxEvents || len(refused) != lines.MaxRefused+1 {
		t.Fatalf("%d samples, %d events, %d refused", len(turn.Samples), len(turn.Events), len(refused))
	}
	last := refused[len(refused)-1]
	if got, want := last.Error(), "5 more lines were refused after the first 10000"; got != want || last.Reason != "too_many" {
		t.Errorf("%s: %q, want %q", last.Reason, got, want)
	}
	if got, want := refused[0].Error(), "the run gave 100000 values before this one (max_series allows more)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := refused[1].Error(), "the run gave 10000 events before this one"; got != want {
		t.Errorf("%q, want %q", got, want)
	}

	s = newStage(t)
	s.runner.script.MaxSeries = maxSamples + 1
	s.config = dialecttest.Says(`{"metrics": [{"id": 1, "name": "Load", "dimensions": [{"id": 1, "name": "d"}]}], "events": [{"id": 1, "name": "e"}]}`)
	s.data = dialecttest.Says(out.String())
	if turn := s.expect("-c 1s, -d 5s"); len(turn.Samples) != maxSamples+1 {
		t.Errorf("%d samples with a higher max_series", len(turn.Samples))
	}
}

func TestCoscaleConfigBounds(t *testing.T) {
	many := func(n int, one string) string { return "[" + strings.Repeat(one+",", n-1) + one + "]" }
	dims := many(maxDimensions+1, `{"id": 1, "name": "d"}`)
	c, err := parseConfig([]byte(`{"metrics": [{"id": 1, "name": "a", "dimensions": ` + dims + `}, {"id": 2, "name": "b"}]}`))
	if err == nil || err.Error() != `metric "a" declares 101 dimensions: 100 are the most` || len(c.metrics) != 1 {
		t.Errorf("dimensions: %v", err)
	}
	var metrics strings.Builder
	for i := range maxDeclared + 5 {
		fmt.Fprintf(&metrics, `{"id": %d, "name": "m", "datatype": "odd"},`, i)
	}
	c, err = parseConfig([]byte(`{"metrics": [` + strings.TrimSuffix(metrics.String(), ",") + `]}`))
	if err == nil || err.Error() != "the script declares 10005 metrics: the first 10000 are used" || len(c.metrics) != maxDeclared {
		t.Errorf("metrics: %v", err)
	}
	if len(c.warnings) != maxWarnings+1 || c.warnings[maxWarnings] != "there are more warnings of this script than are shown" {
		t.Errorf("%d warnings", len(c.warnings))
	}
	if _, err := parseConfig(bytes.Repeat([]byte(`{"metrics":[`), 100_000)); err == nil {
		t.Error("deep nesting is taken")
	}
}

func TestCoscaleOptions(t *testing.T) {
	for _, tt := range []struct {
		given   map[string]string
		want    time.Duration
		failed  bool
		wantErr string
	}{
		{nil, time.Second, false, ""},
		{map[string]string{"config_timeout": "5s"}, 5 * time.Second, false, ""},
		{map[string]string{"config_timeout": "1m30s", "use_failed_output": "true"}, 90 * time.Second, true, ""},
		{map[string]string{"config_timeout": "5"}, 0, false, `options.config_timeout 5 has no unit (write 5s)`},
		{map[string]string{"config_timeout": "0s"}, 0, false, `options.config_timeout must be above 0 (write it like 5s)`},
		{map[string]string{"config_time": "1s"}, 0, false, `options.config_time is not known (did you mean "config_timeout"?)`},
	} {
		options, err := config.OptionsFrom(tt.given)
		if err != nil {
			t.Fatal(err)
		}
		newRunner, err := Dialect{}.Prepare(options)
		if tt.wantErr != "" {
			if err == nil || err.Error() != tt.wantErr {
				t.Errorf("%v: error %v, want %s", tt.given, err, tt.wantErr)
			}
			continue
		}
		if err != nil {
			t.Errorf("%v: %v", tt.given, err)
			continue
		}
		s := &dialect.Script{Script: &config.Script{Name: "x"}}
		r := newRunner(s, nil).(*runner)
		if r.configTimeout != tt.want || r.useFailedOutput != tt.failed || r.script != s {
			t.Errorf("%v: runner %+v", tt.given, r)
		}
	}
}
