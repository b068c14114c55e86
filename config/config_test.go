package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"scriptbridge/config/internal/yamltree"
)

func TestSecret(t *testing.T) {
	secret := Secret("hunter2")
	settings := Settings{Env: map[string]Secret{"PASSWORD": secret}}
	asJSON, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(map[string]any{"env": settings.Env})
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{
		fmt.Sprint(secret), secret.String(),
		fmt.Sprintf("%v %+v %#v %s %q %x %d", secret, secret, secret, secret, secret, secret, secret),
		fmt.Sprintf("%v %+v %#v", settings.Env, settings, settings),
		fmt.Sprintf("%v %#v", &secret, []Secret{secret}),
		string(asJSON), string(asYAML),
	} {
		got = strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(got)
		if strings.Contains(got, "hunter2") || !strings.Contains(got, "<secret>") && !strings.HasPrefix(got, "0x") {
			t.Errorf("a secret is shown as %s", got)
		}
	}
	if secret.Reveal() != "hunter2" {
		t.Errorf("Reveal gives %q", secret.Reveal())
	}
}

func TestLoadMissing(t *testing.T) {
	t.Chdir(t.TempDir())
	_, err := Load(testDialects, "scriptbridge.yml", nil)
	want := "scriptbridge.yml: there is no such file (--config.file names another one; to begin with, one line will do: scripts: [{command: /path/to/script}])"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if err := os.WriteFile("scriptbridge.yaml", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Load(testDialects, "scriptbridge.yml", nil)
	want = "scriptbridge.yml: there is no such file (did you mean scriptbridge.yaml? --config.file names another one; to begin with, one line will do: scripts: [{command: /path/to/script}])"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	_, err = Load(testDialects, ".", nil)
	if want := ".: is a folder (name a file in it)"; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestScriptFingerprint(t *testing.T) {
	const text = "scripts:\n  - command: a.sh\n    labels: {a: b}\n    options: {x: 1, y: [2]}\n"
	one := loadText(t, text).Scripts[0]
	if moved := loadText(t, "# a line above\n"+text).Scripts[0]; one.Fingerprint() != moved.Fingerprint() || one.Pos == moved.Pos {
		t.Error("a script that moved in its file is another one")
	}
	for _, change := range [][2]string{
		{"x: 1", "x: 2"}, {"x: 1", `x: "1"`}, {"[2]", "[]"}, {"    options: {x: 1, y: [2]}\n", ""},
		{"a: b", "a: c"}, {"a.sh", "b.sh"}, {"a.sh", "a.sh x"}, {"command:", "name: n\n    command:"},
		{"labels:", "interval: 5s\n    labels:"}, {"labels:", "env: {A: b}\n    labels:"},
		{"command: a.sh", "command: a.sh {p}\n    probe: true\n    parameters: {p: {pattern: x}}"},
	} {
		other := loadText(t, strings.Replace(text, change[0], change[1], 1)).Scripts[0]
		if one.Fingerprint() == other.Fingerprint() {
			t.Errorf("%q in place of %q makes no difference", change[1], change[0])
		}
	}
}

func TestScriptFingerprintParameters(t *testing.T) {
	const text = "scripts: [{command: 'a.sh {p}', probe: true, parameters: {p: {pattern: x*, default: x}}}]"
	one := loadText(t, text).Scripts[0]
	if one.Fingerprint() != loadText(t, text).Scripts[0].Fingerprint() {
		t.Error("a second load gives another script")
	}
	for _, change := range [][2]string{{"x*", "x+"}, {"default: x", "default: xx"}, {", default: x", ""}} {
		other := loadText(t, strings.Replace(text, change[0], change[1], 1)).Scripts[0]
		if one.Fingerprint() == other.Fingerprint() {
			t.Errorf("%q in place of %q makes no difference", change[1], change[0])
		}
	}
}

func loadText(t testing.TB, text string) *Config {
	t.Helper()
	c, err := tryText(t, text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// tryText gives the errors too.
func tryText(t testing.TB, text string) (*Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "scriptbridge.yml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(testDialects, file, nil)
}

// options is what a dialect might take.
type testOptions struct {
	ConfigTimeout time.Duration     `yaml:"config_timeout"`
	Failed        bool              `yaml:"use_failed_output"`
	Mode          string            `yaml:"mode"`
	Count         int               `yaml:"count"`
	Small         int8              `yaml:"small"`
	Ratio         float64           `yaml:"ratio"`
	Words         []string          `yaml:"words"`
	Texts         map[string]string `yaml:"texts"`
	Inner         struct {
		Key *int `yaml:"key"`
	} `yaml:"inner"`
	When  time.Time `yaml:"when"`
	Any   any       `yaml:"any"`
	Other string    // no key
}

func TestOptionsDecode(t *testing.T) {
	o := loadText(t, `
scripts:
  - command: a.sh
    options:
      config_timeout: 1h30m
      use_failed_output: true
      count: -3
      small: 7
      ratio: 0.5
      words: [a, 2]
      texts: {a: b, c: "3"}
      inner: {key: 4}
      when: 2024-05-06T07:08:09Z
      any: {a: [1, 2.5, x, true, null, "5"]}
`).Scripts[0].Options
	got := testOptions{Mode: "default", Other: "kept"}
	if err := o.Decode(&got); err != nil {
		t.Fatal(err)
	}
	four := 4
	want := testOptions{
		ConfigTimeout: 90 * time.Minute, Failed: true, Mode: "default", Count: -3, Small: 7, Ratio: 0.5,
		Words: []string{"a", "2"}, Texts: map[string]string{"a": "b", "c": "3"},
		When:  time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC),
		Any:   map[string]any{"a": []any{int64(1), 2.5, "x", true, nil, "5"}},
		Other: "kept",
	}
	want.Inner.Key = &four
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if err := (Options{}).Decode(&got); err != nil || o.root == nil {
		t.Errorf("no options: %v", err)
	}
}

func TestOptionsErrors(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	const text = `scripts:
  - command: a.sh
    options:
      config_timeout: 5
      use_failed_output: yes
      mode: [a]
      count: 1.5
      small: 128
      ratio: much
      words:
        - a
        - {b: c}
      texts: [a]
      inner: {kee: 4}
      when: today
      config_timeuot: 5s
      Other: x
      config:
      interval: 5s
`
	if err := os.WriteFile("x.yml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(testDialects, "x.yml", nil)
	if err != nil {
		t.Fatal(err)
	}
	err = c.Scripts[0].Options.Decode(new(testOptions))
	want := `x.yml:4: scripts[0] "a": options.config_timeout 5 has no unit (write 5s)
x.yml:5: scripts[0] "a": options.use_failed_output "yes" is neither true nor false (write true)
x.yml:6: scripts[0] "a": options.mode is a list, not a single value (write one value behind it)
x.yml:7: scripts[0] "a": options.count "1.5" is not a whole number (write digits alone, such as 100)
x.yml:8: scripts[0] "a": options.small "128" is not a whole number (write digits alone, such as 100)
x.yml:9: scripts[0] "a": options.ratio "much" is not a number (write it like 0.5)
x.yml:12: scripts[0] "a": options.words[1] is a map, not a single value (write one value behind it)
x.yml:13: scripts[0] "a": options.texts is a list, not a map (write its keys and values beneath it, each as key: value)
x.yml:14: scripts[0] "a": options.inner.kee is not known (did you mean "key"?)
x.yml:15: scripts[0] "a": options.when "today": parsing time "today" as "2006-01-02T15:04:05Z07:00": cannot parse "today" as "2006"
x.yml:16: scripts[0] "a": options.config_timeuot is not known (did you mean "config_timeout"?)
x.yml:17: scripts[0] "a": options.Other is not known (known: config_timeout, use_failed_output, mode, count, small, ratio, words, texts, inner, when, any)
x.yml:18: scripts[0] "a": options.config is not known (did you mean "config_timeout"?)
x.yml:19: scripts[0] "a": options.interval is not known (it belongs to global, an entry of scripts or an entry of discover)`
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestOptionsFrom(t *testing.T) {
	o, err := OptionsFrom(map[string]string{"config_timeout": "2s", "words": "[a, b]", "mode": `"true"`})
	if err != nil {
		t.Fatal(err)
	}
	var got testOptions
	if err := o.Decode(&got); err != nil {
		t.Fatal(err)
	}
	want := testOptions{ConfigTimeout: 2 * time.Second, Words: []string{"a", "b"}, Mode: "true"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if o, err := OptionsFrom(nil); err != nil || o.root != nil {
		t.Errorf("nothing: %v, %v", o, err)
	}
	_, err = OptionsFrom(map[string]string{"a": "[", "b": "*x"})
	if want := "--option=a: the [ is not closed (close it with ])\n--option=b: *x has no anchor &x before it (put the value in quotes if the * is part of it)"; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	o, err = OptionsFrom(map[string]string{"config_timeout": "2"})
	if err != nil {
		t.Fatal(err)
	}
	err = o.Decode(&got)
	var e *Error
	if want := "options.config_timeout 2 has no unit (write 2s)"; !errors.As(err, &e) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestSuggest(t *testing.T) {
	names := []string{"interval", "timeout", "user", "env", "env_file"}
	for key, want := range map[string]string{
		"intervall": "interval", "Timeout": "timeout", "envfile": "env_file", "usr": "user", "password": "", "": "",
	} {
		if want != "" {
			want = fmt.Sprintf("did you mean %q?", want)
		}
		if got := suggest(key, names); got != want {
			t.Errorf("suggest(%q) = %q, want %q", key, got, want)
		}
	}
}

// What a system has no means for is refused there, with each key and its line.
func TestConfinementElsewhere(t *testing.T) {
	r := new(yamltree.Report)
	root := yamltree.Parse(r, "x", []byte("limits:\n  cpu: 1s\n  memory: 1MiB\n  processes: 5\n  files: 5\n  output: 1KiB\nnice: 1\numask: 022\nno_new_privileges: true\ngroup: g\nuser: u\nlimit: {}\n"))
	if len(r.Errs) > 0 {
		t.Fatal(r.Errs)
	}
	never := []string{"x:5: s: files is supported on Linux only", "x:8: s: umask is supported on Linux only", "x:9: s: no_new_privileges is supported on Linux only"}
	for system, want := range map[string][]string{
		"linux": nil,
		"darwin": append([]string{
			"x:2: s: cpu is supported on Linux and Windows only", "x:3: s: memory is supported on Linux and Windows only",
			"x:4: s: processes is supported on Linux and Windows only", "x:7: s: nice is supported on Linux and Windows only",
		}, never...),
		"windows": append([]string{"x:10: s: group is not supported on Windows", "x:11: s: user is not supported on Windows, where scripts run as whoever runs scriptbridge"}, never...),
	} {
		e := &entry{Report: new(yamltree.Report), file: "x", thing: "s"}
		e.checkConfinement(root, system)
		var got []string
		for _, err := range e.Errs {
			got = append(got, strings.TrimSuffix(err.Error(), " (leave it out)"))
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", system, got, want)
		}
	}
}

// That a script runs is what it does without enabled: where the file says so
// in so many words, a reload leaves it alone.
func TestEnabled(t *testing.T) {
	fingerprint := func(enabled string) (string, Position) {
		c := loadText(t, "scripts:\n  - command: /srv/a.sh\n"+enabled).Scripts[0]
		return c.Fingerprint(), c.DisabledAt
	}
	silent, _ := fingerprint("")
	on, at := fingerprint("    enabled: true\n")
	if on != silent || at != (Position{}) {
		t.Errorf("enabled: true is another script than one without, and disabled at %s", at)
	}
	off, at := fingerprint("    enabled: false\n")
	if off == silent || at.Line != 3 {
		t.Errorf("enabled: false makes no difference, or stands at %s", at)
	}
	if later, at := fingerprint("    # later\n    enabled: false\n"); later != off || at.Line != 4 {
		t.Errorf("where it stands makes a difference, or it stands at %s", at)
	}
}
