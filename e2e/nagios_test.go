package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// plugins is where Debian's monitoring-plugins-basic puts them.
const plugins = "/usr/lib/nagios/plugins"

func needPlugins(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(plugins, "check_disk")); err != nil {
		if os.Getenv("SCRIPTBRIDGE_E2E") == "required" {
			t.Fatalf("there are no Nagios plugins (%v), and SCRIPTBRIDGE_E2E=required", err)
		}
		t.Skipf("there are no Nagios plugins: %v (Debian: apt-get install monitoring-plugins-basic)", err)
	}
}

// realPlugins are run as they are. A line of want is a regular expression that
// matches a whole line of the page; NAME stands for the script, N for a number.
var realPlugins = []struct {
	name, command string
	want          []string
}{
	{"ok", "check_dummy 0 'all is well'", []string{
		`nagios_state{script="NAME"} 0`,
		`nagios_status_info{script="NAME",state="OK",text="OK: all is well"} 1`,
	}},
	{"warning", "check_dummy 1", []string{
		`nagios_state{script="NAME"} 1`,
		`nagios_status_info{script="NAME",state="WARNING",text="WARNING"} 1`,
		`scriptbridge_script_success{script="NAME"} 1`,
		`scriptbridge_script_exit_code{script="NAME"} 1`,
	}},
	{"critical", "check_dummy 2", []string{
		`nagios_state{script="NAME"} 2`,
		`scriptbridge_script_runs_total{script="NAME",result="error"} 0`,
	}},
	{"unknown", "check_dummy 3", []string{
		`nagios_state{script="NAME"} 3`,
		`scriptbridge_script_success{script="NAME"} 1`,
	}},
	{"disk", "check_disk -w 1% -c 0% -p /", []string{
		`nagios_state{script="NAME"} [01]`,
		`nagios_perfdata_bytes{script="NAME",label="/"} N`,
		`nagios_perfdata_warning_bytes{script="NAME",label="/"} N`,
		`nagios_perfdata_critical_bytes{script="NAME",label="/"} N`,
		`nagios_perfdata_minimum_bytes{script="NAME",label="/"} 0`,
		`nagios_perfdata_maximum_bytes{script="NAME",label="/"} N`,
	}},
	{"load", "check_load -w 1000,1000,1000 -c 2000,2000,2000", []string{
		`nagios_state{script="NAME"} 0`,
		`nagios_perfdata_value{script="NAME",label="load1"} N`,
		`nagios_perfdata_warning_value{script="NAME",label="load15"} 1000`,
		`nagios_perfdata_critical_value{script="NAME",label="load5"} 2000`,
	}},
	{"procs", "check_procs -w 1: -c 1:100000", []string{
		`nagios_state{script="NAME"} 0`,
		`nagios_perfdata_value{script="NAME",label="procs"} N`,
		`nagios_perfdata_warning_low_value{script="NAME",label="procs"} 1`,
		`nagios_perfdata_critical_low_value{script="NAME",label="procs"} 1`,
		`nagios_perfdata_critical_value{script="NAME",label="procs"} 100000`,
	}},
	{"users", "check_users -w 1000 -c 2000", []string{
		`nagios_state{script="NAME"} 0`,
		`nagios_perfdata_value{script="NAME",label="users"} N`,
	}},
	{"swap", "check_swap -w 2% -c 1%", []string{
		`nagios_state{script="NAME"} N`,
		`nagios_perfdata_bytes{script="NAME",label="swap"} N`,
	}},
	{"port", "check_tcp -H 127.0.0.1 -p PORT -w 5 -c 10", []string{
		`nagios_state{script="NAME"} 0`,
		`nagios_perfdata_seconds{script="NAME",label="time"} N`,
		`nagios_perfdata_warning_seconds{script="NAME",label="time"} 5`,
		`nagios_perfdata_maximum_seconds{script="NAME",label="time"} 10`,
	}},
	{"shut", "check_tcp -H 127.0.0.1 -p 1", []string{
		`nagios_state{script="NAME"} 2`,
		`nagios_status_info{script="NAME",state="CRITICAL",text="connect to address 127.0.0.1 and port 1: Connection refused"} 1`,
	}},
	{"age", "check_file_age -w 0 -c 9999999999 -f /etc/passwd", []string{
		`nagios_perfdata_seconds{script="NAME",label="age"} N`,
		`nagios_perfdata_bytes{script="NAME",label="size"} N`,
		`nagios_perfdata_critical_seconds{script="NAME",label="age"} 9999999999`,
	}},
	{"usage", "check_disk --no-such-option", []string{
		`nagios_state{script="NAME"} 3`,
		`scriptbridge_script_success{script="NAME"} 1`,
	}},
	{"missing", "check_nothing", []string{
		`scriptbridge_script_success{script="NAME"} 0`,
		`scriptbridge_script_exit_code{script="NAME"} -1`,
	}},
}

// TestNagiosPlugins runs the plugins of Debian through the bridge.
func TestNagiosPlugins(t *testing.T) {
	needPlugins(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())

	var config strings.Builder
	config.WriteString("scripts:\n")
	for _, p := range realPlugins {
		fmt.Fprintf(&config, "  - {name: %s, dialect: nagios, interval: 5s, command: %q}\n", p.name,
			plugins+"/"+strings.ReplaceAll(p.command, "PORT", port))
	}
	dir := t.TempDir()
	b := startBridge(t, dir, write(t, dir, "scriptbridge.yml", config.String()))
	number := `[-+]?[0-9.]+(e[-+]?[0-9]+)?`
	for _, p := range realPlugins {
		t.Run(p.name, func(t *testing.T) {
			for _, want := range p.want {
				form := strings.ReplaceAll(want, "NAME", p.name)
				form = strings.ReplaceAll(form, "{", `\{`)
				form = strings.ReplaceAll(form, "}", `\}`)
				if before, ok := strings.CutSuffix(form, " N"); ok {
					form = before + " " + number
				}
				re := regexp.MustCompile("(?m)^" + form + "$")
				eventually(t, want, func() error {
					if page := b.page(t); !re.MatchString(page) {
						return fmt.Errorf("the page says of it:\n%s", about(page, p.name))
					}
					return nil
				})
			}
		})
	}
	if page := b.page(t); strings.Contains(page, "scriptbridge_script_refused_total{") {
		t.Errorf("something that a real plugin prints is refused:\n%s", page)
	}
}

// about is what a page says of a script.
func about(page, script string) string {
	var lines strings.Builder
	for line := range strings.Lines(page) {
		if strings.Contains(line, `{script="`+script+`"`) {
			lines.WriteString(line)
		}
	}
	return lines.String()
}
