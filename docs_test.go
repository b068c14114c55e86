package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/cli"
)

// block is a fenced part of a page of the docs.
type block struct {
	page, lang, text string
}

func docPages(t *testing.T) []string {
	t.Helper()
	pages, err := filepath.Glob("docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no docs: %v", err)
	}
	return append(pages, "README.md", "CONTRIBUTING.md", "dashboards/README.md")
}

func docBlocks(t *testing.T) (blocks []block) {
	t.Helper()
	fence := regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")
	for _, page := range docPages(t) {
		for _, m := range fence.FindAllStringSubmatch(read(t, page), -1) {
			blocks = append(blocks, block{page, m[1], m[2]})
		}
	}
	return blocks
}

// commands gives what a block lets a reader run, each with the output that is
// shown behind it: what stands behind a prompt and, where there is none, a call
// of the program.
func (b block) commands() map[string]string {
	all := make(map[string]string)
	if b.lang == "console" {
		for _, part := range strings.Split("\n"+b.text, "\n$ ")[1:] {
			command, output, _ := strings.Cut(part, "\n")
			all[command] = output
		}
		return all
	}
	if b.lang == "ini" { // of a unit: TestUnitsSyntax has those
		return all
	}
	for _, m := range regexp.MustCompile(`\bscriptbridge (?:check|init|push|serve|service|status|try|wrap|--).*`).FindAllString(b.text, -1) {
		all[m] = ""
	}
	return all
}

// TestDocsCommands runs every command that the docs show, and holds what they
// show of its output against what it prints.
func TestDocsCommands(t *testing.T) {
	const first = "go run . --config.file=examples/scriptbridge.yml --web.listen-address=127.0.0.1:10469"
	examples := examplesCopy(t, exampleFiles(t)) // one keeps a file beside itself
	var page, load string
	t.Run("the examples", func(t *testing.T) {
		page, load = examplesPages(t, strings.Fields(strings.ReplaceAll(first, "=examples/", "="+examples+"/"))[3:])
	})
	check := map[string]func(t *testing.T, output string){
		first: func(t *testing.T, _ string) {
			for _, want := range []string{`<span class="text">M4 `, `<code>coscale_threads{script=&#34;load&#34;}</code>`} {
				if !strings.Contains(load, want) {
					t.Errorf("the page of the script load does not show its output: no %s in\n%s", want, load)
				}
			}
		},
		`scriptbridge service install --config.file="C:\ProgramData\scriptbridge\scriptbridge.yml" --storage.path="C:\ProgramData\scriptbridge\storage" --web.listen-address=127.0.0.1:10469`: func(t *testing.T, _ string) {
			// That it does so TestWindowsService shows.
			args := []string{"service", "install", `--config.file=C:\scriptbridge.yml`, `--storage.path=C:\storage`, "--web.listen-address=127.0.0.1:10469"}
			if got, err := serviceArgs(windowsApplication(args), args); err != nil || len(got) != 3 {
				t.Errorf("the service runs with %q, %v", got, err)
			}
		},
		"scriptbridge service remove": func(t *testing.T, _ string) {
			if ctx, err := windowsApplication(nil).ParseContext([]string{"service", "remove"}); err != nil || ctx.SelectedCommand.FullCommand() != commandRemove {
				t.Error(err)
			}
		},
		"make test":             func(t *testing.T, _ string) { hasTarget(t, "test") },
		"make bench-table":      func(t *testing.T, _ string) { hasTarget(t, "bench-table") },
		"scriptbridge check":    func(t *testing.T, _ string) { program(t, examples, "check") },
		"scriptbridge check %s": func(t *testing.T, _ string) { program(t, examples, "check", "scriptbridge.yml") },
		"scriptbridge check --strict scriptbridge.yml": func(t *testing.T, _ string) { program(t, examples, "check", "--strict", "scriptbridge.yml") },
		"scriptbridge --completion-script-bash >/etc/bash_completion.d/scriptbridge": func(t *testing.T, _ string) {
			if got, err := exec.Command("scriptbridge", "--completion-script-bash").Output(); err != nil || !strings.Contains(string(got), "complete -F _scriptbridge_bash_autocomplete") {
				t.Errorf("it printed:\n%s", got)
			}
		},
		"scriptbridge --completion-script-zsh >/usr/local/share/zsh/site-functions/_scriptbridge": func(t *testing.T, _ string) {
			if got, err := exec.Command("scriptbridge", "--completion-script-zsh").Output(); err != nil || !strings.HasPrefix(string(got), "#compdef scriptbridge\n") {
				t.Errorf("it printed:\n%s", got)
			}
		},
		"scriptbridge check /etc/scriptbridge/scriptbridge.yml": func(t *testing.T, _ string) {
			program(t, ".", "check", filepath.Join(examples, "scriptbridge.yml"))
		},
		"scriptbridge --config.file=/etc/scriptbridge/scriptbridge.yml try NAME": func(t *testing.T, _ string) {
			program(t, ".", "--config.file="+filepath.Join(examples, "scriptbridge.yml"), "try", "load")
		},
		`sed -i 's|file:///usr/share/doc/scriptbridge/|https://wiki.example.org/scriptbridge/|' rules.yml`: func(t *testing.T, _ string) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "rules.yml"), read(t, "dashboards/rules.yml"), 0o644)
			sed := exec.Command("sed", "-i", "s|file:///usr/share/doc/scriptbridge/|https://wiki.example.org/scriptbridge/|", "rules.yml")
			sed.Dir = dir
			if out, err := sed.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			text := read(t, filepath.Join(dir, "rules.yml"))
			if all, moved := strings.Count(text, "runbook_url: "), strings.Count(text, "runbook_url: https://wiki.example.org/scriptbridge/docs/alerts.md#"); all == 0 || moved != all {
				t.Errorf("%d of %d alerts lead to the new address", moved, all)
			}
		},
		"scriptbridge try": func(t *testing.T, _ string) { program(t, examples, "try") },
		"scriptbridge init": func(t *testing.T, _ string) {
			dir, blocks := t.TempDir(), docBlocks(t)
			for name, text := range map[string]string{
				"etc/nagios/nrpe.cfg":               strings.Repeat("#\n", 9) + "command[check_load]=/usr/lib/nagios/plugins/check_load\ncommand[check_users]=/usr/lib/nagios/plugins/check_load -w 1\ncommand[check_raid]=/usr/lib/nagios/plugins/check_raid\n",
				"usr/lib/nagios/plugins/check_load": "#!/bin/sh\n",
			} {
				file := filepath.Join(dir, "root", name)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				write(t, file, text, 0o755)
			}
			told := program(t, dir, "init", "--root=root")
			if !slices.ContainsFunc(blocks, func(b block) bool { return b.page == "docs/init.md" && strings.HasPrefix(told, b.text) }) {
				t.Errorf("docs/init.md shows another summary than:\n%s", told)
			}
		},
		"scriptbridge try -- examples/textfile": func(t *testing.T, _ string) {
			if got := program(t, ".", "try", "--", "examples/textfile"); !strings.Contains(got, `backup_size_bytes{script="textfile",job="mail"} 41943040`) {
				t.Errorf("it printed:\n%s", got)
			}
		},
		"scriptbridge try -- examples/coscale/load.sh": func(t *testing.T, _ string) {
			program(t, ".", "try", "--", "examples/coscale/load.sh")
		},
		"scriptbridge try -- examples/nagios/check_files.sh /etc 5000 9000": func(t *testing.T, _ string) {
			program(t, ".", "try", "--", "examples/nagios/check_files.sh", "/etc", "5000", "9000")
		},
		"scriptbridge try --dialect=prometheus -- examples/prometheus/processes.py": func(t *testing.T, _ string) {
			program(t, ".", "try", "--dialect=prometheus", "--", "examples/prometheus/processes.py")
		},
		"scriptbridge try --dialect=scalyr --option=module=random_coin_monitor --option=config='{gauss_mean: 8.5}' --interval=5s": func(t *testing.T, output string) {
			t.Chdir("examples/scalyr")
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			stdout := &until{text: " gauss ", end: cancel} // it runs until it is interrupted
			if err := run(ctx, []string{"try", "--dialect=scalyr", "--option=module=random_coin_monitor", "--option=config={gauss_mean: 8.5}", "--interval=5s"}, stdout, io.Discard); !errors.Is(err, cli.ErrAlreadyPrinted) {
				t.Error(err)
			}
			if !strings.Contains(stdout.String(), "[random_coin_monitor()] gauss ") || !strings.Contains(stdout.String(), "\nscalyr_gauss{") {
				t.Errorf("it printed:\n%s", stdout)
			}
		},
		"scriptbridge try --dialect=instrumental --option=permissions=off -- examples/instrumental/machine.sh": func(t *testing.T, _ string) {
			program(t, ".", "try", "--dialect=instrumental", "--option=permissions=off", "--", "examples/instrumental/machine.sh")
		},
		"scriptbridge try --dialect=instrumental --interval=5s -- /opt/instrumentald/.scripts/mysql.rb": func(t *testing.T, _ string) {
			// Of the agent's mode, and in the place of one that needs a MySQL.
			file := filepath.Join(t.TempDir(), "mysql.rb")
			write(t, file, read(t, "examples/instrumental/machine.sh"), 0o700)
			if err := os.Chmod(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			shows := func(made map[string]float64) bool {
				return made[`instrumental_mysql_forks_per_second{script="mysql"}`] > 0
			}
			if made, err := seriesOf(t, ".", "scriptbridge try --dialect=instrumental --interval=5s -- "+file, shows); err != nil || !shows(made) {
				t.Errorf("no rate: %v, %v", made, err)
			}
		},
		"scriptbridge try -- ./queue.sh": func(t *testing.T, output string) {
			dir := t.TempDir()
			for _, b := range docBlocks(t) {
				if b.page == "README.md" && b.lang == "sh" {
					if err := os.WriteFile(filepath.Join(dir, "queue.sh"), []byte(b.text), 0o700); err != nil {
						t.Fatal(err)
					}
				}
			}
			took := regexp.MustCompile(`\d\.\d{3}s`)
			got := took.ReplaceAllString(program(t, dir, "try", "--", "./queue.sh"), "?")
			if diff := cmp.Diff(took.ReplaceAllString(output, "?"), got); diff != "" {
				t.Errorf("the README shows another output: %s", diff)
			}
		},
		"scriptbridge try tcp --parameter=target=localhost:10469": func(t *testing.T, output string) {
			// Nothing need listen there: the port is this test's own.
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			number := regexp.MustCompile(`(?m)\d\.\d{3}s| 0\.\d+$| \d(\.\d+)?e-\d+$`)
			got := number.ReplaceAllString(program(t, examples, "try", "tcp", "--parameter=target="+l.Addr().String()), "?")
			if diff := cmp.Diff(number.ReplaceAllString(output, "?"), got); diff != "" {
				t.Errorf("the page shows another output: %s", diff)
			}
		},
		`scriptbridge push --data='Queue length:web-01:0:12:{"Queue":"in"};Queue length:web-01:0:3:{"Queue":"out"}'`: func(t *testing.T, _ string) {
			var asked bytes.Buffer
			apiFor(t, &asked)
			program(t, ".", "push", `--data=Queue length:web-01:0:12:{"Queue":"in"};Queue length:web-01:0:3:{"Queue":"out"}`)
			if want := `[{"m":2,"s":"s1","d":[[0,12]],"dv":{"Queue":"in"}},{"m":2,"s":"s1","d":[[0,3]],"dv":{"Queue":"out"}}]`; !strings.Contains(asked.String(), want) {
				t.Errorf("it sent:\n%s", &asked)
			}
		},
		"scriptbridge wrap --category=Backups --message=nightly -- sh -c 'echo saved; exit 3'": func(t *testing.T, output string) {
			var asked, stdout, stderr bytes.Buffer
			apiFor(t, &asked)
			err := run(t.Context(), []string{"wrap", "--category=Backups", "--message=nightly", "--", "sh", "-c", "echo saved; exit 3"}, &stdout, &stderr)
			if code := exitCode(err, &stderr); code != 3 || stdout.String() != output || stderr.Len() > 0 {
				t.Errorf("it ended with %d and printed:\n%s%s", code, &stdout, &stderr)
			}
			if !strings.Contains(asked.String(), "PUT events/2/data/9021/ message=nightly&") {
				t.Errorf("it sent:\n%s", &asked)
			}
		},
		"scriptbridge wrap --category=Backups --message=nightly -- /usr/local/bin/backup --all": func(t *testing.T, _ string) {
			var asked bytes.Buffer
			apiFor(t, &asked)
			program(t, ".", "wrap", "--category=Backups", "--message=nightly", "--", "true", "--all")
			if !strings.Contains(asked.String(), "PUT events/2/data/9021/ message=nightly&") {
				t.Errorf("it sent:\n%s", &asked)
			}
		},
		"scriptbridge wrap --config.file=/home/anna/scriptbridge.yml --upload=remote_write --storage.path=/home/anna/.cache/scriptbridge --category=Backups --message=nightly -- sh -c 'echo saved; exit 3'": func(t *testing.T, output string) {
			s, file := startDestination(t)
			code, stdout, stderr := call(t, "wrap", "--config.file="+file, "--upload=remote_write", "--storage.path="+filepath.Join(t.TempDir(), "cache"), "--category=Backups", "--message=nightly", "--", "sh", "-c", "echo saved; exit 3")
			if code != 3 || stdout != output || stderr != "" || !strings.Contains(s.has(), `coscale_command_exit_code{category="Backups", instance="laptop-17", message="nightly"`) {
				t.Errorf("it ended with %d and printed:\n%s%s", code, stdout, stderr)
			}
		},
		`scriptbridge push --config.file=/home/anna/scriptbridge.yml --upload=remote_write --data='Queue length:web-01:0:12:{"Queue":"in"};Free space:web-01:-60:3.5'`: func(t *testing.T, _ string) {
			s, file := startDestination(t)
			program(t, ".", "push", "--config.file="+file, "--upload=remote_write", `--data=Queue length:web-01:0:12:{"Queue":"in"};Free space:web-01:-60:3.5`)
			if got := s.has(); !strings.Contains(got, "coscale_free_space{") || !strings.Contains(got, "coscale_queue_length{") {
				t.Errorf("it wrote:\n%s", got)
			}
		},
		`curl -s localhost:10469/metrics | grep -E '^coscale_(disk_size|load_1m|network_received)'`: func(t *testing.T, output string) {
			for line := range strings.Lines(output) {
				name, _, _ := strings.Cut(line, "{")
				if !strings.Contains(page, "\n"+name+"{") {
					t.Errorf("the page has no %s", name)
				}
			}
		},
	}
	maps.Copy(check, apiCommands(examples))
	run := map[string]bool{}
	for _, b := range docBlocks(t) {
		for command, output := range b.commands() {
			f := check[command]
			if f == nil {
				t.Errorf("%s: no test runs `%s`", b.page, command)
				continue
			}
			run[command] = true
			t.Run(command, func(t *testing.T) { f(t, output) })
		}
	}
	if want := slices.Sorted(maps.Keys(check)); !slices.Equal(want, slices.Sorted(maps.Keys(run))) {
		t.Errorf("the docs show %q, the test knows %q", slices.Sorted(maps.Keys(run)), want)
	}
}

// hasTarget is for what takes too long to be run by a test.
func hasTarget(t *testing.T, name string) {
	if !strings.Contains(read(t, "Makefile"), "\n"+name+":") {
		t.Errorf("the Makefile has no target %s", name)
	}
}

// The README says which Go is needed, and that is the one of go.mod.
func TestReadmeGoVersion(t *testing.T) {
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`)
	module, err := os.ReadFile("go.mod")
	if err != nil || !version.Match(module) {
		t.Fatalf("go.mod names no version of Go: %v", err)
	}
	text, err := os.ReadFile("README.md")
	if want := "Go " + string(version.FindSubmatch(module)[1]) + " or newer"; err != nil || !strings.Contains(string(text), want) {
		t.Errorf("the README does not say %q: %v", want, err)
	}
}

// until is a buffer that calls end a moment after it was given a text: at the
// next write after the page has begun.
type until struct {
	bytes.Buffer
	text string
	end  func()
}

func (u *until) Write(p []byte) (int, error) {
	if strings.Contains(u.String(), u.text) && strings.Contains(u.String(), "\nscalyr_") {
		u.end()
	}
	return u.Buffer.Write(p)
}

// program runs the program in dir and gives what it prints.
func program(t *testing.T, dir string, args ...string) string {
	t.Helper()
	t.Chdir(dir)
	var stdout, stderr bytes.Buffer
	if err := run(t.Context(), args, &stdout, &stderr); err != nil {
		t.Errorf("%q: %v\n%s%s", args, err, &stdout, &stderr)
	}
	return stdout.String()
}

// examplesPages are the metrics page and that of the script load, of the first
// command of the README, once every example has run.
func examplesPages(t *testing.T, args []string) (metrics, load string) {
	t.Helper()
	for i, arg := range args {
		args[i] = strings.Replace(arg, ":10469", ":0", 1) // it may be taken
	}
	url := startProgram(t, args...)
	eventually(t, func() error {
		state := string(httpGet(t, url+"/-/ready"))
		if bad := regexp.MustCompile(`(?m)^scriptbridge_script_success.* 0$`).FindAllString(string(httpGet(t, url+"/metrics")), -1); len(bad) > 0 || !strings.Contains(state, "is ready") {
			return fmt.Errorf("the examples did not all run well: %q, %s", bad, state)
		}
		return nil
	})
	for _, file := range []string{"probe/tcp.py", "scriptbridge.yml"} {
		text := read(t, filepath.Join("examples", file))
		probe := regexp.MustCompile(`http://localhost:10469(/probe\S+\w)`).FindStringSubmatch(text)
		if probe == nil {
			t.Fatalf("examples/%s does not say how to probe", file)
		}
		eventually(t, func() error {
			page := string(httpGet(t, url+strings.ReplaceAll(probe[1], "localhost:10469", strings.TrimPrefix(url, "http://"))))
			for _, want := range []string{"tcp_connected{script=\"tcp\"} 1\n", "tcp_connect_time_seconds{script=\"tcp\"} "} {
				if !strings.Contains(page, want) {
					return fmt.Errorf("examples/%s: %s: no %s in\n%s", file, probe[1], want, page)
				}
			}
			return nil
		})
	}
	return string(httpGet(t, url+"/metrics")), string(httpGet(t, url+"/scripts/load"))
}

// startProgram starts the bridge, waits until it listens, and gives its
// address. It ends with the test, and must end well.
func startProgram(t *testing.T, args ...string) (url string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	logged, log := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, args, io.Discard, log)
		log.Close()
	}()
	address := make(chan string, 1)
	go func() {
		var text []byte
		part := make([]byte, 4096)
		for {
			n, err := logged.Read(part)
			if err != nil {
				return
			}
			text = append(text, part[:n]...)
			if m := listeningOn.FindSubmatch(text); m != nil && len(address) == 0 {
				address <- string(m[1])
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the bridge ended with %v", err)
		}
	})
	select {
	case at := <-address:
		_, port, err := net.SplitHostPort(at)
		if err != nil {
			t.Fatal(err)
		}
		return "http://localhost:" + port
	case err := <-done:
		done <- nil
		t.Fatalf("the bridge ended: %v", err)
	case <-time.After(patience):
		t.Fatal("the bridge does not listen")
	}
	return ""
}

func httpGet(t *testing.T, url string) []byte {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return body
}
