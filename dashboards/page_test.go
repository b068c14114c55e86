package dashboards

import (
	"bytes"
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
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

const patience = time.Minute

// The scripts of the test, beside the examples: between them they make every
// series that a dashboard or a rule names.
var scripts = map[string]string{
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
	"failing": declare + "echo 'M1 1'\nexit 3\n",
	"overrun": declare + "sleep 1.5\necho 'M1 1'\n",
}

const declare = `#!/bin/sh
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
}

// process is a running program whose log can be read.
type process struct {
	mu  sync.Mutex
	log bytes.Buffer
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// start runs a program until the test ends.
func start(t *testing.T, dir, name string, args ...string) *process {
	t.Helper()
	p := &process{}
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, p, p
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(patience, func() { cmd.Process.Kill() })
		cmd.Wait()
		late.Stop()
		if t.Failed() {
			text := p.text()
			t.Logf("the end of the log of %s:\n%s", filepath.Base(name), text[max(0, len(text)-4000):])
		}
	})
	return p
}

var listeningOn = regexp.MustCompile(`msg="Listening on" address=(\S+)`)

// startBridge builds the program, runs it with the examples' scripts and those
// above until its page has what is wanted, and gives its address.
func startBridge(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "scriptbridge")
	const version = "github.com/prometheus/common/version."
	build := exec.Command("go", "build", "-ldflags=-X "+version+"Version=1.2.3 -X "+version+"Branch=main", "-o", program, "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the program does not build: %v\n%s", err, out)
	}
	var config strings.Builder
	config.WriteString("scripts:\n")
	for name, text := range scripts {
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
	file := write(t, dir, "scriptbridge.yml", config.String())
	p := start(t, dir, program, "--config.file="+file, "--web.listen-address=127.0.0.1:0")
	var address string
	eventually(t, "the bridge to listen", func() error {
		m := listeningOn.FindStringSubmatch(p.text())
		if m == nil {
			return errors.New("it does not")
		}
		address = m[1]
		return nil
	})
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

// need finds a program, or skips the test.
func need(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("SCRIPTBRIDGE_E2E") == "required" {
			t.Fatalf("%s is not installed, and SCRIPTBRIDGE_E2E=required", name)
		}
		t.Skipf("%s is not installed (Debian: apt-get install prometheus)", name)
	}
	return path
}

// startPrometheus lets a real Prometheus scrape the bridge every second, and
// gives the address of its API.
func startPrometheus(t *testing.T, target string) string {
	t.Helper()
	binary := need(t, "prometheus")
	rules, err := filepath.Abs("rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	dir := t.TempDir()
	write(t, dir, "prometheus.yml", fmt.Sprintf(`
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs:
  - {job_name: j, static_configs: [{targets: [%q]}]}
`, rules, target))
	start(t, dir, binary, "--config.file=prometheus.yml", "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--log.level=warn")
	eventually(t, "Prometheus to be ready", func() error {
		_, err := get("http://" + address + "/-/ready")
		return err
	})
	return "http://" + address + "/api/v1/"
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

// eventually asks until there is no error, for as long as patience lasts.
func eventually(t *testing.T, what string, ask func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s: %v", what, err)
		}
		<-time.After(50 * time.Millisecond)
	}
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
