package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

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
	`scriptbridge_receiver_up\{receiver="statsd"\} 1`,
	`scriptbridge_upload_up\{upload="coscale"\} 0`,
}

// startStory runs the examples' scripts and those above until the page has what
// is wanted, and gives the bridge's address.
func startStory(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var config strings.Builder
	config.WriteString("scripts:\n")
	for name, text := range storyScripts {
		write(t, dir, name+".sh", text)
		fmt.Fprintf(&config, "  - {command: ./%s.sh, interval: 1s, timeout: 5s}\n", name)
	}
	for _, path := range examples(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(path)
		write(t, dir, name, string(text)) // some keep a file beside them
		fmt.Fprintf(&config, "  - {command: ./%s, interval: 2s, timeout: 20s, options: {config_timeout: 20s}}\n", name)
	}
	token := write(t, dir, "token", "secret\n")
	if err := os.Chmod(token, 0o600); err != nil {
		t.Fatal(err)
	}
	config.WriteString("receive: {statsd: {unixgram: ./statsd}}\n" +
		"upload: {coscale: {url: 'http://127.0.0.1:1', app_id: shop, access_token_file: token, interval: 1s}}\n") // where nobody is
	write(t, dir, "scriptbridge.yml", config.String())
	address := startBridge(t, dir, "scriptbridge.yml", "--storage.path="+filepath.Join(dir, "state")).address
	eventually(t, "a page with all that is wanted", func() error {
		text, err := get("http://" + address + "/metrics")
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
	return address
}

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
	text, err := get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	series := page{labels.FromStrings(model.MetricNameLabel, "up", "job", "j", "instance", "i")}
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

// startRuled lets a real Prometheus with the alert rules scrape the bridge every
// second, and gives the address of its API.
func startRuled(t *testing.T, target string) string {
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
`, rules, target)).api
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
