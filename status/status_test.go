package status

import (
	"encoding/json"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/collector"
	"scriptbridge/config"
	"scriptbridge/receive"
	"scriptbridge/receive/receiver"
	"scriptbridge/record"
	"scriptbridge/script"
	"scriptbridge/script/dialect"
	"scriptbridge/upload"
	"scriptbridge/upload/spool"
)

var update = flag.Bool("update", false, "write the documents in testdata anew")

// page has the same of each source.
type page struct{}

func (page) Count(record.Kind, string) int { return 2 }
func (page) Series(record.Kind, string) []collector.SeriesView {
	return []collector.SeriesView{{Text: `a{b="c"}`, Value: math.Inf(1), Line: 1}, {Text: "d", Value: 0.1, Mean: 5 * time.Minute, Sum: true}}
}
func (page) Refusals(record.Kind, string) ([]collector.Refusal, int) {
	return []collector.Refusal{{Line: 2, Metric: "m", Reason: "type_conflict", Text: "private: m is a counter"}}, 3
}

var now = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.FixedZone("", 3600))

// plugin is a Nagios plugin with something in every field; all that is private
// says so.
func plugin() *script.View {
	lines := []*record.LineError{{Line: 3, Text: "private: x=y", Reason: "not_a_number", Err: errors.New("private: y is no number"), More: 1}}
	last := &script.Verdict{
		Start: now.Add(-time.Minute), Duration: 310 * time.Millisecond, Waited: 2 * time.Second, Result: record.OK, ExitCode: 2,
		Lines: lines, Refused: 2, Reasons: map[string]int{"not_a_number": 2}, Samples: 3, Events: 1,
		Answer: &dialect.Answer{State: "CRITICAL", Text: "private: disk full"}, Stderr: "private: on stderr",
	}
	failed := &script.Verdict{Start: now.Add(-2 * time.Minute), Duration: time.Second, Result: record.Limit, Retries: 2, Limit: "memory", ExitCode: -1, Err: errors.New("private: out of memory")}
	c := &config.Script{Name: "disk", Command: []string{"/private/check_disk", "--password=private"}}
	c.User, c.Cron = "private", "*/5 * * * *"
	return &script.View{
		Script: &script.Script{Script: dialect.Script{Script: c, File: "/private/check_disk", Dir: "/private"}, Dialect: "nagios"},
		State:  script.Idle, Since: last.Start, Next: now.Add(time.Minute), Interval: time.Minute, Timeout: 10 * time.Second,
		Last: last, History: script.HistoryOf(last, failed), Overruns: 2,
		Declared: &record.Declared{Metrics: []*record.Meta{{ID: "1", Name: "Disk", Rare: &record.Rare{Rename: "disk"}, Unit: "b", Datatype: "DOUBLE", Calctype: "Instant", Dimensions: []string{"mount"}, Help: "help"}}},
		Probes: []script.Probe{
			{At: now, From: "private: 192.0.2.1", Parameters: "host=private", Run: failed},
			{At: now, From: "private: 192.0.2.1", Err: errors.New("private: no such host")},
		},
		Files:  record.Files{{Path: "/private/a.prom", Line: 3}},
		Trends: []script.Trend{{Label: "private a=b", Last: 2, Values: []float32{float32(math.NaN()), 0.1}}},
		Output: []byte("private: the output\n"), OutputCut: true, OutputOf: last, Lines: lines,
		Stderr: []script.StderrLine{{Text: "private: older"}, {Text: "private: on stderr"}}, Warnings: []string{"private: a warning"}, Log: []string{"private: a log line"},
		Events: []record.Event{{Name: "full", Subject: record.Subject{Kind: record.Application, Name: "shop"}, Start: now, Line: 4, Message: "private: a message", Attributes: []record.Label{{Name: "mount", Value: "private: /"}}}},
	}
}

func listener() *receive.View {
	return &receive.View{
		Name: "statsd", Error: "private: address in use", Addresses: []string{"udp private:8125"}, Last: now,
		Counts: receiver.CountsView{Packets: map[string]uint64{"udp": 7}, Bytes: map[string]uint64{"udp": 70}, Failed: map[string]uint64{"udp": 1}, Dropped: map[string]uint64{"overload": 2}},
		Events: []record.Event{{Name: "deploy", Start: now, Stop: now, Message: "private: a message"}},
		Faults: []receive.Fault{{At: now, Reason: "malformed", Text: "private: x|y", Why: "private: no value", More: 3}},
	}
}

func queue() *upload.State {
	return &upload.State{Name: "coscale", Error: "private: 500 from example.org", Stats: &spool.Stats{
		Items: 5, Bytes: 500, Oldest: now, Sent: 9, Refused: 1, Retried: 4, DroppedBy: map[string]uint64{"full": 2}, Skipped: map[string]uint64{"too_old": 3},
	}}
}

// TestDocuments holds all that is said of a script, a receiver and an upload
// against testdata, for who may see what is private and for others.
func TestDocuments(t *testing.T) {
	for _, private := range []bool{true, false} {
		m, name := Maker{page{}, private}, "public"
		if private {
			name = "private"
		}
		got, err := json.MarshalIndent(map[string]any{
			"script": m.Details(plugin()), "receiver": m.ReceiverDetails(listener()), "upload": m.Upload(queue()),
			"textfile": m.Textfile(&TextfileView{File: "/private/scriptbridge.prom", Last: now, Err: errors.New("private: disk full")}),
		}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", name+".json")
		if *update {
			if err := os.WriteFile(file, append(got, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
			t.Errorf("%s (-want +got; go test ./status -update writes it anew):\n%s", file, diff)
		}
		if !private && strings.Contains(string(got), "private") {
			t.Errorf("what everybody may read has something private:\n%s", got)
		}
	}
}

func TestStates(t *testing.T) {
	answered := func(state string) *script.Verdict {
		return &script.Verdict{Result: record.OK, Answer: &dialect.Answer{State: state}}
	}
	for _, c := range []struct {
		last     *script.Verdict
		activity script.State
		onlyAsk  bool
		want     State
		severity Severity
	}{
		{nil, script.Waiting, false, NotYetRun, Fine},
		{nil, script.Idle, true, OnRequest, Fine},
		{&script.Verdict{Result: record.OK}, script.Running, false, OK, Fine},
		{&script.Verdict{Result: record.OK}, script.Disabled, false, Disabled, Fine},
		{nil, script.Disabled, false, Disabled, Fine},
		{nil, script.Disabled, true, Disabled, Fine},
		{&script.Verdict{Result: record.Timeout}, script.Idle, false, Failing, Major},
		{answered("OK"), script.Idle, false, OK, Fine},
		{answered("WARNING"), script.Idle, false, Warning, Minor},
		{answered("CRITICAL"), script.Idle, false, Critical, Major},
		{answered("UNKNOWN"), script.Idle, false, Unknown, Minor},
	} {
		v := plugin()
		v.Last, v.State = c.last, c.activity
		if c.onlyAsk {
			v.Script.Parameters = map[string]config.Parameter{"host": {}}
		}
		got := OfScript(v)
		if got != c.want || got.Severity() != c.severity {
			t.Errorf("%+v %s: %s (%d), want %s (%d)", c.last, c.activity, got, got.Severity(), c.want, c.severity)
		}
	}
	if got := NotYetRun.Words(); got != "not yet run" {
		t.Errorf("%q", got)
	}
	for want, v := range map[State]receive.View{Open: {Up: true, Error: "x"}, Opening: {}, Down: {Error: "x"}} {
		if got := OfReceiver(&v); got != want {
			t.Errorf("%+v: %s", v, got)
		}
	}
	for want, v := range map[State]upload.State{OK: {}, Opening: {Opening: true}, Failing: {Error: "x"}} {
		if got := OfUpload(&v); got != want {
			t.Errorf("%+v: %s", v, got)
		}
	}
}

func TestCause(t *testing.T) {
	for want, v := range map[string]script.Verdict{
		"":                                     {Result: record.OK},
		"exit code 2":                          {Result: record.Error, ExitCode: 2},
		"could not be run":                     {Result: record.Error, ExitCode: -1},
		"failed":                               {Result: record.Error},
		"ran longer than its timeout of 1 min": {Result: record.Timeout, ExitCode: -1},
		"ended by a signal, or for too much output": {Result: record.Killed, ExitCode: -1},
		"reached a limit: cpu":                      {Result: record.Limit, Limit: "cpu", ExitCode: -1},
		"what it printed could not be read":         {Result: record.Invalid},
	} {
		if got := Cause(&v, time.Minute); got != want {
			t.Errorf("%+v: %q, want %q", v, got, want)
		}
	}
}

// A value is read as it was written.
func TestNumber(t *testing.T) {
	for _, v := range []float64{0, -1.5, 1e300, math.Inf(1), math.Inf(-1), math.NaN()} {
		text, err := json.Marshal(Number(v))
		if err != nil {
			t.Fatal(err)
		}
		var back Number
		if err := json.Unmarshal(text, &back); err != nil || !cmp.Equal(float64(back), v, cmp.Comparer(func(a, b float64) bool { return a == b || a != a && b != b })) {
			t.Errorf("%v became %s, and that %v (%v)", v, text, back, err)
		}
	}
	var n Number
	if err := json.Unmarshal([]byte(`"a word"`), &n); err == nil {
		t.Error("a word is a number")
	}
}
