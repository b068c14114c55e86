package e2e

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// emulated gives the platforms that `make emulated` has built for and that this machine
// runs only by qemu, such as linux-armv7, each with the command that runs the bridge there.
func emulated(t *testing.T) map[string][]string {
	t.Helper()
	names := strings.Fields(os.Getenv("SCRIPTBRIDGE_EMULATED"))
	if len(names) == 0 {
		t.Skip("`make emulated` builds for the platforms that are emulated")
	}
	commands := make(map[string][]string)
	for _, name := range names {
		processor := strings.TrimPrefix(name, "linux-")
		if strings.HasPrefix(processor, "armv") {
			processor = "arm"
		} else if processor == "arm64" {
			processor = "aarch64"
		}
		binary, err := filepath.Abs("../.build/" + name + "/scriptbridge")
		if err != nil {
			t.Fatal(err)
		}
		commands[name] = []string{need(t, "qemu-"+processor+"-static"), binary}
	}
	return commands
}

// startOn is startBridge by another command.
func startOn(t *testing.T, command []string, config string, flags ...string) *bridge {
	t.Helper()
	cmd := exec.Command(command[0], append(command[1:], append([]string{"--config.file=" + config, "--web.listen-address=127.0.0.1:0"}, flags...)...)...)
	b := &bridge{process: startCommand(t, t.TempDir(), cmd)}
	b.awaitListening(t)
	return b
}

var (
	// What is there or not by what the machine just does: states that processes are in, an
	// alarm by chance, and memory, which is told where it is more than the bridge's own.
	byChance = regexp.MustCompile(`^(processes_by_state|scriptbridge_script_max_rss_bytes|scriptbridge_runs_contained)|event="Demo alarm"|^coscale_process_uptime_seconds`)
	// Series whose values do not depend on time or chance.
	exact = regexp.MustCompile(`^(backup_|coscale_demo_(minimum|workers)|coscale_event_|coscale_disk_(size|inodes)(_bytes)?\{|nagios_perfdata_(critical|warning|minimum)|nagios_state|` +
		`processes_kernel_info|processes_age_seconds_bucket.*le="\+?Inf"|scriptbridge_(metric_info|script_(enabled|interval_seconds|timeout_seconds|success|exit_code|overruns_total|retries_total|series)|scripts\b|config_last_reload_successful))`)
	buildInfo = regexp.MustCompile(`^scriptbridge_build_info\{.*`)
)

// shape has what a page says whatever the time is: all families with types and helps, all
// series, and the values of those that are exact.
func shape(page string) map[string]string {
	found := make(map[string]string)
	for line := range strings.Lines(page) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") {
			found[line] = ""
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		series, value := buildInfo.ReplaceAllString(line[:at], "scriptbridge_build_info"), line[at+1:]
		switch {
		case byChance.MatchString(series) || strings.Contains(series, `processes_age_seconds_bucket`):
		case exact.MatchString(series):
			found[series] = value
		default:
			found[series] = ""
		}
	}
	return found
}

// differences tells how two pages' shapes differ.
func differences(native, other map[string]string) (lines []string) {
	for _, series := range slices.Sorted(maps.Keys(native)) {
		if value, ok := other[series]; !ok {
			lines = append(lines, series+" is missing")
		} else if value != native[series] {
			lines = append(lines, fmt.Sprintf("%s is %s, natively %s", series, value, native[series]))
		}
	}
	for _, series := range slices.Sorted(maps.Keys(other)) {
		if _, ok := native[series]; !ok {
			lines = append(lines, series+" is not there natively")
		}
	}
	return lines
}

// TestEmulatedPage: the page of the example configuration is the same on every platform.
func TestEmulatedPage(t *testing.T) {
	commands := emulated(t)
	const config = "../examples/scriptbridge.yml"
	path, err := filepath.Abs(config)
	if err != nil {
		t.Fatal(err)
	}
	native := startOn(t, []string{program}, path)
	others := make(map[string]*bridge)
	for name, command := range commands {
		others[name] = startOn(t, command, path)
	}
	for name, b := range others {
		eventually(t, "the page of "+name, func() error {
			want := shape(native.page(t))
			// The last one to come is a rate, of the second run.
			if _, ok := want[`instrumental_machine_forks_per_second{script="machine"}`]; !ok {
				return fmt.Errorf("the native page is not whole yet")
			}
			if lines := differences(want, shape(b.page(t))); len(lines) > 0 {
				return fmt.Errorf("%s", strings.Join(lines, "\n"))
			}
			return nil
		})
	}
}

// TestEmulatedStorage: what one machine has written to the storage folder, another one reads,
// also where the bytes of a number are in another order.
func TestEmulatedStorage(t *testing.T) {
	commands := emulated(t)
	commands["here"] = []string{program}
	queued := func(t *testing.T, b *bridge) (n int) {
		for line := range strings.Lines(b.page(t)) {
			if value, ok := strings.CutPrefix(line, `scriptbridge_upload_queue_length{upload="remote_write"} `); ok {
				n, _ = strconv.Atoi(strings.TrimSpace(value))
			}
		}
		return n
	}
	for _, name := range slices.Sorted(maps.Keys(commands)) {
		if name == "here" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel() // mostly it waits
			dir := t.TempDir()
			storage := filepath.Join(dir, "storage")
			const config = `scripts: [{name: a, command: sh a.sh, dialect: prometheus, interval: %s}]
upload: {remote_write: [{url: "http://127.0.0.1:1/", external_labels: {host: a}}]}
`
			write(t, dir, "a.sh", "echo a 1\n")
			often, seldom := write(t, dir, "often.yml", fmt.Sprintf(config, "1s")), write(t, dir, "seldom.yml", fmt.Sprintf(config, "1h"))
			had := 0
			// There and back.
			for _, on := range []string{name, "here", name} {
				b := startOn(t, commands[on], seldom, "--storage.path="+storage)
				eventually(t, "what waits, on "+on, func() error {
					if n := queued(t, b); n < had {
						return fmt.Errorf("%d entries wait, there were %d", n, had)
					}
					return nil
				})
				b.stop()
				b = startOn(t, commands[on], often, "--storage.path="+storage)
				eventually(t, "more to wait, on "+on, func() error {
					if n := queued(t, b); n < had+5 {
						return fmt.Errorf("%d entries wait, there were %d", n, had)
					}
					return nil
				})
				had = queued(t, b)
				b.stop()
				if strings.Contains(b.text(), "damaged") {
					t.Errorf("on %s: %s", on, b.text())
				}
			}
			if files, _ := filepath.Glob(storage + "/*/*.damaged*"); len(files) > 0 {
				t.Errorf("damaged: %q", files)
			}
		})
	}
}
