package scalyr

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/config"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/testkit"
	"scriptbridge/script"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/dialecttest"
)

func TestDiscoverScalyr(t *testing.T) {
	dir := dialecttest.UnpackTxtar(t, `
-- agent.json --
// The agent's own.
{
  api_key: "secret"
  import_vars: [ "TOKEN", { var: "TOKEN_FILE", default: "/etc/token" }, "UNSET" ]
  global_monitor_sample_interval: 20
  additional_monitor_module_paths: "/srv/a`+string(os.PathListSeparator)+`plugins"
  monitors: [
    { module: "one", given: "$TOKEN", file: "$TOKEN_FILE", no: "$UNSET", as_it_is: "$HOME ${TOKEN}", gone: null, big: 123456789012345678901 }
    { module: "pkg.two", sample_interval: 7.5 }
    { module: "other.two", id: "x" }
    { module: "two" }
  ]
}
-- agent.d/b.json --
{ monitors: [ { module: "three", id: 5, nested: { list: [ "$TOKEN" ] } } ], logs: [] }
-- agent.d/a.json --
{ import_vars: [ "TOKEN" ], monitors: [ { module: "four", t: "$TOKEN" } ] }
-- agent.d/c.txt --
not read
-- extra/d.json --
{ monitors: [ { module: "five" } ] }
-- monitors/local/x.py --
`)
	t.Setenv("SCALYR_EXTRA_CONFIG_DIR", "extra")
	t.Setenv("UNSET", "")
	t.Setenv("TOKEN", "not this")
	d := &config.Discover{AgentConfig: filepath.Join(dir, "agent.json")}
	d.Dialect, d.Env = "scalyr", map[string]config.Secret{"TOKEN": "abc"}
	var err error
	if d.Options, err = config.OptionsFrom(map[string]string{"python": "python3.9", "module_paths": "[/first]", "agent_package": dir}); err != nil {
		t.Fatal(err)
	}
	cfg := &config.Config{Discover: []*config.Discover{d}}
	scripts, problems, err := script.Resolve(dialect.Table{Dialect{}}, cfg)
	if err != nil || problems != nil {
		t.Fatalf("errors %v, problems %v", err, problems)
	}
	slashed := testkit.Slashed(dir)
	// YAML quotes a path with a backslash, though not /etc/token.
	quoted := regexp.MustCompile(`"(/[^"]*)"`)
	// What is the same in all of them.
	common := strings.NewReplacer(
		"  agent_package: DIR\n  python: python3.9\n  agent_config: DIR/agent.json\n", "",
		"  module_paths: [/first, DIR/monitors/local, /srv/a, DIR/plugins]\n", "")
	var got strings.Builder
	for _, s := range scripts {
		_, options, _ := strings.Cut(s.YAML(), "options:\n")
		options = strings.ReplaceAll(quoted.ReplaceAllString(testkit.Slashed(options), "$1"), slashed, "DIR")
		got.WriteString(s.Name + " " + s.Interval.String() + " " + strings.Join(s.Command, " ") + "\n" + common.Replace(options))
	}
	want := `one 20s python3.9 -u
  config:
    as_it_is: "$HOME ${TOKEN}"
    big: 123456789012345678901
    file: /etc/token
    given: abc
    "no": ""
  module: one
two-1 7.5s python3.9 -u
  config:
    sample_interval: 7.5
  id: "1"
  module: pkg.two
two-x 20s python3.9 -u
  config: {}
  id: x
  module: other.two
two-3 20s python3.9 -u
  config: {}
  id: "3"
  module: two
four 20s python3.9 -u
  config:
    t: abc
  module: four
three-5 20s python3.9 -u
  config:
    nested:
      list: ["$TOKEN"]
  id: "5"
  module: three
five 20s python3.9 -u
  config: {}
  module: five
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A monitor without an id has its place among all of its short name; with a name
// of its own, none. An id that is no text is what Python's str makes of it.
func TestScalyrIDs(t *testing.T) {
	for _, test := range []struct{ monitors, want string }{
		{`{module: "m"}`, `m=""`},
		{`{module: "m"}, {module: "m"}`, `m="1" m="2"`},
		{`{module: "m", id: "a"}, {module: "m"}, {module: "m"}`, `m="a" m="2" m="3"`},
		{`{module: "m"}, {module: "m", id: "a"}`, `m="1" m="a"`},
		{`{module: "m"}, {module: "x.m", id: "a"}, {module: "y.m"}, {module: "n"}`, `m="1" x.m="a" y.m="3" n=""`},
		{`{module: "m", id: ""}, {module: "m"}`, `m="" m="2"`},
		{`{module: "m", id: null}`, `m=""`},
		{`{module: "m", id: 5}`, `m="5"`},
		{`{module: "m", id: 007}`, `m="7"`},
		{`{module: "m", id: -0}`, `m="0"`},
		{`{module: "m", id: 1.50}`, `m="1.5"`},
		{`{module: "m", id: 2.}`, `m="2.0"`},
		{`{module: "m", id: -.5}`, `m="-0.5"`},
		{`{module: "m", id: 1e5}`, `m="100000.0"`},
		{`{module: "m", id: 1e22}`, `m="1e+22"`},
		{`{module: "m", id: 0.00001}`, `m="1e-05"`},
		{`{module: "m", id: 0.0001}`, `m="0.0001"`},
		{`{module: "m", id: -1e400}`, `m="-inf"`},
		{`{module: "m", id: 123456789012345678901}`, `m="123456789012345678901"`},
		{`{module: "m", id: true}`, `m="True"`},
		{`{module: "m", id: false}`, `m="False"`},
	} {
		file := filepath.Join(dialecttest.UnpackTxtar(t, "-- agent.json --\n{monitors: ["+test.monitors+"]}\n"), "agent.json")
		a, err := readAgent(file, func(string) string { return "" })
		if err != nil {
			t.Errorf("%s: %v", test.monitors, err)
			continue
		}
		var got []string
		for _, m := range a.monitors {
			got = append(got, fmt.Sprintf("%s=%q", m.module, m.id))
		}
		if diff := cmp.Diff(test.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.monitors, diff)
		}
	}
}

// A folder in agent.d, and what is too large, cost nothing but themselves.
func TestDiscoverScalyrTakesFiles(t *testing.T) {
	dir := dialecttest.UnpackTxtar(t, `
-- agent.json --
{ monitors: [ { module: "one" } ] }
-- agent.d/folder.json/x.json --
{ monitors: [ { module: "not" } ] }
-- agent.d/huge.json --
`)
	if err := os.Truncate(filepath.Join(dir, "agent.d", "huge.json"), fsx.Most+1); err != nil {
		t.Fatal(err)
	}
	want := `before
discover: DIR/agent.d/folder.json is passed over: is a folder
discover: DIR/agent.d/huge.json is passed over: has more than 2 MiB
one`
	if diff := cmp.Diff(want, passedOver(t, dir)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// passedOver is what is said of the files of an agent, and then the monitors that they have.
func passedOver(t *testing.T, dir string) string {
	t.Helper()
	d := &config.Discover{AgentConfig: filepath.Join(dir, "agent.json")}
	d.Dialect = "scalyr"
	cfg := &config.Config{Discover: []*config.Discover{d}, Warnings: []error{errors.New("before")}}
	scripts, problems, err := script.Resolve(dialect.Table{Dialect{}}, cfg)
	if err != nil || problems != nil {
		t.Fatalf("errors %v, problems %v", err, problems)
	}
	var lines []string
	for _, w := range cfg.Warnings {
		lines = append(lines, strings.ReplaceAll(testkit.Slashed(w.Error()), testkit.Slashed(dir), "DIR"))
	}
	for _, s := range scripts {
		lines = append(lines, s.Name)
	}
	return strings.Join(lines, "\n")
}

func TestDiscoverScalyrErrors(t *testing.T) {
	for _, test := range []struct{ name, files, want string }{
		{"missing", "", "discover: DIR/agent.json: there is no such file (correct the path, or make the file)"},
		{"syntax", "-- agent.json --\n{\n a: ]\n}\n", "discover: DIR/agent.json: line 2: a value is missing before ']'"},
		{"a list", "-- agent.json --\n[]\n", "discover: DIR/agent.json: is not an object"},
		{"twice", "-- agent.json --\n{monitors: [{module: \"a.m\", id: \"x\"}, {module: \"a.m\", id: \"x\"}, {module: \"b.m\", id: \"x\"}]}\n",
			`discover: DIR/agent.json: monitors: module "a.m" with id "x" is in DIR/agent.json already (give one of the two another id)`},
		{"running", "-- agent.json --\n{monitors: [{module: \"a.m\", id: 2}, {module: \"a.m\"}]}\n",
			`discover: DIR/agent.json: monitors: module "a.m" with id "2", its place among its like, is in DIR/agent.json already (give it an id of its own)`},
		{"a folder", "-- agent.json/x --\n", "discover: DIR/agent.json: is a folder (name a file in it)"},
		{"many", "-- agent.json --\n{api_key: \"a\", monitors: [{}, 1, {module: \"m\", id: []}], import_vars: [{}]}\n", "discover: DIR/agent.json: import_vars[0] is neither a name nor {var: …, default: …}"},
		{"monitors", "-- agent.json --\n{api_key: \"a\", monitors: [{}, 1, {module: \"m\", id: []}, {module: \"ok\"}]}\n-- agent.d/x.json --\n{api_key: \"b\", monitors: 1}\n",
			"discover: DIR/agent.json: monitors[0] has no module\n" +
				"discover: DIR/agent.json: monitors[1] is not an object\n" +
				"discover: DIR/agent.json: monitors[2] (m): id is not a text\n" +
				"discover: DIR/agent.d/x.json: \"api_key\" is in DIR/agent.json already\n" +
				"discover: DIR/agent.d/x.json: monitors is not a list"},
		{"interval", "-- agent.json --\n{monitors: [{module: \"m\", sample_interval: \"often\"}]}\n",
			`discover: DIR/agent.json: module "m" with id "": sample_interval often is not a number of seconds (0.1 or more)`},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := dialecttest.UnpackTxtar(t, test.files)
			d := &config.Discover{AgentConfig: filepath.Join(dir, "agent.json")}
			d.Dialect = "scalyr"
			_, _, err := script.Resolve(dialect.Table{Dialect{}}, &config.Config{Discover: []*config.Discover{d}})
			got := ""
			if err != nil {
				got = strings.ReplaceAll(testkit.Slashed(err.Error()), testkit.Slashed(dir), "DIR")
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// The interval: an entry's, else the agent's, else the environment's.
func TestScalyrInterval(t *testing.T) {
	env := map[string]string{"SCALYR_GLOBAL_MONITOR_SAMPLE_INTERVAL": "40"}
	for _, test := range []struct {
		file string
		want time.Duration
	}{
		{`{monitors: [{module: "m"}]}`, 40 * time.Second},
		{`{global_monitor_sample_interval: 10, monitors: [{module: "m"}]}`, 10 * time.Second},
		{`{global_monitor_sample_interval: 10, monitors: [{module: "m", sample_interval: "0.5"}]}`, 500 * time.Millisecond},
	} {
		file := filepath.Join(dialecttest.UnpackTxtar(t, "-- agent.json --\n"+test.file+"\n"), "agent.json")
		a, err := readAgent(file, func(name string) string { return env[name] })
		if err != nil {
			t.Fatal(err)
		}
		got, err := a.interval(&a.monitors[0], func(name string) string { return env[name] })
		if err != nil || got != test.want {
			t.Errorf("%s: %v, %v; want %v", test.file, got, err, test.want)
		}
	}
}
