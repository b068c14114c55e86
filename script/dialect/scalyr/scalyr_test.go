package scalyr

import (
	"bytes"
	"testing/synctest"

	"scriptbridge/internal/testkit"
	"scriptbridge/internal/testkit/cases"
	"scriptbridge/script"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/dialecttest"
	"scriptbridge/script/process"

	gocmp "cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log/level"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"scriptbridge/config"
	"scriptbridge/record"
)

// newScript is a script of these options, each in YAML.
func newScript(t testing.TB, options map[string]string) *script.Script {
	t.Helper()
	if options["module"] == "" {
		options["module"] = "some.demo_monitor"
	}
	cfg, err := config.FromCommand(dialect.Table{Dialect{}}.Config(), "scalyr", nil, t.TempDir(), options)
	if err != nil {
		t.Fatal(err)
	}
	scripts, _, err := script.Resolve(dialect.Table{Dialect{}}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return scripts[0]
}

// runnerOf is the Runner of a script.
func runnerOf(t testing.TB, s *script.Script) *runner {
	t.Helper()
	newRunner, err := Dialect{}.Prepare(s.Options)
	if err != nil {
		t.Fatal(err)
	}
	return newRunner(&s.Script, dialect.Forgetful{}).(*runner)
}

// newSession is a life that shows in b what it tells.
func newSession(t testing.TB, options map[string]string, b *strings.Builder) *monitorSession {
	s := newScript(t, options)
	r := runnerOf(t, s)
	return &monitorSession{
		runner: r, mapper: newMapper(&r.options), interval: r.interval(),
		session: dialect.Session{
			Put: func(t *dialect.Result) { dump(b, t) },
			Log: func(at level.Value, text string, keyvals ...any) { fmt.Fprintf(b, "log %s %q %q\n", at, text, keyvals) },
		},
	}
}

// TestScalyrMessages reads every testdata/*.txtar: `options` are a
// script's, `messages` what the host says of its monitor, `want` the runs that
// are made of it.
func TestScalyrMessages(t *testing.T) {
	cases.Run(t, "testdata", func(t *testing.T, a *txtar.Archive, _ string) string {
		var b strings.Builder
		l := newSession(t, optionsOf(a), &b)
		for line := range bytes.Lines(cases.Part(a, "messages")) {
			if err := l.message(bytes.TrimSpace(line)); err != nil {
				fmt.Fprintf(&b, "broken: %v\n", err)
				break
			}
		}
		if l.bye != nil {
			b.WriteString("at its end:\n")
			dump(&b, l.last(&process.Outcome{Result: record.OK}, nil))
		}
		python := l.runner.options.Python
		return strings.ReplaceAll(b.String(), python, testkit.Slashed(python))
	}, "want")
}

func optionsOf(a *txtar.Archive) map[string]string {
	options := make(map[string]string)
	for line := range strings.Lines(string(cases.Part(a, "options"))) {
		key, value, _ := strings.Cut(line, ":")
		options[key] = strings.TrimSpace(value)
	}
	return options
}

// dump shows a run, one thing a line.
func dump(b *strings.Builder, t *dialect.Result) {
	fmt.Fprintf(b, "turn: interval %v, timeout %v, max age %v", t.Interval, t.Timeout, t.MaxAge)
	if t.Failure != "" {
		fmt.Fprintf(b, ", %s", t.Failure)
	}
	b.WriteString("\n")
	if t.Declared != nil {
		for _, m := range t.Declared.Metrics {
			dialecttest.DumpMeta(b, m)
		}
	}
	b.Write(t.Output)
	types := map[record.Type]string{record.Unknown: "untyped", record.Gauge: "gauge", record.Counter: "counter"}
	for _, s := range t.Samples {
		fmt.Fprintf(b, "%d: %s", s.Line, s.Name)
		for _, l := range s.Labels {
			fmt.Fprintf(b, " %s=%q", l.Name, l.Value)
		}
		fmt.Fprintf(b, " = %v %s", s.Value, types[s.Meta.Type])
		if !s.Time.IsZero() {
			fmt.Fprintf(b, " at %v", s.Time.UnixMilli())
		}
		b.WriteString("\n")
	}
	for _, e := range t.Events {
		fmt.Fprintf(b, "%d: event %q %d to %d %q %q\n", e.Line, e.Name, e.Start.Unix(), e.Stop.Unix(), e.Message, e.Attributes)
	}
	dialecttest.DumpWarnings(b, t.Warnings)
	if whole := record.WithoutLines(t.Err); whole != nil {
		fmt.Fprintf(b, "error: %s\n", whole)
	}
	for _, le := range record.LineErrors(t.Err) {
		fmt.Fprintf(b, "%d: refused, %s: %s [%s]", le.Line, le.Reason, le, le.Text)
		if le.More > 0 {
			fmt.Fprintf(b, " and %d more", le.More)
		}
		b.WriteString("\n")
	}
}

// FuzzScalyrMessages: whatever stands on descriptor 3, nothing panics, what is
// not JSON is told, and what has been said in front of it is not lost.
func FuzzScalyrMessages(f *testing.F) {
	for _, c := range cases.All(f, "testdata") {
		f.Add(cases.Part(c.Archive, "messages"))
	}
	var shown strings.Builder
	template := newSession(f, map[string]string{"text_values": "{pi: numeric, state: state, info: info}"}, &shown)
	f.Fuzz(func(t *testing.T, data []byte) {
		l := *template
		l.mapper = newMapper(&l.runner.options)
		turns := 0
		l.session.Put = func(turn *dialect.Result) {
			turns++
			for _, s := range turn.Samples {
				if s.Name == "" || s.Meta == nil || s.Line < 0 || len(s.Labels) == 0 || s.Labels[0].Name != "monitor" {
					t.Fatalf("sample %+v", s)
				}
			}
			for _, le := range record.LineErrors(turn.Err) {
				if le.Reason == "" || le.Err == nil {
					t.Fatalf("refusal %+v", le)
				}
			}
		}
		good := []byte(`{"t":"batch","gather":true,"records":[["good",1,null,null,null]],"lines":[]}`)
		if err := l.message(good); err != nil || turns != 1 {
			t.Fatalf("a good batch made %d turns, error %v", turns, err)
		}
		for line := range bytes.Lines(data) {
			err := l.message(line)
			if err == nil && !json.Valid(line) {
				t.Fatalf("%q was taken", line)
			}
			if err != nil {
				break
			}
		}
		l.last(&process.Outcome{Result: record.OK}, nil)
	})
}

func TestScalyrLines(t *testing.T) {
	tests := []struct {
		line string
		want string // "text" for no metric
	}{
		{`df.1kblocks.total 264212084 mount="/" fstype="ext4"`, `df.1kblocks.total 264212084 mount="/" fstype="ext4"`},
		{`proc.stat.cpu 1.5 node="0" type="user"`, `proc.stat.cpu 1.5 node="0" type="user"`},
		{`  up true  x=1  `, `up true x=1`},
		{`a-b.c -1e-05`, `a-b.c -1e-05`},
		{`n NaN a=Infinity b=-Infinity`, `n NaN a=Infinity b=-Infinity`},
		{`big 123456789012345678901234567890`, `big 123456789012345678901234567890`},
		{`response "a \"b\" é\n" status=200`, `response "a \"b\" é\n" status=200`},
		{`response "a\d" k="\"x\""`, `response "a\\d" k="\"x\""`},
		{`nothing null`, `nothing null`},
		{`a=1 b=2.5 c="text" d=true`, `a 1; b 2.5; c "text"; d true`},
		{`one=1`, `one 1`},
		{`a=1 b=text c="two words" d=x\"y\"`, `a 1; b "text"; c "two words"; d "x\"y\""`},
		{`user=bob action="log in"`, `text`},
		{`instance 1 monitor="x"`, `instance 1 monitor="x"`},
		{``, `text`},
		{`word`, `text`},
		{`took 5 seconds`, `text`},
		{`9lives 1`, `text`},
		{`a b`, `text`},
		{`a 01`, `text`},
		{`a 1.`, `text`},
		{`a 0x10`, `text`},
		{`a 1 b`, `text`},
		{`a 1 b=`, `text`},
		{`a 1 b="c`, `text`},
		{`a 1 b="c"d`, `text`},
		{`a 1 b="c\`, `text`},
		{`a 1 9=1`, `text`},
		{`a=1 word`, `text`},
		{`a {"x":1}`, `text`},
		{`connection to host=db failed`, `text`},
	}
	for _, test := range tests {
		records, ok := new(lineParser).parse(test.line)
		var parts []string
		for _, r := range records {
			parts = append(parts, lineOf(&r))
		}
		got := strings.Join(parts, "; ")
		if !ok {
			got = "text"
		}
		if got != test.want {
			t.Errorf("%s: got %s, want %s", test.line, got, test.want)
		}
	}
}

// FuzzScalyrLine: a line that is a metric stays the same metric when it is
// written anew.
func FuzzScalyrLine(f *testing.F) {
	for _, line := range []string{`df.total 1 mount="/"`, `a=1 b="\"" c=true`, `n NaN`, `a "\u00e9\ud83d"`, `x 1 y=`, "a=0 b=\xef"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		records, ok := new(lineParser).parse(line)
		if !ok {
			return
		}
		for _, r := range records {
			again, ok := new(lineParser).parse(lineOf(&r))
			if !ok || len(again) != 1 || lineOf(&again[0]) != lineOf(&r) {
				t.Errorf("%q gave %q, which gives %+v", line, lineOf(&r), again)
			}
		}
	})
}

func lineOf(r *metricRecord) string { return string(r.appendLine(nil)) }

func TestScalyrName(t *testing.T) {
	for _, test := range [][2]string{
		{"gauss", "gauss"}, {"a.b-c_d", "a.b-c_d"}, {"_x", "_x"}, {"", "sa_"}, {"-", "sa_-"}, {"9x.y", "sa_9x.y"},
		{"1.3.6.1", "sa_1.3.6.1"}, {"a b/c", "a_b_c"}, {"é", "sa_é"}, {"aé", "aé"}, {"a:b", "a_b"}, {" a", "_a"},
		{"value", "value_"}, {"value_", "value_"}, {"instance", "instance_"}, {"serverHost", "serverHost"}, {"\xff", "_"},
	} {
		if got := mapName(test[0]); got != test[1] {
			t.Errorf("%q became %q, want %q", test[0], got, test[1])
		}
		if again := mapName(test[1]); again != test[1] {
			t.Errorf("%q became %q, not itself", test[1], again)
		}
	}
}

func TestScalyrUnit(t *testing.T) {
	for _, test := range []struct {
		declared, unit string
		scale          float64
	}{
		{"", "", 1}, {"bytes", "bytes", 1}, {"bytes:1024", "bytes", 1024}, {"secs:0.01", "seconds", 0.01}, {"sec:.01", "seconds", 0.01},
		{"milliseconds", "seconds", 0.001}, {"percent", "", 1}, {"requests:2", "", 1}, {"Bytes", "bytes", 1}, {"secs:x", "seconds", 1}, {"secs:-1", "seconds", 1},
	} {
		unit, scale := unitOf(test.declared)
		if unit != test.unit || scale != test.scale {
			t.Errorf("%q: %q × %v, want %q × %v", test.declared, unit, scale, test.unit, test.scale)
		}
	}
}

func TestScaled(t *testing.T) {
	for _, test := range []struct{ x, scale, want float64 }{
		{902363, 0.01, 9023.63}, {1500, 0.001, 1.5}, {2, 1024, 2048}, {3, 1, 3}, {3, 0.3, 0.8999999999999999}, {-1, 0.01, -0.01},
	} {
		if got := scaled(test.x, test.scale); got != test.want {
			t.Errorf("%v × %v = %v, want %v", test.x, test.scale, got, test.want)
		}
	}
}

func TestScalyrOptions(t *testing.T) {
	for _, test := range []struct {
		options map[string]string
		want    string
	}{
		{map[string]string{"module": "m"}, ""},
		{map[string]string{"id": "x"}, "options has no module (write options: {module: random_coin_monitor})"},
		{map[string]string{"module": "a..b"}, `script "b": options.module "a..b" is not the name of a Python module (part 2 of it, between dots)`},
		{map[string]string{"module": "'a/b'"}, `script "a/b": options.module "a/b" is not the name of a Python module (part 1 of it, between dots)`},
		{map[string]string{"module": "m", "conf": "{}"}, `options.conf is not known (did you mean "config"?)`},
		{map[string]string{"module": "m", "config": "[1]"}, `script "m": options.config is not a map`},
		{map[string]string{"module": "m", "config": "'{a: 1'"}, `script "m": options.config: line 1: the text ends before a }`},
		{map[string]string{"module": "m", "config": "{id: [1]}"}, `script "m": options.config.id is not a text`},
		{map[string]string{"module": "m", "id": "a", "config": "'{id: \"b\"}'"}, `script "m-a": options.id is "a" and options.config.id is "b" (leave one of them out)`},
		{map[string]string{"module": "m", "text_values": "{a: text}"}, `script "m": options.text_values.a: "text" is not known (write numeric, state or info)`},
		{map[string]string{"module": "m", "max_families": "0"}, `script "m": options.max_families: 0 is too small (write 1 or more)`},
		{map[string]string{"module": "m", "labels": "cpu"}, `options.labels is a single value, not a list (begin each item with a dash, or write them in brackets, as in [a, b])`},
	} {
		cfg, err := config.FromCommand(dialect.Table{Dialect{}}.Config(), "scalyr", nil, t.TempDir(), test.options)
		if err == nil {
			_, _, err = script.Resolve(dialect.Table{Dialect{}}, cfg)
		}
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%v: got %s, want %s", test.options, got, test.want)
		}
	}
}

// An id among the monitor's own keys is its id, as run_monitor -c takes it,
// whatever way they are given.
func TestScalyrIDInConfig(t *testing.T) {
	for _, test := range []struct{ id, config, want string }{
		{"", `{id: shop, a: 1}`, "shop"},
		{"", `'{id: "shop", a: 1}'`, "shop"},
		{"", "\"{id: \\\"shop\\\"\\na: 1}\"", "shop"},
		{"", `{id: 7, a: 1}`, "7"},
		{"", `'{id: 07, a: 1}'`, "7"},
		{"", `{id: true, a: 1}`, "True"},
		{"", `{id: 1.50, a: 1}`, "1.5"},
		{"", `{id: "1.50", a: 1}`, "1.50"},
		{"", `{id: "", a: 1}`, ""},
		{"", `{id: null, a: 1}`, ""},
		{"", `{a: 1}`, ""},
		{"shop", `{id: shop, a: 1}`, "shop"},
		{"shop", `{id: null, a: 1}`, "shop"},
		{"7", `{id: 7, a: 1}`, "7"},
	} {
		options := map[string]string{"module": "m", "config": test.config}
		if test.id != "" {
			options["id"] = test.id
		}
		s := newScript(t, options)
		data, err := runnerOf(t, s).request("run")
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			ID     string
			Config map[string]any
		}
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatal(err)
		}
		if got.ID != test.want || len(got.Config) != 1 {
			t.Errorf("id %q and config %s: the host is given id %q and config %v; want id %q", test.id, test.config, got.ID, got.Config, test.want)
		}
	}
}

// What the host is told: numbers in all their digits, nothing that is null.
func TestScalyrRequest(t *testing.T) {
	dir := t.TempDir()
	agent := filepath.Join(dir, "agent.json")
	if err := os.WriteFile(agent, []byte(`{api_key: "x", n: 012 // remark`+"\n}"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newScript(t, map[string]string{
		"module": "pkg.m", "id": "7", "agent_config": agent, "module_paths": "[/a, b]", "agent_package": "/opt/py",
		"config": `{module: other, big: 123456789012345678901234567890, one: 1.0, no: null, list: [null, {no: null, yes: true}], text: "12", hex: 0x10}`,
	})
	s.Interval = 5 * time.Second
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	data, err := runnerOf(t, s).request("run")
	if err != nil {
		t.Fatal(err)
	}
	want := `{"protocol":1,"mode":"run","module":"pkg.m","id":"7",` +
		`"config":{"big":123456789012345678901234567890,"hex":16,"list":[null,{"yes":true}],"one":1.0,"sample_interval":5,"text":"12"},` +
		`"interval":5,"module_paths":["/a","` + testkit.Slashed(folder) + `/b"],"agent_package":"/opt/py","agent_config":{"api_key":"x","n":12},"debug":0}`
	if diff := cmp.Diff(want, testkit.Slashed(string(data))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A program that says nothing at all is no Python that could run the host: so
// say a run and a check.
func TestScalyrNoPython(t *testing.T) {
	for _, test := range []struct {
		o    process.Outcome
		want string
	}{
		{process.Outcome{Result: record.OK},
			`python3 has not begun to run the monitor (options: {python: …} names Python 3.6 or newer)`},
		{process.Outcome{Result: record.Error, ExitCode: 2, Err: errors.New("exited with code 2"), Stderr: []byte("usage: sh\nsh: 0: no such option -u\n")},
			`python3 has not begun to run the monitor: sh: 0: no such option -u (options: {python: …} names Python 3.6 or newer)`},
		{process.Outcome{Result: record.Error, ExitCode: 9009, Err: errors.New("exited with code 9009"), Stderr: []byte("Python was not found; run without arguments to install from the Microsoft Store, or disable this shortcut\r\n")},
			`python3 is no Python, but offers the Microsoft Store's: install Python 3.6 or newer for all users of this machine, or name one that is installed: options: {python: …}`},
		{process.Outcome{Result: record.Error, ExitCode: -1, Err: errors.New("no such file")}, ``},
		{process.Outcome{Result: record.Killed, ExitCode: -1, Err: errors.New("ended by signal 9")}, ``},
	} {
		s := newScript(t, map[string]string{"python": "python3"})
		r := runnerOf(t, s)
		end := func(context.Context) *process.Outcome { o := test.o; return &o }
		last := r.Keep(t.Context(), speaking(end), dialect.Session{})
		if got := errorText(last.Err); got != test.want {
			t.Errorf("%+v: a run says %q, want %q", test.o, got, test.want)
		}
		want := gocmp.Or(test.want, errorText(test.o.Err))
		if got := errorText(r.Inspect(t.Context(), speaking(end))); got != want {
			t.Errorf("%+v: a check says %q, want %q", test.o, got, want)
		}
	}
}

// Which Python is taken on Windows, of those that are in PATH.
func TestScalyrWindowsPython(t *testing.T) {
	const shop = `C:\Users\x\AppData\Local\Microsoft\WindowsApps\`
	for _, test := range []struct{ there, want string }{
		{``, `python.exe`},
		{`C:\Python\python.exe`, `C:\Python\python.exe`},
		{`C:\Python\python3.exe C:\Windows\py.exe`, `C:\Python\python3.exe`},
		{`C:\Windows\py.exe`, `C:\Windows\py.exe -3`},
		{shop + `python.exe ` + shop + `python3.exe C:\Windows\PY.EXE`, `C:\Windows\PY.EXE -3`},
		{shop + `python.exe ` + shop + `python3.exe`, shop + `python.exe`}, // which may be a Python of the Store
	} {
		find := func(name string) string {
			for _, file := range strings.Fields(test.there) {
				if strings.EqualFold(file[strings.LastIndexByte(file, '\\')+1:], name) {
					return file
				}
			}
			return ""
		}
		if got := strings.Join(windowsPython(find), " "); got != test.want {
			t.Errorf("%s: %s is taken, want %s", test.there, got, test.want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// speaking is an Exec whose host says lines and then does what end does.
func speaking(end func(ctx context.Context) *process.Outcome, lines ...string) dialect.Exec {
	return func(ctx context.Context, in dialect.Invocation) *process.Outcome {
		for _, line := range lines {
			if err := in.Message([]byte(line)); err != nil {
				return &process.Outcome{Result: record.Invalid, Err: err}
			}
		}
		return end(ctx)
	}
}

// A monitor that says nothing for its interval and the timeout is hung.
func TestScalyrHung(t *testing.T) {
	wait := func(ctx context.Context) *process.Outcome {
		<-ctx.Done()
		return &process.Outcome{Result: record.Killed, ExitCode: -1, Err: context.Cause(ctx), End: time.Now()}
	}
	batch := `{"t":"batch","gather":true,"records":[],"lines":[]}`
	for _, test := range []struct {
		name    string
		timeout time.Duration
		lines   []string
		after   time.Duration // 0: never
	}{
		{"from the start", 0, nil, 150 * time.Second},
		{"after a sample", 0, []string{`{"t":"ready","interval":10,"samples":true}`, batch}, 90 * time.Second},
		{"with a timeout", 5 * time.Second, []string{`{"t":"ready","interval":10,"samples":true}`, batch}, 15 * time.Second},
		{"with a run of its own", 0, []string{`{"t":"ready","interval":10,"samples":false}`}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScript(t, map[string]string{"module": "m"})
			s.Timeout = test.timeout
			r := runnerOf(t, s)
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				last := r.Keep(ctx, speaking(wait, test.lines...), dialect.Session{Put: func(*dialect.Result) {}})
				result, after := last.Outcomes[0].Result, time.Since(begin)
				if test.after == 0 {
					if result != record.Killed || after != time.Hour {
						t.Errorf("%s after %v", result, after)
					}
				} else if result != record.Timeout || after != test.after {
					t.Errorf("%s after %v, want a timeout after %v", result, after, test.after)
				}
			})
		})
	}
}
