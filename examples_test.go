package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// promise is one series of an example, and between what its value lies.
type promise struct {
	series    string // a regular expression for all of NAME{LABELS}
	low, high float64
}

// anything bounds a value that may be whatever is above 0, or 0.
const anything = 1 << 60

// examplePromises has every script of examples, with the series that its text
// and the docs promise.
var examplePromises = map[string][]promise{
	"coscale/disks.py": {
		{`coscale_disk_size_bytes\{script="disks",fstype="[^"]+",mountpoint="/"\}`, 1, anything},
		{`coscale_disk_available_bytes\{script="disks",fstype="[^"]+",mountpoint="/"\}`, 0, anything},
	},
	"coscale/features.py": {
		{`coscale_demo_temperature_celsius\{script="features"\}`, 18, 24},
		{`coscale_demo_queue_length\{script="features"\}`, 0, 20},
		{`coscale_demo_free_memory_bytes\{script="features"\}`, 1 << 30, 3 << 30},
		{`coscale_demo_lines_total\{script="features"\}`, 0, 9},
		{`coscale_demo_requests_total\{script="features",method="GET",status="200"\}`, 1e9, anything},
		{`coscale_demo_requests_total\{script="features",method="POST",status="500"\}`, 1e6, anything},
		{`coscale_demo_workers\{script="features"\}`, 4, 4},
		{`coscale_demo_sent_bytes_total\{script="features",interface="eth0"\}`, 1e12, anything},
		{`coscale_demo_errors_total\{script="features"\}`, 1e6, anything},
		{`coscale_demo_backlog_bytes\{script="features"\}`, 0, 8192},
		{`coscale_demo_hit_ratio\{script="features"\}`, 0.85, 0.95},
		{`coscale_demo_busy_time_seconds_total\{script="features"\}`, 1e8, anything},
		{`coscale_demo_response_time_seconds\{script="features",url="http://localhost:8080/a,b"\}`, 0.1, 0.3},
		{`coscale_demo_minimum\{script="features"\}`, 0.001, 0.001},
		{`coscale_events_total\{script="features",event="Demo job"\}`, 1, 1},
		{`coscale_events_total\{script="features",event="Demo release"\}`, 1, 1},
		{`coscale_events_total\{script="features",event="Demo alarm"\}`, 0, 1},
	},
	"coscale/load.sh": {
		{`coscale_load_1m\{script="load"\}`, 0, 1e6},
		{`coscale_load_5m\{script="load"\}`, 0, 1e6},
		{`coscale_load_15m\{script="load"\}`, 0, 1e6},
		{`coscale_threads\{script="load"\}`, 2, 1e8},
		{`coscale_threads_running\{script="load"\}`, 1, 1e8},
	},
	"coscale/network.sh": {
		{`coscale_network_received_bytes_total\{script="network",interface="lo"\}`, 0, anything},
		{`coscale_network_sent_bytes_total\{script="network",interface="lo"\}`, 0, anything},
		{`coscale_network_receive_errors_total\{script="network",interface="lo"\}`, 0, anything},
		{`coscale_network_send_errors_total\{script="network",interface="lo"\}`, 0, anything},
	},
	"coscale/restart-watcher.sh": {
		{`coscale_uptime_seconds\{script="restart-watcher"\}`, 1, 1e10},
		{`coscale_process_uptime_seconds\{script="restart-watcher",process=".+"\}`, 0, 1e10},
		{`coscale_events_total\{script="restart-watcher",event="Machine restarted"\}`, 0, 0},
		{`coscale_events_total\{script="restart-watcher",event="Process restarted"\}`, 0, 0},
	},
	"instrumental/machine.sh": {
		{`instrumental_machine_memory_available\{script="machine"\}`, 1 << 20, anything},
		{`instrumental_machine_forks\{script="machine"\}`, 1, anything},
		{`instrumental_machine_forks_per_second\{script="machine"\}`, 0, 1e6},
	},
	"nagios/check_files.sh": {
		{`nagios_state\{script="check_files"\}`, 0, 2},
		{`nagios_status_info\{script="check_files",state="[A-Z]+",text="FILES [A-Z]+ - \d+ in /etc"\}`, 1, 1},
		{`nagios_perfdata_value\{script="check_files",label="files"\}`, 1, 1e6},
		{`nagios_perfdata_warning_value\{script="check_files",label="files"\}`, 500, 500},
		{`nagios_perfdata_critical_value\{script="check_files",label="files"\}`, 1000, 1000},
		{`nagios_perfdata_seconds\{script="check_files",label="oldest file"\}`, 0, 1e10},
	},
	"probe/tcp.py": {
		{`coscale_connected\{script="tcp"\}`, 0, 1}, // nobody need be there
	},
	"prometheus/processes.py": {
		{`processes_by_state\{script="processes",state="R"\}`, 1, 1e6},
		{`processes_threads\{script="processes"\}`, 2, 1e8},
		{`processes_age_seconds_bucket\{script="processes",le="\+Inf"\}`, 2, 1e8},
		{`processes_age_seconds_sum\{script="processes"\}`, 0, anything},
		{`processes_age_seconds_count\{script="processes"\}`, 2, 1e8},
		{`processes_kernel_info\{script="processes",machine="[^"]+",release="[^"]+"\}`, 1, 1},
	},
	"scalyr/machine_monitor.py": {
		{`scalyr_cpu_time_seconds_total\{script="machine_monitor",mode="user",monitor="machine_monitor"\}`, 0, anything},
		{`scalyr_cpu_time_seconds_total\{script="machine_monitor",mode="system",monitor="machine_monitor"\}`, 0, anything},
		{`scalyr_cpu_time_seconds_total\{script="machine_monitor",mode="idle",monitor="machine_monitor"\}`, 0, anything},
		{`scalyr_net_traffic_bytes_total\{script="machine_monitor",direction="in",interface="lo",monitor="machine_monitor"\}`, 0, anything},
		{`scalyr_net_traffic_bytes_total\{script="machine_monitor",direction="out",interface="lo",monitor="machine_monitor"\}`, 0, anything},
		{`scalyr_load\{script="machine_monitor",monitor="machine_monitor"\}`, 0, 1e6},
	},
	"scalyr/random_coin_monitor.py": {
		{`scalyr_uniform\{script="random_coin_monitor",monitor="random_coin_monitor"\}`, 0, 1},
		{`scalyr_uniform_count\{script="random_coin_monitor",monitor="random_coin_monitor"\}`, 1, 1e3},
		{`scalyr_gauss\{script="random_coin_monitor",monitor="random_coin_monitor"\}`, 8.5 - 5, 8.5 + 5},
		{`scalyr_gauss_count\{script="random_coin_monitor",monitor="random_coin_monitor"\}`, 1, 1e3},
	},
}

// otherExamples are no scripts: TestExampleConfigurations and the tests of
// those who read them have them.
var otherExamples = []string{"drop-ins/sudo.conf", "prometheus.yml", "receive.yml", "scriptbridge-root.service", "scriptbridge.service", "scriptbridge.yml", "statsd/mapping.yml", "textfile/backup.prom"}

// TestExamples runs each script of examples as its own text says to try it, for
// as many turns as it needs, until it has made every series that is promised
// of it, and every one that its text names.
func TestExamples(t *testing.T) {
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Skip("the examples read /proc, which this machine has not")
	}
	t.Setenv("WATCH", strings.TrimSpace(string(comm))) // for restart-watcher.sh: a process that runs
	files := exampleFiles(t)
	for _, file := range files {
		promised := examplePromises[file]
		if slices.Contains(otherExamples, file) {
			continue
		}
		t.Run(file, func(t *testing.T) {
			if len(promised) == 0 {
				t.Fatalf("examplePromises does not say what examples/%s promises", file)
			}
			dir := examplesCopy(t, files)
			text, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				t.Fatal(err)
			}
			command, err := tryCommand(string(text))
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, func() error { // on a busy machine Python may take longer than -c may
				made, err := seriesOf(t, filepath.Join(dir, filepath.Dir(file)), command, func(made map[string]float64) bool {
					return len(broken(promised, made)) == 0
				})
				if problems := slices.Concat(broken(promised, made), unmade(string(text), made)); err != nil || len(problems) > 0 {
					return fmt.Errorf("%s: %v\n%s", command, err, strings.Join(problems, "\n"))
				}
				return nil
			})
		})
	}
	for file := range examplePromises {
		if !slices.Contains(files, file) {
			t.Errorf("there is no examples/%s", file)
		}
	}
}

// eventually does something until it succeeds, for as long as patience lasts.
func eventually(t testing.TB, do func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := do()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// examplesCopy copies the examples to where one may keep a file beside itself.
func examplesCopy(t *testing.T, files []string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, file := range files {
		from := filepath.Join("examples", file)
		info, err := os.Stat(from)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(from)
		to := filepath.Join(dir, file)
		if err := errors.Join(err, os.MkdirAll(filepath.Dir(to), 0o700), os.WriteFile(to, text, info.Mode())); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// exampleFiles lists examples, without what examples leave behind.
func exampleFiles(t *testing.T) (files []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS("examples"), ".", func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && d.Name() == "__pycache__" {
			return fs.SkipDir
		}
		if err == nil && !d.IsDir() && filepath.Ext(path) != ".state" {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) < len(otherExamples) {
		t.Fatalf("%q are the examples: %v", files, err)
	}
	return files
}

// tryCommand finds the command by which a script says to try it.
func tryCommand(text string) (string, error) {
	all := regexp.MustCompile(`(?m)^[# ]*(?:Try it: +)?(scriptbridge try (?:.*\\\n)*.*)$`).FindAllStringSubmatch(text, -1)
	if len(all) != 1 {
		return "", fmt.Errorf("its text has %d commands to try it, not one", len(all))
	}
	return regexp.MustCompile(`\\+\n[# ]*`).ReplaceAllString(all[0][1], ""), nil
}

// seriesOf runs a command as a reader's shell would, and gives the series that
// it printed, each with its last value. It is ended when it has made enough.
func seriesOf(t *testing.T, dir, command string, enough func(map[string]float64) bool) (map[string]float64, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", "exec "+command)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	made := make(map[string]float64)
	sample := regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*\{.*\}) (\S+)$`)
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if m := sample.FindStringSubmatch(lines.Text()); m != nil {
			if made[m[1]], err = strconv.ParseFloat(m[2], 64); err != nil {
				made[m[1]] = math.NaN()
			}
		}
		if enough(made) {
			cancel()
		}
	}
	// By our signal, or just before it.
	if err = cmd.Wait(); cmd.ProcessState.ExitCode() == 128+int(syscall.SIGTERM) || errors.Is(err, context.Canceled) {
		err = nil
	}
	return made, err
}

// broken are the promises that were not kept.
func broken(promised []promise, made map[string]float64) (problems []string) {
	for _, p := range promised {
		found := false
		for series, value := range made {
			if !regexp.MustCompile("^" + p.series + "$").MatchString(series) {
				continue
			}
			found = true
			if !(value >= p.low && value <= p.high) {
				problems = append(problems, fmt.Sprintf("%s is %v, which is not within %v and %v", series, value, p.low, p.high))
			}
		}
		if !found {
			problems = append(problems, "it makes no "+p.series)
		}
	}
	return problems
}

// unmade are the series that a script's text names and that it did not make.
func unmade(text string, made map[string]float64) (problems []string) {
	labels := func(of string) (list []string) {
		for _, m := range regexp.MustCompile(`([a-zA-Z_]+)="`).FindAllStringSubmatch(of, -1) {
			list = append(list, m[1])
		}
		return list
	}
	named := regexp.MustCompile(`\b(?:coscale|instrumental|nagios|processes|scalyr)_[a-z0-9_]+(?:\{[^}\n]*\})?`)
	for _, want := range named.FindAllString(text, -1) {
		name, _, _ := strings.Cut(want, "{")
		if name == "scalyr_agent" {
			continue // a module
		}
		found := false
		for series := range made {
			family, _, _ := strings.Cut(series, "{")
			is := family == name || slices.Contains([]string{"_bucket", "_sum", "_count"}, strings.TrimPrefix(family, name))
			has := !slices.ContainsFunc(labels(want), func(l string) bool { return !slices.Contains(labels(series), l) })
			found = found || is && has
		}
		if !found {
			problems = append(problems, "it makes no "+want+", which its text names")
		}
	}
	return problems
}
