package config

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"go.yaml.in/yaml/v2"

	"scriptbridge/config/internal/yamltree"
	"scriptbridge/internal/panics"
	"scriptbridge/internal/testkit"
)

var update = flag.Bool("update", false, "write what was got into testdata")

// testDialects are like those of the program, as far as the configuration sees them.
var testDialects = Dialects{
	{Name: "coscale", Declares: true, Options: struct {
		A time.Duration `yaml:"config_timeout"`
		B bool          `yaml:"use_failed_output"`
	}{}},
	{Name: "instrumental", Home: ".instrumental_scripts", Options: struct {
		A string `yaml:"permissions"`
		B bool   `yaml:"raw_status"`
		C bool   `yaml:"lenient_numbers"`
	}{}},
	{Name: "nagios"},
	{Name: "prometheus"},
	{Name: "textfile", Folders: true},
	{Name: "scalyr", Modules: true, Options: struct {
		A string            `yaml:"module"`
		B string            `yaml:"agent_config"`
		C map[string]string `yaml:"labels"`
	}{}},
}

// TestLoad loads each archive's scriptbridge.yml, in a folder with its other
// files, and compares what was understood with the archive's `want`, or the
// error with its `errors`. $DIR stands for the folder.
func TestLoad(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		path, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if runtime.GOOS == "windows" && name == "good-limits" {
				t.Skip("most of these keys are refused here: see TestConfinementElsewhere")
			}
			if runtime.GOOS == "windows" && name == "good-full" { // scripts have no user of their own there
				archive.Files[0].Data = bytes.Replace(archive.Files[0].Data, []byte("    user: nobody"), []byte("    #user: nobody"), 1)
			}
			dir := unpack(t, archive)
			cfg, err := Load(testDialects, "scriptbridge.yml", nil)
			got, section := "", "want"
			if err != nil {
				got, section = WithExcerpts(err).Error()+"\n", "errors"
				checkJoined(t, err)
			} else {
				got = dump(cfg)
				checkAgain(t, cfg)
			}
			got = strings.ReplaceAll(strings.ReplaceAll(got, dir, "$DIR"), strings.ReplaceAll(dir, `\`, `\\`), "$DIR")
			compare(t, path, archive, section, got)
		})
	}
}

// unpack writes the archive's files into a new folder and goes there; it is
// also the home, and all scripts in it are executable.
func unpack(t testing.TB, archive *txtar.Archive) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range archive.Files {
		if f.Name == "want" || f.Name == "errors" {
			continue
		}
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	t.Setenv("HOME", dir)
	t.Setenv("USERPROFILE", dir)
	return dir
}

func compare(t *testing.T, path string, archive *txtar.Archive, section, got string) {
	t.Helper()
	for i, f := range archive.Files {
		if f.Name != section {
			continue
		}
		want := string(f.Data)
		if runtime.GOOS == "windows" { // a path needs quotes there, and what is only Linux's is refused
			got, want = strings.ReplaceAll(unsupported.ReplaceAllString(testkit.Slashed(got), ""), `"`, ""), strings.ReplaceAll(unsupported.ReplaceAllString(testkit.Slashed(want), ""), `"`, "")
		}
		if diff := cmp.Diff(want, got); diff != "" && !*update {
			t.Errorf("%s (-want +got):\n%s", section, diff)
		}
		if *update {
			archive.Files[i].Data = []byte(got)
			if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	t.Errorf("the archive has no section %s; got:\n%s", section, got)
}

// unsupported are the lines of what a system has no means for: see TestConfinementElsewhere; and
// those of credentials, which only systemd gives.
var unsupported = regexp.MustCompile(`(?m)^.*(?: supported on |\$\{credential:).*\n|^user: nobody\n`)

// checkJoined sees that every error is one line and says where it is.
func checkJoined(t *testing.T, err error) {
	t.Helper()
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("%T is no joined error", err)
	}
	if stack := panics.StackOf(err); stack != "" {
		t.Fatalf("%v\n%s", err, stack)
	}
	for _, err := range joined.Unwrap() {
		var e *Error
		if !errors.As(err, &e) || e.File == "" || e.Problem == "" || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %q (%T) has no file, no problem or several lines", err, err)
		}
		if e.Excerpt != "" && (strings.Count(e.Excerpt, "\n") != 1 || !strings.HasSuffix(e.Excerpt, "^")) {
			t.Errorf("error %q has the excerpt %q", err, e.Excerpt)
		}
	}
}

// checkAgain loads the file a second time, and each script's own YAML.
func checkAgain(t *testing.T, cfg *Config) {
	t.Helper()
	again, err := Load(testDialects, cfg.File, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(cfg, again) {
		t.Errorf("the second load differs:\n%s", cmp.Diff(dump(cfg), dump(again)))
	}
	for _, s := range cfg.Scripts {
		checkYAML(t, s)
	}
}

// checkYAML sees that s.YAML says all of s but its secrets.
func checkYAML(t *testing.T, s *Script) {
	t.Helper()
	text := "scripts:\n  - " + strings.ReplaceAll(strings.TrimSpace(s.YAML()), "\n", "\n    ") + "\n"
	l := newLoader(testDialects, "fuzz.yml", nil)
	l.read("again.yml", []byte(text), "")
	if err := l.Join(nil); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	want := *s
	want.Env = nil
	for name := range s.Env {
		if want.Env == nil {
			want.Env = make(map[string]Secret)
		}
		want.Env[name] = yamltree.Hidden
	}
	got := l.config.Scripts[0]
	want.Options = got.Options // may hide secrets; the texts below are compared
	if got.Fingerprint() != want.Fingerprint() || got.YAML() != s.YAML() {
		t.Errorf("the script's own YAML gives another script:\n%s", cmp.Diff(text, got.YAML()))
	}
}

// Variables that differ by case alone are two, but on Windows.
func TestVariableTwice(t *testing.T) {
	_, err := tryText(t, "scripts: [{command: ./a.sh, env: {Path: a, PATH: b}}]")
	if runtime.GOOS != "windows" {
		if err != nil {
			t.Error(err)
		}
		return
	}
	if err == nil || !strings.HasSuffix(err.Error(), `env: "Path" and "PATH" are one name (keep one of the two)`) {
		t.Error(err)
	}
}

// dump shows all that was understood.
func dump(c *Config) string {
	var b strings.Builder
	fmt.Fprintf(&b, "file %s\nfiles %q\nwarnings %q\n", c.File, c.Files, c.Warnings)
	fmt.Fprintf(&b, "global %+v\nevents %+v\n", c.Global, c.Events)
	for _, s := range c.Scripts {
		fmt.Fprintf(&b, "\nscript at %s, program %d\n%s", s.Pos, s.Program, s.YAML())
	}
	for _, d := range c.Discover {
		v := written(reflect.ValueOf(&d.Settings).Elem())
		fmt.Fprintf(&b, "\ndiscover at %s, directory %s%s\n%s", d.Pos, d.Directory, d.AgentConfig, yamltree.Render(v, true))
	}
	for _, part := range []any{c.Receive.CoScale, c.Receive.StatsD, c.Receive.Collectd, c.Upload.CoScale, c.Upload.Instrumental} {
		if !reflect.ValueOf(part).IsNil() {
			fmt.Fprintf(&b, "\n%T\n%+v\n", part, reflect.ValueOf(part).Elem())
		}
	}
	for _, u := range c.Upload.RemoteWrite {
		fmt.Fprintf(&b, "\n%s at %s\n%s", u.UploadName(), c.At["upload."+u.UploadName()], yamltree.Render(written(reflect.ValueOf(u).Elem()), false))
		fmt.Fprintf(&b, "files %q, of secrets %q\nclient:\n%s", u.Files(), u.SecretFiles(), u.Client)
		for _, rule := range u.WriteRelabelConfigs {
			text, err := yaml.Marshal(rule)
			fmt.Fprintf(&b, "rule %v:\n%s", err, text)
		}
	}
	return b.String()
}

// FuzzLoad: any text gives errors of the right form or a configuration whose
// scripts can be said in YAML again.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(archive.Files[0].Data)
	}
	for _, dialect := range []string{"coscale", "instrumental", "nagios", "prometheus", "scalyr"} {
		for _, rest := range []string{
			"probe: true", "probe: true, parameters: {p: {pattern: x}}", "parameters: {p: {pattern: x, default: y}}", "parameters: [null]", "options: {module: m}, probe: true, parameters: {p: }",
			"options: [module]", "options: {module: [m]}, name: ", "command: [null]", "command: 'sh -c {p}', probe: true, parameters: {p: {pattern: -x}}", "metrics: {1: , a: [b]}",
		} {
			f.Add([]byte("scripts: [{dialect: " + dialect + ", " + rest + "}]\n"))
			f.Add([]byte("scripts: [{dialect: " + dialect + ", command: /a/b, options: {module: m}, " + strings.Replace(rest, "command:", "name:", 1) + "}]\n"))
			f.Add([]byte("discover: [{dialect: " + dialect + ", directory: /a, " + rest + "}]\n"))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 2000 { // the parser's time grows with the square of the depth
			return
		}
		l := newLoader(testDialects, "fuzz.yml", nil)
		l.read("fuzz.yml", data, "")
		if err := l.Join(nil); err != nil {
			checkJoined(t, err)
			return
		}
		for _, s := range l.config.Scripts {
			checkYAML(t, s)
		}
	})
}

// BenchmarkLoad loads the configuration that has every key.
func BenchmarkLoad(b *testing.B) {
	archive, err := txtar.ParseFile("testdata/good-full.txtar")
	if err != nil {
		b.Fatal(err)
	}
	unpack(b, archive)
	for b.Loop() {
		if _, err := Load(testDialects, "scriptbridge.yml", nil); err != nil {
			b.Fatal(err)
		}
	}
}

// A configuration that is read after another one is what it would be without that, whatever has
// changed: what a file says, what another one says that it names, or the world.
func TestLoadAfter(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "main.yml")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const first = "include: [parts/*.yml]\nscripts:\n- {name: a, command: /bin/a, interval: 1m}\n- &b {name: b, command: /bin/b}\n- {<<: *b, name: c, timeout: 2m, interval: 1m}\n"
	if err := os.Mkdir(filepath.Join(dir, "parts"), 0o700); err != nil {
		t.Fatal(err)
	}
	write("main.yml", first)
	before, err := Load(nil, file, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []func(){
		func() {},
		func() { write("parts/one.yml", "scripts: [{name: one, command: /bin/one}]\n") },
		func() {},
		func() { write("parts/one.yml", "scripts: [{name: one, command: /bin/two}]\n") },
		func() { write("parts/two.yml", "scripts: [{name: one, command: /bin/two}]\n") }, // the name is taken
		func() { write("parts/two.yml", "scripts: [{name: “two”, command: /bin/two}]\n") },
		func() {},
		func() { write("parts/two.yml", "scripts: [") },
		func() { write("parts/two.yml", "scripts: []\n") },
		func() { write("main.yml", strings.Replace(first, "/bin/a", "/bin/z", 1)) },
		func() { write("main.yml", "\n"+first) },
		func() { write("main.yml", first) },
		func() { os.Remove(file) },
		func() { write("main.yml", first) },
	} {
		change()
		want, wantErr := Load(nil, file, nil)
		got, gotErr := LoadAfter(before, nil, file, nil)
		if fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
			t.Errorf("got the error\n%v\nwant\n%v", gotErr, wantErr)
		}
		if fmt.Sprint(got.Warnings) != fmt.Sprint(want.Warnings) {
			t.Errorf("got the warnings\n%v\nwant\n%v", got.Warnings, want.Warnings)
		}
		if Fingerprint(nil, got) != Fingerprint(nil, want) {
			t.Errorf("got\n%v\nwant\n%v", got.Scripts, want.Scripts)
		}
		if gotErr == nil {
			before = got
		}
	}
}

// What has not changed is not parsed once more: a look for changes is made every half minute.
func TestLoadAfterParsesOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "main.yml")
	var text strings.Builder
	text.WriteString("scripts:\n")
	for i := range 500 {
		fmt.Fprintf(&text, "- {name: s%d, command: /bin/s %d, interval: 1m}\n", i, i)
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	before, err := Load(nil, file, nil)
	if err != nil {
		t.Fatal(err)
	}
	load := func(before *Config) float64 {
		return testing.AllocsPerRun(3, func() {
			if _, err := LoadAfter(before, nil, file, nil); err != nil {
				t.Fatal(err)
			}
		})
	}
	if all, again := load(nil), load(before); again > all/2 {
		t.Errorf("%.0f allocations the first time, and %.0f the second", all, again)
	}
}
