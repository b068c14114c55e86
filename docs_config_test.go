package main

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	dialects "scriptbridge/script/dialect/all"

	"github.com/goccy/go-yaml"
	toolkit "github.com/prometheus/exporter-toolkit/web"

	"scriptbridge/config"
)

// ofOthers are the keys of configurations that other programs read: e2e has
// promtool look at Prometheus's, and at what an OpenTelemetry collector has of them.
var ofOthers = []string{"scrape_configs", "metric_relabel_configs", "remote_write", "rule_files", "groups", "inhibit_rules", "apiVersion", "storage", "exporters"}

// TestDocsConfigurations checks every configuration that the docs show, with
// the files that it names in a folder of the test's own. Where one of these is
// an example, the example takes its place, is run, and must do well.
func TestDocsConfigurations(t *testing.T) {
	n := 0
	for _, b := range docBlocks(t) {
		if b.lang != "yaml" || strings.HasPrefix(b.text, "- hosts:") { // Ansible's
			continue
		}
		var keys map[string]any
		if err := yaml.Unmarshal([]byte(b.text), &keys); err != nil || len(keys) == 0 {
			t.Errorf("%s: %v\n%s", b.page, err, b.text)
			continue
		}
		n++
		has := func(key string) bool { _, ok := keys[key]; return ok }
		t.Run(fmt.Sprint(b.page, n), func(t *testing.T) {
			switch {
			case slices.ContainsFunc(ofOthers, has):
				return
			case has("basic_auth_users"):
				checkWebConfig(t, b.text)
				return
			case has("mappings"):
				checkMapping(t, b.text)
				return
			case has("metrics"): // of a script
				b.text = "scripts:\n  - command: /opt/coscale/disks.sh\n" + b.text
			case (has("upload") || has("global")) && !has("scripts"): // of what some script says
				b.text += "scripts:\n  - command: /opt/coscale/disks.sh\n"
			}
			checkDocsConfig(t, b.text)
		})
	}
	if n < 20 {
		t.Errorf("only %d configurations were found", n)
	}
}

// checkDocsConfig lets the program check a configuration, and runs the
// examples in it.
func checkDocsConfig(t *testing.T, text string) {
	file := filepath.Join(t.TempDir(), "scriptbridge.yml")
	write(t, file, provided(t, text), 0o600)
	if strings.Contains(text, "user: ") {
		openToUsers(t, filepath.Dir(filepath.Dir(file)))
	}
	var stdout, stderr bytes.Buffer
	if err := run(t.Context(), []string{"check", "--storage.path=" + filepath.Join(t.TempDir(), "store"), file}, &stdout, &stderr); err != nil || stderr.Len() > 0 {
		t.Fatalf("check: %v\n%s%s", err, &stderr, text)
	}
	cfg, err := config.Load(dialects.Dialects.Config(), file, nil)
	if err != nil {
		t.Fatal(err)
	}
	// As ourselves: other users do not reach the test's folder.
	write(t, file, regexp.MustCompile(`(?m)^ +user: .*\n`).ReplaceAllString(read(t, file), ""), 0o600)
	for _, s := range cfg.Scripts {
		words := s.Command
		if s.Dialect == "scalyr" { // a module has its script's name
			words = []string{s.Name + ".py"}
		}
		if !slices.ContainsFunc(words, func(w string) bool { return exampleOf(w) != "" }) {
			continue
		}
		for _, all := range []bool{false, true} { // parameters that have a default are left out, and given
			args := append([]string{"try", "--config.file=" + file, s.Name}, parameters(t, s, all)...)
			if s.Probe {
				probeDocs(t, file, s.Name, args)
			}
			eventually(t, func() error { // on a busy machine Python may take longer than -c may
				stdout.Reset()
				err := run(t.Context(), args, &stdout, &stderr)
				if page := stdout.String(); err != nil || !strings.Contains(page, `script="`+s.Name+`"`) || !strings.Contains(page, " 0 lines refused") {
					return fmt.Errorf("%q makes no good page: %v\n%s", args, err, page)
				}
				return nil
			})
		}
	}
}

// probeDocs has a bridge probe a script with the parameters among args.
func probeDocs(t *testing.T, file, name string, args []string) {
	query := url.Values{"script": {name}}
	for _, arg := range args {
		if parameter, ok := strings.CutPrefix(arg, "--parameter="); ok {
			key, value, _ := strings.Cut(parameter, "=")
			query.Set(key, value)
		}
	}
	address := startProgram(t, "--config.file="+file, "--web.listen-address=127.0.0.1:0")
	eventually(t, func() error {
		page := string(httpGet(t, address+"/probe?"+query.Encode()))
		for _, want := range []string{"script_success{script=\"" + name + "\"} 1\n", "script_refused{script=\"" + name + "\"} 0\n"} {
			if !strings.Contains(page, want) {
				return fmt.Errorf("/probe?%s: no %s in\n%s", query.Encode(), want, page)
			}
		}
		return nil
	})
}

// parameters gives what a probe of a script would say: the address of a
// listener, or a number, as the pattern wants.
func parameters(t *testing.T, s *config.Script, all bool) (flags []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	for _, name := range slices.Sorted(maps.Keys(s.Parameters)) {
		p := s.Parameters[name]
		if p.Default != nil && !all {
			continue
		}
		pattern := regexp.MustCompile("^(?:" + p.Pattern + ")$")
		values := []string{l.Addr().String(), "15"} // longer than a script takes by default
		i := slices.IndexFunc(values, pattern.MatchString)
		if i < 0 {
			t.Fatalf("the parameter %s takes none of %q", name, values)
		}
		flags = append(flags, "--parameter="+name+"="+values[i])
	}
	return flags
}

var exampleScript = regexp.MustCompile(`^[a-z_-]+\.(sh|py)$`)

// exampleOf is the example that has a file's name; empty when there is none.
func exampleOf(file string) string {
	name := filepath.Base(file)
	found, err := filepath.Glob(filepath.Join("examples", "*", name))
	if err != nil || len(found) == 0 || !exampleScript.MatchString(name) {
		return ""
	}
	return found[0]
}

// openToUsers lets other users reach folders and run scripts, as check asks for where a
// script has a user.
func openToUsers(t *testing.T, folder string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil || info.Mode()&0o100 == 0 || info.Mode().Type()&os.ModeSymlink != 0 {
			return err
		}
		return os.Chmod(path, info.Mode().Perm()|0o055)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// provided is a configuration whose absolute paths lead to files of the test's
// own, each of which holds what the key in front of it asks for.
func provided(t *testing.T, text string) string {
	t.Helper()
	root := t.TempDir()
	t.Setenv("HOME", root)
	t.Setenv("CREDENTIALS_DIRECTORY", root+"/credentials")
	for _, m := range regexp.MustCompile(`(\w+): "?\$\{CREDENTIALS_DIRECTORY\}(/[\w.-]+)`).FindAllStringSubmatch(text, -1) {
		provide(t, m[1], root, "/credentials"+m[2])
	}
	for _, m := range regexp.MustCompile(`\$\{(env|credential):([\w.-]+)\}`).FindAllStringSubmatch(text, -1) {
		const secret = "a-secret-of-the-operator"
		if m[1] == "env" {
			t.Setenv(m[2], secret)
			continue
		}
		if err := os.MkdirAll(root+"/credentials", 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, root+"/credentials/"+m[2], secret+"\n", 0o600)
	}
	// An account that the docs make.
	text = regexp.MustCompile(`user: monitoring-\w+`).ReplaceAllString(text, "user: nobody")
	path := regexp.MustCompile(`(^|[\s\['",:{])(/[\w.-]+(?:/[\w.-]+)*)`)
	key := regexp.MustCompile(`(\w+): *[^:]*$`)
	var changed strings.Builder
	last := 0
	for _, at := range path.FindAllStringSubmatchIndex(text, -1) {
		from, to := at[4], at[5]
		m := key.FindStringSubmatch(text[:from])
		if m == nil {
			t.Fatalf("no key stands in front of %s", text[from:to])
		}
		provide(t, m[1], root, text[from:to])
		changed.WriteString(text[last:from] + root)
		last = from
	}
	return changed.String() + text[last:]
}

// provide makes the file below root that a key names.
func provide(t *testing.T, key, root, path string) {
	t.Helper()
	file := root + path
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	switch key {
	case "command":
		text := "#!/bin/sh\n"
		if example := exampleOf(file); example != "" {
			text = read(t, example)
		}
		write(t, file, text, 0o700)
	case "trusted_paths":
		if err := os.MkdirAll(file, 0o700); err != nil {
			t.Fatal(err)
		}
	case "directory", "module_paths":
		if err := os.MkdirAll(file, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(file, "some.sh"), "#!/bin/sh\n", 0o700)
		write(t, filepath.Join(file, "some.prom"), "some 1\n", 0o600)
		write(t, filepath.Join(file, "random_coin_monitor.py"), read(t, "examples/scalyr/random_coin_monitor.py"), 0o600)
		write(t, filepath.Join(file, "url_monitor.py"), "from scalyr_agent import ScalyrMonitor\n\n\nclass UrlMonitor(ScalyrMonitor):\n"+
			"    def _initialize(self):\n        self._config.get('url', required_field=True, convert_to=str)\n", 0o600)
	case "agent_config":
		provide(t, "module_paths", root, "/monitors")
		write(t, file, `{api_key: "x", additional_monitor_module_paths: "`+root+`/monitors", monitors: [{module: "random_coin_monitor"}]}`, 0o600)
	case "mapping_config":
		write(t, file, read(t, "examples/statsd/mapping.yml"), 0o600)
	case "cert_file", "key_file":
		dir := filepath.Dir(file)
		if err := makeCertificate(filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key")); err != nil {
			t.Fatal(err)
		}
	case "env_file":
		write(t, file, "PASSWORD=secret\n", 0o600)
	case "auth_file":
		write(t, file, "collectd: secret\n", 0o600)
	case "access_token_file", "access_tokens_file", "password_file", "credentials_file", "bearer_token_file":
		write(t, file, "6d1f0ce2-0000-4000-8000-1b2c3d4e5f60\n", 0o600)
	case "unixgram": // its folder is there
	default:
		t.Fatalf("the test does not know what the %s %s is", key, path)
	}
}

// TestExampleConfigurations checks every configuration among the examples, as
// it is and with what stands in its comments.
func TestExampleConfigurations(t *testing.T) {
	files := exampleFiles(t)
	n := 0
	for _, file := range files {
		if filepath.Dir(file) != "." || filepath.Ext(file) != ".yml" || file == "prometheus.yml" { // Prometheus's own
			continue
		}
		n++
		dir := examplesCopy(t, files)
		text := provided(t, read(t, filepath.Join("examples", file)))
		for _, text := range []string{text, uncommented(text)} {
			write(t, filepath.Join(dir, file), text, 0o600)
			program(t, ".", "check", filepath.Join(dir, file))
		}
	}
	if n < 2 {
		t.Errorf("only %d were found", n)
	}
}

// uncommented puts settings in comments into force, each in the place of the one
// of its name that stands before it in the same map.
func uncommented(text string) string {
	setting := regexp.MustCompile(`^( +)#   ((\w+): .*)$`)
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		m := setting.FindStringSubmatch(line)
		if m == nil {
			lines = append(lines, line)
			continue
		}
		for i := len(lines) - 1; i >= 0 && strings.HasPrefix(lines[i], m[1]); i-- {
			if strings.HasPrefix(lines[i], m[1]+m[3]+":") {
				lines = slices.Delete(lines, i, i+1)
			}
		}
		lines = append(lines, m[1]+m[2])
	}
	return strings.Join(lines, "\n")
}

func checkMapping(t *testing.T, text string) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "statsd.yml"), text, 0o600)
	write(t, filepath.Join(dir, "scriptbridge.yml"), "receive: {statsd: {udp: '127.0.0.1:8125', mapping_config: statsd.yml}}\n", 0o600)
	program(t, dir, "check")
}

// checkWebConfig reads a file of --web.config.file.
func checkWebConfig(t *testing.T, text string) {
	dir := t.TempDir()
	file := filepath.Join(dir, "web.yml")
	if !strings.Contains(text, "$2y$10$…") {
		t.Fatalf("the test puts a hash in the place of $2y$10$…:\n%s", text)
	}
	write(t, file, strings.ReplaceAll(text, "$2y$10$…", "$2b$12$hNf2lSsxfm0.i4a.1kVpSOVyBCfIB51VRjgBUyv6kdnyTlgWj81Ay"), 0o600)
	if err := makeCertificate(filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key")); err != nil {
		t.Fatal(err)
	}
	if err := toolkit.Validate(file); err != nil {
		t.Error(err)
	}
}

// TestDocsSettings loads the settings of scripts that the docs show in a line
// of text, such as `interval: 5m`, with a dialect that takes them.
func TestDocsSettings(t *testing.T) {
	setting := regexp.MustCompile("`((?:command|options|env|metrics|labels|interval|timeout|prefix|user|probe|honor_timestamps|descendants): [^`]*)`")
	n := 0
	for _, page := range docPages(t) {
		for _, m := range setting.FindAllStringSubmatch(read(t, page), -1) {
			if strings.Contains(m[1], "…") || strings.Contains(m[1], "SCRIPT") || m[1] == "timeout: 5" {
				continue // a form, or of another program
			}
			n++
			var errs []error
			for _, dialect := range []string{"coscale", "instrumental", "nagios", "prometheus", "scalyr"} {
				named := "command: /bin/true"
				set := m[1]
				if dialect == "scalyr" {
					named, set = "name: m", strings.Replace(set, "options: {", "options: {module: m, ", 1)
				}
				if strings.HasPrefix(set, "command: ") {
					named = "name: c"
				}
				file := filepath.Join(t.TempDir(), "scriptbridge.yml")
				write(t, file, fmt.Sprintf("scripts:\n  - dialect: %s\n    %s\n    %s\n", dialect, named, set), 0o600)
				_, err := load(file, true, nil)
				errs = append(errs, err)
			}
			if !slices.Contains(errs, nil) {
				t.Errorf("%s: no dialect takes %s: %q", page, m[1], errs)
			}
		}
	}
	if n < 10 {
		t.Errorf("only %d settings were found", n)
	}
}

// TestDocsFlags holds every flag that the docs and the examples name against
// the program's own.
func TestDocsFlags(t *testing.T) {
	others := []string{
		"access-token", "api-url", "app-id", // coscale-cli
		"collector.textfile.directory", // node_exporter
		"script.timeout-offset",        // script_exporter
		"all", "no-update", "timeout",  // scripts
		"home-dir", "no-create-home", "now", "shell", "system", // useradd, systemctl
		"agent", "config", "web.enable-remote-write-receiver", // Prometheus, an OpenTelemetry collector
		"check", "ignore-missing", // sha256sum
		"cap-drop", "detach", "network", "pid", "publish", "read-only", "volume", // podman
		"compressed",    // curl
		"set", "values", // helm
		"completion-script-bash", "completion-script-zsh", // ours, which kingpin does not list
	}
	flag := regexp.MustCompile(`(?:^|[^\w-])--((?:\[no-\])?[a-z][a-z0-9.-]*[a-z0-9])`)
	var known []string
	help, err := exec.Command("scriptbridge", "--help-long").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range flag.FindAllStringSubmatch(string(help), -1) {
		known = append(known, strings.TrimPrefix(m[1], "[no-]"))
	}
	for _, f := range allFlags(windowsApplication(nil)) {
		known = append(known, f.Name)
	}
	pages := docPages(t)
	for _, file := range exampleFiles(t) {
		pages = append(pages, filepath.Join("examples", file))
	}
	for _, page := range pages {
		for _, m := range flag.FindAllStringSubmatch(read(t, page), -1) {
			if !slices.Contains(known, m[1]) && !slices.Contains(others, m[1]) {
				t.Errorf("%s: the program has no flag --%s", page, m[1])
			}
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, file, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}
