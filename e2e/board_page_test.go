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
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

// The scripts of the test, beside the examples: between them they make every
// series that a dashboard or a rule names.
var storyScripts = map[string]string{
	// All that the explorer can show: groups and units, a gauge and a sum, an
	// event that lasted and one of a moment, a line that is refused.
	"story": `#!/bin/sh
if [ "$1" = -c ]; then
cat <<'END'
{"period": 60, "metrics": [
 {"id": 1, "name": "Pool size", "unit": "bytes", "groups": "Storage", "tags": "disk", "datatype": "GAUGE", "calctype": "Instant",
  "dimensions": [{"id": 1, "name": "pool"}]},
 {"id": 2, "name": "Lines seen", "unit": "", "groups": "Storage", "datatype": "COUNT", "calctype": "Instant", "dimensions": []},
 {"id": 3, "name": "Never printed", "unit": "#", "groups": "Storage", "datatype": "GAUGE", "calctype": "Instant", "dimensions": []}],
 "events": [{"id": 1, "name": "Deploy", "description": "A release went out",
  "attributeDescriptions": [{"name": "Exit code", "type": "integer", "unit": ""}]}]}
END
else
[ -f begun ] || date +%s > begun
begun=$(cat begun)
echo 'M1 "1:main" 4096'
echo 'M1 "1:spare" 1000'
echo 'M2 3'
echo 'M9 1'
echo "E1 $((begun - 3600)) $((begun - 1800)) \"release 42\" \"{\"Exit code\":137}\" S"
echo "E1 $((begun - 600)) $((begun - 600)) \"release 43\" \"{\"Exit code\":1}\" S"
fi
`,
	// Its target is what a probe asks for.
	"probed": "#!/bin/sh\necho \"answers_total{target=\\\"$1\\\"} 1\"\n",
	// A plugin that has the exit code, and so the state, of its argument.
	"plugin": `#!/bin/sh
echo "STATE $1 - of a plugin | queue=12;10;20;0;100 time=0.5s;1;2"
exit "$1"
`,
	// Instrumental has no histograms.
	"requests": `#!/bin/sh
cat <<'END'
# TYPE request_seconds histogram
request_seconds_bucket{le="1"} 2
request_seconds_bucket{le="+Inf"} 3
request_seconds_sum 4.5
request_seconds_count 3
END
`,
	"failing": declareOne + "echo 'M1 1'\nexit 3\n",
	"overrun": declareOne + "sleep 1.5\necho 'M1 1'\n",
}

const declareOne = `#!/bin/sh
[ "$1" = -c ] && { echo '{"metrics":[{"id":1,"name":"Some value","datatype":"GAUGE"}]}'; exit; }
`

// wanted is on the page when all of it has been made.
var wanted = []string{
	`coscale_pool_size_bytes\{.*script="story".*\} 4096`,
	`coscale_lines_seen_total\{.*script="story".*\} `,
	`coscale_event_end_timestamp_seconds\{.*script="story".*\} `,
	`scriptbridge_script_success\{script="failing"\} 0`,
	`scriptbridge_script_refused_total\{script="story",reason="undeclared"\} `,
	`scriptbridge_script_overruns_total\{script="overrun"\} [1-9]`,
	`scriptbridge_script_duration_seconds\{script="overrun"\} `,
	`scriptbridge_script_retries_total\{script="again"\} [1-9]`,
	`nagios_state\{script="ok"\} 0`,
	`nagios_state\{script="warning"\} 1`,
	`nagios_state\{script="critical"\} 2`,
	`nagios_state\{script="unknown"\} 3`,
	`web_hits\{page="index"\} [1-9]`,
	`statsd_event_info\{receiver="statsd",`,
	`scriptbridge_receiver_refused_total\{receiver="statsd",reason="malformed"\} [1-9]`,
	`collectd_load\{instance="h"\} 1.5`,
	`collectd_event_info\{receiver="collectd",`,
	`coscale_users\{subject="application"\} 7`,
	`coscale_event_info\{receiver="coscale",`,
	`scriptbridge_textfile_last_write_timestamp_seconds [1-9]`,
	`scriptbridge_textfile_success\{script="batch",file=".*/backup.prom"\} 1`,
	`scriptbridge_textfile_success\{script="batch",file=".*/raid.prom"\} 0`,
	`scriptbridge_upload_up\{upload="coscale"\} 1`,
	`scriptbridge_upload_sent_total\{upload="coscale"\} [1-9]`,
	`scriptbridge_upload_up\{upload="instrumental"\} 0`,
	`scriptbridge_upload_skipped_total\{reason="[a-z_]+",upload="instrumental"\} [1-9]`,
}

// story is a bridge with everything in it, the one that it uploads to, and the file that it writes.
type story struct{ here, there, textfile string }

// startStory runs the examples' scripts and those above, has every receiver take
// something, until the page has what is wanted. more are further items of the
// configuration's scripts.
func startStory(t *testing.T, more string) story {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"token", "key"} {
		if err := os.Chmod(write(t, dir, name, "open-sesame-open-sesame\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const api = "coscale: {app_id: shop, access_tokens_file: token, ttl: 1h}"
	write(t, dir, "there.yml", "receive: {"+api+"}\n")
	there := startBridge(t, dir, "there.yml", "--storage.path="+filepath.Join(dir, "there")).address
	write(t, dir, "scriptbridge.yml", storyScriptsSection(t, dir)+more+fmt.Sprintf(`
receive:
  statsd: {unixgram: ./statsd, ttl: 1h}
  collectd: {http_path: /collectd-post, ttl: 1h}
  %s
upload:
  coscale: {url: "http://%s", app_id: shop, access_token_file: token, server: web-1, interval: 1s}
  instrumental: {api_key_file: key, collector: "127.0.0.1:1"} # where nobody is
  remote_write: [{url: "http://127.0.0.1:1/api/v1/write", external_labels: {instance: web-1}}]
textfile: {directory: textfile}
`, api, there))
	folder := filepath.Join(dir, "textfile")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	here := startBridge(t, dir, "scriptbridge.yml", "--storage.path="+filepath.Join(dir, "here")).address
	pushStory(t, dir, here)
	eventually(t, "a page with all that is wanted", func() error {
		text, err := get("http://" + here + "/metrics")
		if err != nil {
			return err
		}
		for _, w := range wanted {
			if !regexp.MustCompile("(?m)^" + w).MatchString(text) {
				return fmt.Errorf("it has no %s", w)
			}
		}
		return nil
	})
	return story{here, there, filepath.Join(folder, "scriptbridge.prom")}
}

// storyScriptsSection writes all scripts into a folder, and gives the section of
// the configuration that runs them.
func storyScriptsSection(t *testing.T, dir string) string {
	t.Helper()
	for name, text := range storyScripts {
		write(t, dir, name+".sh", text)
	}
	config := "scripts:\n"
	for _, name := range []string{"story", "failing", "overrun"} {
		config += fmt.Sprintf("  - {command: ./%s.sh, interval: 1s, timeout: 5s}\n", name)
	}
	config += "  - {name: again, command: ./failing.sh, interval: 20s, timeout: 5s, retries: 1}\n"
	for state, name := range []string{"ok", "warning", "critical", "unknown"} {
		config += fmt.Sprintf("  - {name: %s, command: ./plugin.sh %d, dialect: nagios, interval: 1s}\n", name, state)
	}
	config += "  - {command: ./requests.sh, dialect: prometheus, interval: 1s}\n"
	config += "  - {command: './probed.sh {target}', dialect: prometheus, probe: true, parameters: {target: {pattern: '[a-z]+'}}}\n"
	config += "  - {name: batch, dialect: textfile, directory: ./files, max_age: 1h, interval: 1s}\n"
	files := filepath.Join(dir, "files")
	if err := os.Mkdir(files, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, files, "backup.prom", "backup_size_bytes 5\n")
	long := time.Now().Add(-24 * time.Hour) // longer ago than max_age
	if err := os.Chtimes(write(t, files, "raid.prom", "raid_degraded 0\n"), long, long); err != nil {
		t.Fatal(err)
	}
	for _, path := range examples(t) {
		name := filepath.Base(path)
		write(t, dir, name, readFile(t, path)) // some keep a file beside them
		config += fmt.Sprintf("  - {command: ./%s, interval: 2s, timeout: 20s, options: {config_timeout: 20s}}\n", name)
	}
	return config
}

// pushStory has every receiver of a bridge take values, an event and, where it has
// such, something that it refuses.
func pushStory(t *testing.T, dir, address string) {
	t.Helper()
	eventually(t, "the receivers to be open", func() error {
		text, err := get("http://" + address + "/metrics")
		if open := regexp.MustCompile(`(?m)^scriptbridge_receiver_up\{.*\} 1$`).FindAllString(text, -1); err != nil || len(open) < 3 {
			return fmt.Errorf("only %q are (%v)", open, err)
		}
		return nil
	})
	eventually(t, "the packet to be taken", func() error {
		conn, err := net.Dial("unixgram", filepath.Join(dir, "statsd"))
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Write([]byte("web.hits:7|c|#page:index\nweb.load:10:20|ms\njobs_total:1|c\nqueue:3|g\n_e{8,9}:deployed|version 7|#by:ann\nnonsense"))
		return err
	})
	now := time.Now().Unix()
	for _, body := range []string{
		fmt.Sprintf(`[{"values": [1.5], "dstypes": ["gauge"], "dsnames": ["value"], "time": %d, "interval": 10, "host": "h", "plugin": "load", "type": "load"}]`, now),
		fmt.Sprintf(`[{"values": [4], "dstypes": ["derive"], "dsnames": ["value"], "time": %d, "interval": 10, "host": "h", "plugin": "df", "type": "used"}]`, now),
		fmt.Sprintf(`[{"message": "disk full", "severity": "FAILURE", "time": %d, "host": "h", "plugin": "df", "type": "df_complex"}]`, now),
	} {
		resp, err := http.Post("http://"+address+"/collectd-post", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("%s for %s", resp.Status, body)
		}
	}
	for _, args := range [][]string{
		{"push", "--data=Users:A:0:7"},
		{"push", "--data-type=COUNT", "--data=Clicks:A:0:9"},
		{"wrap", "--category=Backups", "--message=nightly", "--server=web-1", "--", "true"},
	} {
		cmd := exec.Command(program, args...)
		cmd.Env = append(os.Environ(), "SCRIPTBRIDGE_API_URL=http://"+address, "SCRIPTBRIDGE_API_APP_ID=shop", "SCRIPTBRIDGE_API_TOKEN_FILE="+filepath.Join(dir, "token"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
	}
}

// probePath asks for the story's script that runs when it is probed.
const probePath = "/probe?script=probed&target=db"

// examples are the CoScale scripts among ../examples: what is executable.
func examples(t *testing.T) (paths []string) {
	t.Helper()
	all, err := filepath.Glob("../examples/coscale/*.*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		if info, err := os.Stat(path); err != nil {
			t.Fatal(err)
		} else if info.Mode()&0o111 != 0 {
			paths = append(paths, path)
		}
	}
	if len(paths) == 0 {
		t.Fatal("there are no examples")
	}
	return paths
}

// page is every series that a Prometheus has which scrapes one bridge, with
// the labels that it adds, and its own up.
type page []labels.Labels

func readPage(t *testing.T, address string) page {
	t.Helper()
	series := page{
		labels.FromStrings(model.MetricNameLabel, "up", "job", "j", "instance", "i"),
		// Of a node_exporter beside it (TestTextfile).
		labels.FromStrings(model.MetricNameLabel, "node_textfile_mtime_seconds", "file", "/run/scriptbridge/scriptbridge.prom"),
	}
	for _, path := range []string{"/metrics", probePath} {
		text, err := get("http://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		series = append(series, parsePage(t, text)...)
	}
	return series
}

func parsePage(t *testing.T, text string) (series page) {
	t.Helper()
	p := textparse.NewPromParser([]byte(text), labels.NewSymbolTable(), false)
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return series
		}
		if err != nil {
			t.Fatal(err)
		}
		if entry == textparse.EntrySeries {
			var l labels.Labels
			p.Labels(&l)
			series = append(series, labels.NewBuilder(l).Set("job", "j").Set("instance", "i").Labels())
		}
	}
}

// selected are the series that all matchers match.
func (p page) selected(matchers []*labels.Matcher) (series []labels.Labels) {
	for _, l := range p {
		if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(l.Get(m.Name)) }) {
			series = append(series, l)
		}
	}
	return series
}

// startRuled lets a real Prometheus with the alert rules scrape the bridges of the
// story every second, under two jobs, and probe; it gives the address of its API.
func startRuled(t *testing.T, s story) string {
	t.Helper()
	rules, err := filepath.Abs(filepath.Join(boardFolder, "rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	return startPrometheusWith(t, fmt.Sprintf(`
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs:
  - {job_name: j, static_configs: [{targets: [%q]}]}
  - {job_name: clients, static_configs: [{targets: [%q]}]}
  - job_name: probe
    metrics_path: /probe
    honor_labels: true
    scrape_interval: 5s
    scrape_timeout: 5s
    params: {script: [probed], target: [db]}
    static_configs: [{targets: [%[2]q]}]
`, rules, s.here, s.there)).api
}

func get(url string) (string, error) {
	resp, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s: %s", url, resp.Status, body)
	}
	return string(body), nil
}
