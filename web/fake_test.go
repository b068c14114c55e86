package web

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-kit/log"

	"scriptbridge/collector"
	"scriptbridge/config"
	"scriptbridge/record"
	"scriptbridge/script"
	"scriptbridge/script/dialect"
	"scriptbridge/status"
)

// fakes stand for the pool and the collector.
type fakes struct {
	views    []script.View
	series   map[string][]collector.SeriesView
	refusals map[string][]collector.Refusal
}

func (f *fakes) Views() []script.View { return f.views }

func (f *fakes) Containment() script.Containment { return "process_group" }

func (f *fakes) View(name string) (script.View, bool) {
	for _, v := range f.views {
		if v.Script.Name == name {
			return v, true
		}
	}
	return script.View{}, false
}

func (f *fakes) Count(k record.Kind, name string) int { return len(f.series[key(k, name)]) }

func (f *fakes) Series(k record.Kind, name string) []collector.SeriesView {
	return f.series[key(k, name)]
}

func (f *fakes) Refusals(k record.Kind, name string) ([]collector.Refusal, int) {
	refusals := f.refusals[key(k, name)]
	return refusals, len(refusals)
}

// key is a script's name, or a receiver's with its kind.
func key(k record.Kind, name string) string {
	if k == record.Script {
		return name
	}
	return string(k) + " " + name
}

// options are those of a bridge in good order.
func (f *fakes) options() Options {
	return Options{
		Sources: status.Sources{
			Scripts: f, Page: f, Version: "1.2.3",
			Late:         func() []string { return nil },
			ConfigStatus: func() (bool, time.Time, error) { return true, time.Now().UTC().Add(-3 * time.Hour), nil },
		},
		TelemetryPath: "/metrics", Logger: log.NewNopLogger(),
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "metrics") }),
		Reload:  func() error { return nil },
		Quit:    func() {},
	}
}

func newScript(name, of string, command ...string) *script.Script {
	c := &config.Script{Name: name, Command: command}
	c.MaxSeries, c.MaxOutput = 10_000, 16<<20
	return &script.Script{Script: dialect.Script{Script: c, File: command[0], Dir: "/srv/scripts"}, Dialect: of}
}

// diskView is a script that reads well but for two lines.
func diskView(now time.Time) (script.View, []collector.SeriesView, []collector.Refusal) {
	lines := []*record.LineError{{
		Line: 3, Text: "M9 42", Reason: "undeclared",
		Err: errors.New(`metric 9 is not declared (declare it in -c)`),
	}}
	last := &script.Verdict{
		Start: now.Add(-12 * time.Second), Duration: 310 * time.Millisecond, Result: record.OK,
		Lines: lines, Refused: 1, Reasons: map[string]int{"undeclared": 1}, Samples: 3, Events: 1,
	}
	history := []*script.Verdict{last}
	for i := 1; i < 20; i++ {
		v := &script.Verdict{
			Start: now.Add(-12*time.Second - time.Duration(i)*time.Minute), Result: record.OK,
			Duration: time.Duration(200+(i*71)%190) * time.Millisecond, Samples: 3,
		}
		if i == 7 {
			v.Result, v.ExitCode, v.Err, v.Samples = record.Error, 2, errors.New("exit code 2"), 0
		}
		history = append(history, v)
	}
	v := script.View{
		Script: newScript("disks", "coscale", "/srv/scripts/disks.py", "--all", "two words"),
		Trends: []script.Trend{{Label: `Disk usage mount="/"`, Last: 73.5, Values: []float32{70, 71, float32(math.NaN()), 73.5}}},
		State:  script.Idle, Since: last.Start, Next: now.Add(48 * time.Second),
		Interval: time.Minute, Timeout: 5 * time.Second, Last: last, History: script.HistoryOf(history...), Overruns: 2,
		Output: []byte("# disks\nM1 \"/\" 73.5\nM9 42\nM1 \"/home\" 12\n\nM2 5\nE7 -10 0 \"disk replaced\" \"{}\"\n"),
		Lines:  lines, OutputOf: last,
		Stderr: []script.StderrLine{
			{At: now.Add(-72 * time.Second), Run: 18, Text: "<old>"},
			{At: now.Add(-12 * time.Second), Run: 19, Text: "warning: /mnt/old is not mounted"},
			{At: now.Add(-11 * time.Second), Run: 19, Text: "done"},
		},
		Warnings: []string{"the declared period 10 is below 60; 60 is used"},
		Declared: &record.Declared{Metrics: []*record.Meta{
			{ID: "1", Name: "Disk usage", Unit: "%", Datatype: "DOUBLE", Calctype: "Instant", Dimensions: []string{"mount"}, Help: "How full each disk is"},
			{ID: "2", Name: "Inodes", Unit: "#", Datatype: "GAUGE", Calctype: "Instant"},
		}},
		Events: []record.Event{{
			ID: "0011223344556677", Name: "maintenance", Message: "disk replaced", Line: 7,
			Start: now.Add(-22 * time.Second), Attributes: []record.Label{{Name: "bay", Value: "3"}},
		}},
	}
	series := []collector.SeriesView{
		{Text: `coscale_disk_usage_percent{script="disks",mount="/"}`, Value: 73.5, Line: 2},
		{Text: `coscale_disk_usage_percent{script="disks",mount="/home"}`, Value: 12, Line: 4},
	}
	refusals := []collector.Refusal{{Line: 6, Metric: "Inodes", Reason: "type_conflict", Text: `the family coscale_inodes is a counter of script "fs" already; rename one of them`}}
	return v, series, refusals
}

// crowd is n scripts in every state there is.
func crowd(n int, now time.Time) *fakes {
	f := &fakes{series: make(map[string][]collector.SeriesView), refusals: make(map[string][]collector.Refusal)}
	disks, series, refusals := diskView(now)
	f.views = append(f.views, disks)
	f.series["disks"], f.refusals["disks"] = series, refusals
	kinds := []string{"nginx", "postgres", "redis", "backup-age", "queue_depth", "certs", "raid", "http checks of the shop", "ntp", "mail"}
	dialects := []string{"coscale", "coscale", "instrumental", "scalyr", "prometheus", "nagios"}
	for i := 1; i < n; i++ {
		name := fmt.Sprintf("%s-%03d", kinds[i%len(kinds)], i)
		f.views = append(f.views, member(i, newScript(name, dialects[i%len(dialects)], "/opt/"+name+".sh"), now))
		for j := range i * 7 % 40 {
			f.series[name] = append(f.series[name], collector.SeriesView{Text: "x{script=" + strconv.Quote(name) + ",n=\"" + strconv.Itoa(j) + "\"}", Value: 1})
		}
	}
	return f
}

func member(i int, s *script.Script, now time.Time) script.View {
	v := script.View{Script: s, State: script.Idle, Interval: time.Minute, Timeout: 5 * time.Second}
	v.Next = now.Add(time.Duration(i*13%60) * time.Second)
	if i%41 == 5 {
		v.State = script.Waiting
		return v
	}
	var runs []*script.Verdict
	for j := range 20 {
		h := &script.Verdict{
			Start:    now.Add(-time.Duration(i*17%60)*time.Second - time.Duration(j)*time.Minute),
			Duration: time.Duration(20+i*i*(j+3)%900) * time.Millisecond, Result: record.OK, Samples: 4,
		}
		switch {
		case i%19 == 3 && j < 4:
			h.Result, h.ExitCode, h.Err = record.Error, 1, fmt.Errorf("exit code 1; its last words: %s", strings.Repeat("cannot connect to db-1.example.org: connection refused ", i%3+1))
		case i%50 == 7 && j < 2:
			h.Result, h.ExitCode, h.Duration, h.Err = record.Timeout, -1, 5*time.Second, errors.New("it ran longer than its timeout of 5s and was ended")
		case i%67 == 9 && j == 0:
			h.Result, h.Err = record.Invalid, errors.New("what it printed is not a configuration: unexpected end of JSON input")
		case i%11 == 2 && j == 9:
			h.Result, h.ExitCode, h.Err = record.Killed, -1, errors.New("it was ended by signal 9")
		case i%23 == 4 && j == 0:
			h.Refused = i % 6
		}
		runs = append(runs, h)
	}
	v.Last, v.History = runs[0], script.HistoryOf(runs...)
	v.Since = v.Last.Start
	if i%29 == 6 {
		v.State, v.Since = script.Running, now.Add(-3*time.Second)
	}
	return v
}
