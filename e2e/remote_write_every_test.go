package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"scriptbridge/receive/receivertest"
)

// everything is a bridge with a script of each dialect and each receiver. Nothing runs
// by itself but once, so that what it shows stands still.
type everything struct {
	*bridge
	dir     string
	scripts []string // that run when they are asked to
}

const everyConfig = `
global: {interval: 1h, labels: {team: "shop \"1\""}}
scripts:
  - {name: coscale, command: ./coscale.sh}
  - {name: instrumental, command: ./instrumental.sh, dialect: instrumental, options: {permissions: off}}
  - {name: nagios, command: ./nagios.sh, dialect: nagios}
  - {name: openmetrics, command: ./openmetrics.sh, dialect: prometheus}
  - {name: timed, command: ./timed.sh, dialect: prometheus, prefix: timed, honor_timestamps: true, max_age: 1h}
  - {name: broken, command: ./broken.sh, dialect: prometheus}
  - {name: folder, dialect: textfile, directory: folder}
  - {name: scalyr, dialect: scalyr, options: {module: still}}
receive:
  statsd: {unixgram: statsd.sock, ttl: 1h, mapping_config: mapping.yml}
  collectd: {udp: %q, ttl: 1h, types_db: types.db}
  coscale: {app_id: shop, access_tokens_file: token, ttl: 1h}
upload:
  remote_write:
%s`

var everyFile = map[string]string{
	"coscale.sh": `#!/bin/sh
if [ "$1" = -c ]; then cat <<'END'
{"metrics": [
 {"id": 1, "name": "Pool size", "description": "How large \\ \"it\" is", "unit": "bytes", "datatype": "GAUGE", "dimensions": [{"id": 1, "name": "pool"}]},
 {"id": 2, "name": "Lines seen", "unit": "", "datatype": "COUNT", "calctype": "Instant"},
 {"id": 3, "name": "Uptime", "unit": "s", "datatype": "COUNTER", "calctype": "Instant"},
 {"id": 4, "name": "Load", "datatype": "DOUBLE", "calctype": "Average"},
 {"id": 5, "name": "Moved", "unit": "B", "datatype": "COUNTER", "calctype": "Difference"}],
 "events": [{"id": 1, "name": "Deploy", "description": "A release went out", "attributeDescriptions": [{"name": "Exit code", "type": "integer", "unit": ""}]}]}
END
else
echo 'M1 "1:in \ out" 4096'
echo 'M1 "1:b" 1e3'
echo 'M2 3'
echo 'M3 12345678901'
echo 'M4 0.1'
echo 'M5 77'
echo 'M9 1'
echo 'E1 1700000000 1700000060 "release \ 42" "{"Exit code":137}" S'
fi
`,
	"instrumental.sh": "#!/bin/sh\necho load.one 0.25\necho bad\n",
	"nagios.sh":       "#!/bin/sh\necho \"DISK WARNING - free space|/=2643MB;5948;5958;0;5968 time=0.5s;1;2 'a b'=5% n=3c\"\nexit 1\n",
	"openmetrics.sh": `#!/bin/sh
cat <<'END'
# TYPE jobs counter
# HELP jobs Jobs \\ that were done\nwell.
jobs_total{queue="a\\b\"c\"\nd"} 17
jobs_total{queue="é"} 1e15
# TYPE temperature_celsius gauge
# UNIT temperature_celsius celsius
temperature_celsius NaN
# TYPE hot_celsius gauge
# UNIT hot_celsius celsius
hot_celsius +Inf
# TYPE took_seconds histogram
# UNIT took_seconds seconds
took_seconds_bucket{le="0.1"} 1
took_seconds_bucket{le="1.0"} 2
took_seconds_bucket{le="10.0"} 3
took_seconds_bucket{le="+Inf"} 4
took_seconds_sum 3.5
took_seconds_count 4
# TYPE size_bytes summary
# UNIT size_bytes bytes
size_bytes{quantile="0.5"} 7
size_bytes{quantile="0.99"} NaN
size_bytes_sum 1234.5
size_bytes_count 8
# TYPE app info
app_info{version="1.2"} 1
# TYPE mode stateset
mode{mode="on"} 1
mode{mode="off"} 0
# TYPE odd unknown
odd{a="1",b="2"} -1.5
# TYPE minus gauge
minus -0
# EOF
END
`,
	"timed.sh":           "#!/bin/sh\nnow=$(date +%s)\necho \"# TYPE at gauge\"\necho \"at{a=\\\"own\\\"} 5 $((now - 5))123\"\necho 'at{a=\"none\"} 6'\n",
	"broken.sh":          "#!/bin/sh\necho 'good 1'\necho 'b&d 2'\nexit 3\n",
	"folder/backup.prom": "# TYPE backup_size_bytes gauge\n# HELP backup_size_bytes Size of the last backup.\nbackup_size_bytes{kind=\"db\"} 734003200\nbackup_untyped 1\n",
	"still.py":           "from scalyr_agent import ScalyrMonitor\n\n\nclass Still(ScalyrMonitor):\n    def gather_sample(self):\n        self._logger.emit_value('still', 8.5, {'part': 'x'})\n",
	"types.db":           receivertest.CollectdTypes,
	"mapping.yml":        "mappings:\n- match: \"took.*\"\n  observer_type: histogram\n  name: took\n  labels: {what: \"$1\"}\n  histogram_options: {buckets: [0.01, 1, 2.5]}\n",
}

// startEverything starts one that writes to some destinations, and gives all its sources
// something to say.
func startEverything(t *testing.T, destinations string) *everything {
	t.Helper()
	need(t, "python3")
	e := &everything{dir: t.TempDir(), scripts: []string{"coscale", "instrumental", "nagios", "openmetrics", "timed", "broken"}}
	secretFile(t, e.dir)
	if err := os.Mkdir(filepath.Join(e.dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range everyFile {
		write(t, e.dir, name, text)
	}
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	collectd := socket.LocalAddr().String()
	socket.Close()
	e.bridge = startBridge(t, e.dir, write(t, e.dir, "scriptbridge.yml", fmt.Sprintf(everyConfig, collectd, destinations)),
		"--storage.path="+filepath.Join(e.dir, "state"), "--web.enable-lifecycle")
	e.shows(t, `scriptbridge_receiver_up\{receiver="statsd"\} 1`, `scriptbridge_receiver_up\{receiver="collectd"\} 1`, `scriptbridge_receiver_up\{receiver="coscale"\} 1`)
	e.send(t, "unixgram", filepath.Join(e.dir, "statsd.sock"), "web.hits:7|c|#page:index\nqueue:3|g\nqueue:+14|g\nweb.load:10:20:30:40:1001|ms\nsize:5|h|@0.1\ntook.here:500|ms\nusers:joe|s")
	e.send(t, "udp", collectd, string(receivertest.CollectdPacket(t, fmt.Sprintf("host web-1\ntime %d\ninterval 3600\nplugin load\ntype load\nvalues gauge:1.5 gauge:0.25 gauge:3", time.Now().Unix()))))
	for _, args := range [][]string{
		{"push", "--unit=C", `--data=Disk temperature:web-01:0:41:{"Disk":"sda"};Users:A:0:7`},
		{"wrap", "--category=Backups", "--message=night", "--server=web-01", "--", "true"},
	} {
		cmd := exec.Command(program, args...)
		cmd.Dir = e.dir
		cmd.Env = append(os.Environ(), "SCRIPTBRIDGE_API_URL=http://"+e.address, "SCRIPTBRIDGE_API_APP_ID=shop", "SCRIPTBRIDGE_API_TOKEN_FILE=token")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	for range 2 {
		for _, name := range e.scripts {
			e.run(t, name)
		}
	}
	return e
}

// shows waits until the page has lines that match.
func (e *everything) shows(t *testing.T, lines ...string) {
	t.Helper()
	for _, line := range lines {
		eventually(t, line, func() error {
			if page := e.page(t); !regexp.MustCompile(`(?m)^` + line).MatchString(page) {
				return fmt.Errorf("the page:\n%s", page)
			}
			return nil
		})
	}
}

func (e *everything) send(t *testing.T, network, address, packet string) {
	t.Helper()
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(packet)); err != nil {
		t.Fatal(err)
	}
}

// run has a script run now, and waits for what comes of it.
func (e *everything) run(t *testing.T, name string) {
	t.Helper()
	runs := func() float64 {
		return sumOf(t, e.bridge, fmt.Sprintf("scriptbridge_script_runs_total{script=%q,", name))
	}
	eventually(t, "the first run of "+name, func() error {
		if page := e.page(t); name != "instrumental" && runs() == 0 { // which runs at the full hour
			return fmt.Errorf("the page:\n%s", page)
		}
		return nil
	})
	before := runs()
	eventually(t, name+" to run", func() error {
		request, err := http.NewRequest(http.MethodPost, "http://"+e.address+"/scripts/"+name+"/run", nil)
		if err != nil {
			return err
		}
		answer, err := (&http.Transport{}).RoundTrip(request) // without redirects
		if err != nil {
			return err
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusSeeOther {
			return errors.New(answer.Status)
		}
		return nil
	})
	eventually(t, name+" to have run", func() error {
		if now := runs(); now <= before {
			return fmt.Errorf("%v runs", now)
		}
		return nil
	})
}

// everySeries are some that must be among those compared, so that none of the sources is
// forgotten.
var everySeries = []string{
	`coscale_pool_size_bytes{pool="in \\ out",script="coscale",team="shop \"1\""} 4096`,
	`coscale_lines_seen_total{script="coscale",team="shop \"1\""} 9`,
	`coscale_events_total{event="Deploy",script="coscale",team="shop \"1\""} 1`,
	`coscale_event_start_timestamp_seconds{`,
	`instrumental_instrumental_load_one{script="instrumental",team="shop \"1\""} 0.25`,
	`nagios_state{script="nagios",team="shop \"1\""} 1`,
	`nagios_perfdata_bytes{label="/",script="nagios",`,
	`jobs_total{queue="a\\b\"c\"\nd",script="openmetrics",team="shop \"1\""} 17`,
	`took_seconds_bucket{le="+Inf",script="openmetrics",team="shop \"1\""} 4`,
	`temperature_celsius{script="openmetrics",team="shop \"1\""} NaN`,
	`size_bytes{quantile="0.5",script="openmetrics",`,
	`app_info{script="openmetrics",team="shop \"1\"",version="1.2"} 1`,
	`timed_at{a="own",script="timed",team="shop \"1\""} 5`,
	`scriptbridge_script_success{script="broken"} 0`,
	`backup_size_bytes{kind="db",script="folder",team="shop \"1\""} 734003200`,
	`scalyr_still{`,
	`web_hits{page="index",`,
	`queue{`, `web_load{quantile="0.5",`, `took_bucket{le="0.01",`, `users{`,
	`collectd_load_shortterm{instance="web-1",`,
	`coscale_disk_temperature_celsius{disk="sda",`,
	`coscale_event_info{`,
	`scriptbridge_metric_info{`,
	`scriptbridge_build_info{`, `go_goroutines{`, `process_start_time_seconds{`,
}

func (e *everything) reload(t *testing.T) {
	t.Helper()
	answer, err := http.Post("http://"+e.address+"/-/reload", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(answer.Body)
		t.Fatalf("the reload: %s %s", answer.Status, text)
	}
}
