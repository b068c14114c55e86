package script

import (
	"slices"
	"strings"
	"testing"

	"scriptbridge/config"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/all"
	"scriptbridge/script/dialect/dialecttest"
	"scriptbridge/script/process"
)

// runs is what a script does that is run with no argument, and with -c.
// told is the name of a dialect, and why it is guessed.
type told struct{ name, why string }

type runs struct{ bare, config *process.Outcome }

func TestGuess(t *testing.T) {
	nothing := dialecttest.Exits(0, "", "")
	for _, tt := range []struct {
		name       string
		path, text string
		runs       runs
		want       told
		calls      string // with what it was run
	}{
		// Where the text or the place tells, nothing is run.
		{"folder", "/usr/lib/nagios/plugins/dig", "", runs{}, told{"nagios", "it lies in a folder nagios/plugins"}, ""},
		{"libexec", "/usr/local/nagios/libexec/x.pl", "", runs{}, told{"nagios", "it lies in a folder nagios/libexec"}, ""},
		{"instrumental folder", "/home/me/.instrumental_scripts/load.sh", "echo load 5", runs{}, told{"instrumental", "it lies in a folder .instrumental_scripts"}, ""},
		{"name", "/opt/check_raid", "", runs{}, told{"nagios", "its name begins with check_"}, ""},
		{"case", "/s/a.sh", "case $1 in\n-c) cat conf ;;\n-d) cat data ;;\nesac\n", runs{}, told{"coscale", "its text asks whether its argument is -c or -d"}, ""},
		{"if", "/s/a.sh", `if [ "$1" = -c ]; then echo '{"metrics": []}'; else echo M1 1; fi`, runs{}, told{"coscale", "its text asks whether its argument is -c, and declares metrics"}, ""},
		{"python", "/s/a.py", "if sys.argv[1] == '-c':\n  config()\nif sys.argv[1] == \"-d\":\n  data()\n", runs{}, told{"coscale", "its text asks whether its argument is -c or -d"}, ""},
		{"getopts", "/s/a.sh", "while getopts \"cd\" o; do", runs{}, told{"coscale", "its text asks whether its argument is -c or -d"}, ""},
		{"coscale called check", "/s/check_db.sh", "case $1 in -c|--config) ;; -d|--data) ;; esac", runs{}, told{"coscale", "its text asks whether its argument is -c or -d"}, ""},
		{"plugin with thresholds", "/s/check_db.sh", "case $1 in\n-w) W=$2;;\n-c) C=$2;;\n-d) D=$2;;\nesac", runs{}, told{"nagios", "its name begins with check_"}, ""},
		{"plugin library", "/s/raid", "use Monitoring::Plugin;", runs{}, told{"nagios", "its text uses a library of plugins"}, ""},
		{"plugin constants", "/s/raid", ". $DIR/utils.sh\nexit $STATE_OK", runs{}, told{"nagios", "its text uses a library of plugins"}, ""},
		{"exposition in text", "/s/smart.sh", "echo \"# TYPE smart_ok gauge\"\ndate -d now; sh -c x; '-c' '-d'", runs{}, told{"prometheus", "its text has a # TYPE line of Prometheus"}, ""},
		{"client library", "/s/apt.py", "from prometheus_client import Gauge\n", runs{}, told{"prometheus", "its text uses a library of Prometheus"}, ""},
		{"scalyr", "/s/m.py", "from scalyr_agent import ScalyrMonitor\n", runs{}, told{"scalyr", "its text speaks of ScalyrMonitor"}, ""},

		// Where it does not, the script as it is.
		{"comments", "/s/x", "", runs{bare: dialecttest.Exits(0, "# HELP a OK is 1\n# TYPE a gauge\na 1\n", "")}, told{"prometheus", "it prints Prometheus's text format"}, "[]"},
		{"labels", "/s/x", "", runs{bare: dialecttest.Exits(0, "a{b=\"c d\"} 1.5\n", "")}, told{"prometheus", "it prints Prometheus's text format"}, "[]"},
		{"labels and time", "/s/x", "", runs{bare: dialecttest.Exits(0, "a{b=\"}\"} 1e9 1700000000000\n", "")}, told{"prometheus", "it prints Prometheus's text format"}, "[]"},
		{"units", "/s/x", "", runs{bare: dialecttest.Exits(0, "up 1\nsize_bytes 12\n", "")}, told{"prometheus", "it prints lines of a name and a value, and size_bytes is a name of Prometheus's kind"}, "[]"},
		{"plain", "/s/x", "", runs{bare: dialecttest.Exits(0, "memory 1024.0\ncpu -.5e-3\n", "")}, told{"instrumental", "it prints lines of a name and a value"}, "[]"},
		{"dots", "/s/x", "", runs{bare: dialecttest.Exits(0, "size_bytes 4\nload.one 0.5\r\n", "")}, told{"instrumental", `it prints lines of a name and a value, and "load.one" is no name for Prometheus`}, "[]"},
		{"seconds", "/s/x", "", runs{bare: dialecttest.Exits(0, "load\t0.5\t1500000000\n", "")}, told{"instrumental", "it prints lines of a name, a value and a time in seconds"}, "[]"},
		{"local check", "/s/x", "", runs{bare: dialecttest.Exits(0, "0 \"My service\" count=5;10;20|other=3 OK - all fine\n", "")}, told{"check_mk", "it prints lines as a local check of check_mk"}, "[]"},
		{"local check without numbers", "/s/x", "", runs{bare: dialecttest.Exits(0, "P Disk - 5 GB free\n1 Disk_2 - full\n", "")}, told{"check_mk", "it prints lines as a local check of check_mk"}, "[]"},
		{"state", "/s/x", "", runs{bare: dialecttest.Exits(2, "RAID CRITICAL: md0 is degraded\n", "")}, told{"nagios", "it says CRITICAL and exits with 2"}, "[]"},
		{"performance data", "/s/x", "", runs{bare: dialecttest.Exits(0, "all is well | 'time taken'=0.5s;1;2\n", "")}, told{"nagios", "its first line has performance data behind a |"}, "[]"},

		// At last -c.
		{"silent", "/s/x", "nothing tells; sh -c true; date -d now; n=$(wc -c) '-c'", runs{nothing, dialecttest.Exits(0, "banner\n{\"metrics\": [{\"id\": 1}]}\n", "")}, told{"coscale", "-c printed JSON with metrics"}, "[] [-c]"},
		{"usage", "/s/x", "", runs{dialecttest.Exits(1, "usage: x -c|-d\n", ""), dialecttest.Exits(0, `{"events": []}`, "")}, told{"coscale", "-c printed JSON with events"}, "[] [-c]"},
		{"a number", "/s/x", "", runs{dialecttest.Exits(0, " 12.5\r\n", ""), nothing}, told{"a bare number", "prints a number and nothing else"}, "[] [-c]"},
		{"a number, but a configuration too", "/s/x", "", runs{dialecttest.Exits(0, "12\n", ""), dialecttest.Exits(0, `{"metrics": []}`, "")}, told{"coscale", "-c printed JSON with metrics"}, "[] [-c]"},
		{"another state", "/s/x", "", runs{dialecttest.Exits(1, "all OK\n", ""), nothing}, told{"coscale", "there is no clue (--dialect names another)"}, "[] [-c]"},
		{"code of no state", "/s/x", "", runs{dialecttest.Exits(255, "OK\n", ""), dialecttest.Exits(1, "{", "")}, told{"coscale", "there is no clue (--dialect names another)"}, "[] [-c]"},
		{"cannot be run", "", "", runs{dialecttest.Exits(-1, "", ""), dialecttest.Exits(-1, "", "")}, told{"coscale", "there is no clue (--dialect names another)"}, "[] [-c]"},
		{"other JSON", "/s/x", "", runs{nothing, dialecttest.Exits(0, `{"a": 1}`, "")}, told{"coscale", "there is no clue (--dialect names another)"}, "[] [-c]"},
		{"prose", "/s/x", "", runs{dialecttest.Exits(0, "it is\na fine day\nload 5\nand so on\nand on\n", ""), nothing}, told{"coscale", "there is no clue (--dialect names another)"}, "[] [-c]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var calls []string
			got := guess(all.Dialects, tt.path, []byte(tt.text), func(args ...string) *process.Outcome {
				calls = append(calls, "["+strings.Join(args, " ")+"]")
				if slices.Equal(args, []string{"-c"}) {
					return tt.runs.config
				}
				return tt.runs.bare
			})
			if got := (told{got.name, got.Why}); got != tt.want {
				t.Errorf("guessed %q, want %q", got, tt.want)
			}
			if got := strings.Join(calls, " "); got != tt.calls {
				t.Errorf("it was run with %s, want %s", got, tt.calls)
			}
		})
	}
}

// What is asked of every run is what the clue of a dialect says: that an output is of
// no other.
func TestCertain(t *testing.T) {
	outputs := []string{
		"", "12\n", "a 1\n", "a.b 1 1500000000\n", "a_total 1\n", "# TYPE a gauge\na 1\n", "x\n# EOF\n", "a{b=\"c\"} 1\n",
		"M1 1\n", "{\"metrics\": []}\n", "OK - fine | a=1\n", "OK - {\"a\": 1} # TYPE a gauge | a=1\n", "0 \"My service\" count=5 OK\n",
		"OK | a=1\nmore\n# HELP a\n", strings.Repeat("x", hintOutput) + "\na{b=\"c\"} 1\n",
	}
	for _, d := range all.Dialects {
		judge := newJudge(&Script{dialect: d, table: all.Dialects, Script: dialect.Script{Script: &config.Script{}}})
		for _, out := range outputs {
			o := dialecttest.Exits(0, out, "")
			if r, ok := d.(dialect.Recognizer); ok && r.Recognition().Output != nil {
				certain := r.Recognition().Output(o).Strength == dialect.Certain
				if is := r.Recognition().IsCertain; certain != (is != nil && is(o.Stdout)) {
					t.Errorf("%s is certain of %.60q: %t, but IsCertain says otherwise", d.Name(), out, certain)
				}
			}
			g := judge.script.guessPrinted(o)
			if got, want := judge.printsOther(o), g.Strength == dialect.Certain && g.name != d.Name(); got != want {
				t.Errorf("%s prints other than its own in %.60q: %t, want %t", d.Name(), out, got, want)
			}
		}
	}
}
