package collector

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"scriptbridge/record"
)

func TestHealth(t *testing.T) {
	c, s := New(Options{}), script("s", 0)
	s.Prefix, s.Labels = "p", []record.Label{{Name: "team", Value: "x"}} // neither is on health
	b := whole(s, set(gaugeMeta, "a", 1), set(gaugeMeta, "b", 1))
	b.Time = time.UnixMilli(1769012345678)
	b.Run = &record.Run{
		Result: record.OK, Duration: 1500 * time.Millisecond, Interval: time.Minute, Timeout: 5 * time.Second, Wait: 2 * time.Second,
		Overruns: 3, Retries: 2, User: 250 * time.Millisecond, System: 125 * time.Millisecond, MaxRSS: 4096, Stdout: 100, Stderr: 7,
	}
	b.Err = errors.Join(
		&record.LineError{Reason: "undeclared", Err: errors.New("x")},
		fmt.Errorf("wrapped: %w", &record.LineError{Reason: "undeclared", Err: errors.New("y")}),
		&record.LineError{Err: errors.New("z")}, errors.New("no line"))
	_ = c.Put(b)
	failed := &record.Batch{Source: s, Time: time.UnixMilli(1769012405678), Err: errors.New("exit status 3"), Run: &record.Run{
		Result: record.Error, ExitCode: 3, Duration: time.Second, Interval: time.Minute, Timeout: 5 * time.Second,
		Overruns: 1, User: 250 * time.Millisecond, MaxRSS: 1024, Stdout: 1,
	}}
	_ = c.Put(failed)
	want(t, onPage(t, c, "scriptbridge_"),
		`scriptbridge_script_cpu_seconds_total{script="s",mode="system"} 0.125`,
		`scriptbridge_script_cpu_seconds_total{script="s",mode="user"} 0.5`,
		`scriptbridge_script_duration_seconds{script="s"} 1`,
		`scriptbridge_script_enabled{script="s"} 1`,
		`scriptbridge_script_exit_code{script="s"} 3`,
		`scriptbridge_script_interval_seconds{script="s"} 60`,
		`scriptbridge_script_last_run_timestamp_seconds{script="s"} 1.769012405678e+09`,
		`scriptbridge_script_last_success_timestamp_seconds{script="s"} 1.769012345678e+09`,
		`scriptbridge_script_max_rss_bytes{script="s"} 1024`,
		`scriptbridge_script_output_bytes_total{script="s",stream="stderr"} 7`,
		`scriptbridge_script_output_bytes_total{script="s",stream="stdout"} 101`,
		`scriptbridge_script_overruns_total{script="s"} 4`,
		`scriptbridge_script_refused_total{script="s",reason="undeclared"} 2`,
		`scriptbridge_script_refused_total{script="s",reason="unreadable"} 1`,
		`scriptbridge_script_retries_total{script="s"} 2`,
		`scriptbridge_script_runs_total{script="s",result="error"} 1`,
		`scriptbridge_script_runs_total{script="s",result="invalid"} 0`,
		`scriptbridge_script_runs_total{script="s",result="killed"} 0`,
		`scriptbridge_script_runs_total{script="s",result="limit"} 0`,
		`scriptbridge_script_runs_total{script="s",result="ok"} 1`,
		`scriptbridge_script_runs_total{script="s",result="timeout"} 0`,
		`scriptbridge_script_series{script="s"} 2`,
		`scriptbridge_script_success{script="s"} 0`,
		`scriptbridge_script_timeout_seconds{script="s"} 5`,
		`scriptbridge_script_wait_seconds_total{script="s"} 2`)
	_ = c.Put(&record.Batch{Source: s, Gone: true})
	want(t, onPage(t, c, ""))
}

// TestDisabled: a script that does not run has no series of a last run, whatever it
// had before, and the sums begin at 0 again.
func TestDisabled(t *testing.T) {
	c, s := New(Options{}), script("s", 0)
	b := whole(s, set(gaugeMeta, "a", 1))
	b.Run = &record.Run{Result: record.Error, ExitCode: 3, Overruns: 1}
	_ = c.Put(b)
	_ = c.Put(&record.Batch{Source: s, Gone: true})
	_ = c.Put(&record.Batch{Source: s, Disabled: true})
	want(t, onPage(t, c, ""),
		`scriptbridge_script_cpu_seconds_total{script="s",mode="system"} 0`,
		`scriptbridge_script_cpu_seconds_total{script="s",mode="user"} 0`,
		`scriptbridge_script_enabled{script="s"} 0`,
		`scriptbridge_script_output_bytes_total{script="s",stream="stderr"} 0`,
		`scriptbridge_script_output_bytes_total{script="s",stream="stdout"} 0`,
		`scriptbridge_script_overruns_total{script="s"} 0`,
		`scriptbridge_script_retries_total{script="s"} 0`,
		`scriptbridge_script_runs_total{script="s",result="error"} 0`,
		`scriptbridge_script_runs_total{script="s",result="invalid"} 0`,
		`scriptbridge_script_runs_total{script="s",result="killed"} 0`,
		`scriptbridge_script_runs_total{script="s",result="limit"} 0`,
		`scriptbridge_script_runs_total{script="s",result="ok"} 0`,
		`scriptbridge_script_runs_total{script="s",result="timeout"} 0`,
		`scriptbridge_script_series{script="s"} 0`,
		`scriptbridge_script_wait_seconds_total{script="s"} 0`)
	_ = c.Put(&record.Batch{Source: s}) // it is to run again
	want(t, onPage(t, c, "scriptbridge_script_enabled"), `scriptbridge_script_enabled{script="s"} 1`)
}

func TestReceiverHealth(t *testing.T) {
	c, r := New(Options{}), receiver("statsd", 0)
	page := func(success int, at string, refused ...string) {
		t.Helper()
		want(t, onPage(t, c, "scriptbridge_"), append([]string{
			`scriptbridge_receiver_last_batch_timestamp_seconds{receiver="statsd"} ` + at,
		}, append(refused,
			`scriptbridge_receiver_series{receiver="statsd"} 1`,
			fmt.Sprintf(`scriptbridge_receiver_success{receiver="statsd"} %d`, success))...)...)
	}
	// What only declares something is no sign of life of its clients.
	_ = c.Put(&record.Batch{Source: r, Time: time.Unix(500, 0), Declared: &record.Declared{}})
	want(t, onPage(t, c, "scriptbridge_"), `scriptbridge_receiver_series{receiver="statsd"} 0`, `scriptbridge_receiver_success{receiver="statsd"} 1`)
	b := partial(r, set(nil, "a", 1))
	b.Time = time.Unix(1000, 0)
	_ = c.Put(b)
	page(1, "1000")
	// Half readable is half used, and no failure.
	b = partial(r, set(nil, "a", 2))
	b.Time, b.Err = time.Unix(2000, 0), &record.LineError{Reason: "bad_line", Err: errors.New("x")}
	_ = c.Put(b)
	refused := `scriptbridge_receiver_refused_total{receiver="statsd",reason="bad_line"} 1`
	page(1, "2000", refused)
	_ = c.Put(&record.Batch{Source: r, Time: time.Unix(3000, 0), Err: errors.New("nothing could be read")})
	page(0, "3000", refused)
}

func TestReasonsAreBounded(t *testing.T) {
	c, s := New(Options{}), script("s", 0)
	for i := range 2 * maxReasons {
		_ = c.Put(&record.Batch{Source: s, Err: &record.LineError{Reason: fmt.Sprint("r", i), Err: errors.New("x")}})
	}
	got := onPage(t, c, "scriptbridge_script_refused")
	if len(got) != maxReasons+1 || got[0] != fmt.Sprintf(`scriptbridge_script_refused_total{script="s",reason="other"} %d`, maxReasons) {
		t.Errorf("%d reasons, the first is %s", len(got), got[0])
	}
}

// TestReasonsInOrder: lines of one family are in the order of their bytes, which is not
// that of the reasons.
func TestReasonsInOrder(t *testing.T) {
	c, s := New(Options{}), script("s", 0)
	for _, reason := range []string{"b", "a", "a!", "a b", "a\"", "a_", "a\n", "a\\", "aa", "\xff", "a#", ""} {
		_ = c.Put(&record.Batch{Source: s, Err: &record.LineError{Reason: reason, Err: errors.New("x")}})
	}
	for _, f := range accepted {
		var lines []string
		for line := range strings.Lines(string(get(t, c, f, false))) {
			if text, _, ok := strings.Cut(line, "} "); ok && strings.HasPrefix(text, "scriptbridge_script_refused_total{") {
				lines = append(lines, text)
			}
		}
		if len(lines) != 12 || !slices.IsSorted(lines) {
			t.Errorf("%s: %q", f, lines)
		}
	}
}

// TestHealthOfMany lets hundreds of sources come, go, move and report, and wants the
// page to be what it is when the same is told of one source after the other.
func TestHealthOfMany(t *testing.T) {
	c, dice := New(Options{}), rand.New(rand.NewPCG(3, 4))
	batches := make(map[string][]*record.Batch) // of each source that is there
	sources := make(map[string]*record.Source)
	reasons := []string{"", "a", "ab", "a_b", "a b", "undeclared", "\xff"}
	for step := range 3000 {
		name := fmt.Sprint("s", dice.IntN(500))
		s := sources[name]
		if s == nil || dice.IntN(10) == 0 {
			s = script(name, dice.IntN(1000))
			if name > "s4" {
				s = receiver(name, dice.IntN(1000))
			}
			sources[name] = s
		}
		b := &record.Batch{Source: s, Time: time.Unix(int64(step), 0), Gone: dice.IntN(8) == 0, Disabled: dice.IntN(8) == 0}
		if dice.IntN(2) == 0 {
			b.Run = &record.Run{Result: record.Results()[dice.IntN(6)], ExitCode: dice.IntN(3), User: time.Duration(dice.IntN(5)), Stderr: 1, MaxRSS: int64(dice.IntN(2))}
		}
		if dice.IntN(4) == 0 {
			b.Err = &record.LineError{Reason: reasons[dice.IntN(len(reasons))], Err: errors.New("x"), More: dice.IntN(3)}
		}
		_ = c.Put(b)
		batches[name] = append(batches[name], b)
		if b.Gone {
			delete(batches, name)
			delete(sources, name)
		}
		if step%300 != 299 {
			continue
		}
		checkLayout(t, c)
		again := New(Options{})
		for _, name := range slices.Sorted(maps.Keys(batches)) {
			for _, b := range batches[name] {
				_ = again.Put(b)
			}
		}
		for _, f := range accepted {
			page := get(t, c, f, false)
			if !bytes.Equal(page, get(t, again, f, true)) {
				t.Fatalf("after %d batches the page is another one in %s", step+1, f)
			}
			parsePage(t, page, f)
		}
		if !bytes.Equal(textfileOf(c, nil), textfileOf(again, nil)) {
			t.Fatalf("after %d batches the textfile is another one", step+1)
		}
	}
	if n := len(c.groups[record.Script]); n < 3 {
		t.Errorf("only %d groups, which is no test", n)
	}
	for _, s := range sources {
		_ = c.Put(&record.Batch{Source: s, Gone: true})
	}
	if len(c.layout.chunks)+c.families.Len()+len(c.groups[record.Script])+len(c.groups[record.Receiver]) != 0 {
		t.Error("something is left of nothing")
	}
}
