package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// steady counts its runs in a file beside it, so that what Prometheus has can
// be told exactly.
const steady = `#!/bin/sh
if [ "$1" = -c ]; then
cat <<'END'
{"period": 60, "metrics": [
 {"id": 1, "name": "Pool size", "unit": "bytes", "datatype": "GAUGE", "calctype": "Instant",
  "dimensions": [{"id": 1, "name": "pool"}]},
 {"id": 2, "name": "Lines seen", "unit": "", "datatype": "COUNT", "calctype": "Instant", "dimensions": []},
 {"id": 3, "name": "Uptime", "unit": "s", "datatype": "COUNTER", "calctype": "Instant", "dimensions": []}],
 "events": [{"id": 1, "name": "Deploy", "description": "A release went out",
  "attributeDescriptions": [{"name": "Exit code", "type": "integer", "unit": ""}]}]}
END
else
echo 'M1 "1:main" 4096'
echo 'M1 "1:spare" 1e3'
echo 'M2 3'
cut -d' ' -f1 /proc/uptime | sed 's/^/M3 /'
echo 'E1 1700000000 1700000060 "release 42" "{"Exit code":137}" S'
fi
`

const passing = `#!/bin/sh
[ "$1" = -c ] && echo '{"metrics":[{"id":1,"name":"Short lived","datatype":"GAUGE"}]}' || echo 'M1 1'
`

// TestPrometheus is the main job, seen from the other side.
func TestPrometheus(t *testing.T) {
	need(t, "prometheus")
	dir := t.TempDir()
	write(t, dir, "steady.sh", steady)
	write(t, dir, "passing.sh", passing)
	both := `
global: {interval: 1s}
scripts:
  - command: ./steady.sh
    interval: 1s
  - command: ./passing.sh
    interval: 1s
`
	config := write(t, dir, "scriptbridge.yml", both)
	b := startBridge(t, dir, config)

	// A proxy in between tells what was negotiated.
	var openMetrics, gzipped atomic.Int64
	target, _ := url.Parse("http://" + b.address)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = func(r *http.Response) error {
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/openmetrics-text") {
			openMetrics.Add(1)
		}
		if r.Header.Get("Content-Encoding") == "gzip" {
			gzipped.Add(1)
		}
		return nil
	}
	between := httptest.NewServer(proxy)
	defer between.Close()
	p := startPrometheus(t, strings.TrimPrefix(between.URL, "http://"))

	p.want(t, `up{job="scriptbridge"}`, "1")
	p.want(t, `coscale_pool_size_bytes{script="steady",pool="main"}`, "4096")
	p.want(t, `coscale_pool_size_bytes{script="steady",pool="spare"}`, "1000")
	p.want(t, `scriptbridge_script_success{script="steady"}`, "1")
	p.want(t, `coscale_short_lived{script="passing"}`, "1")
	p.want(t, `scriptbridge_metric_info{metric="coscale_pool_size_bytes",name="Pool size",datatype="GAUGE"}`, "1")
	event := p.want(t, `coscale_event_info{script="steady",event="Deploy"}`, "1")
	if got := event.Metric["message"]; got != "release 42" {
		t.Errorf("the event's message is %q", got)
	}
	if got := event.Metric["exit_code"]; got != "137" {
		t.Errorf("the event's attribute is %q", got)
	}
	p.want(t, `coscale_event_start_timestamp_seconds{script="steady"}`, "1700000000")
	p.want(t, `coscale_events_total{script="steady",event="Deploy"}`, "1")
	if openMetrics.Load() == 0 || gzipped.Load() == 0 {
		t.Errorf("%d scrapes were OpenMetrics and %d gzip; all should be", openMetrics.Load(), gzipped.Load())
	}
	var meta []struct{ Type, Unit string }
	p.get(t, "targets/metadata", url.Values{"metric": {"coscale_pool_size_bytes"}}, &meta)
	if len(meta) != 1 || meta[0].Type != "gauge" || meta[0].Unit != "bytes" {
		t.Errorf("metadata of the gauge: %+v", meta)
	}

	// A reload that removes one script ends its series and leaves the other's
	// counter as it was.
	p.want(t, `coscale_lines_seen_total{script="steady"} >= bool 9`, "1")
	runs := p.query(t, `scriptbridge_script_runs_total{script="steady",result="ok"}`)
	write(t, dir, "scriptbridge.yml", strings.Replace(both, "  - command: ./passing.sh\n    interval: 1s\n", "", 1))
	b.signal(syscall.SIGHUP)
	eventually(t, "the removed script's series to be gone", func() error {
		if got := p.query(t, `{script="passing"}`); len(got) > 0 {
			return fmt.Errorf("there are %d, such as %v", len(got), got[0].Metric)
		}
		return nil
	})
	p.want(t, `scriptbridge_script_runs_total{script="steady",result="ok"} > bool `+runs[0].value(), "1")
	for _, counter := range []string{"coscale_lines_seen_total", "coscale_uptime_seconds_total", `scriptbridge_script_runs_total`} {
		p.want(t, "sum(resets("+counter+`{script="steady"}[5m]))`, "0")
	}
	p.want(t, `scriptbridge_config_last_reload_successful`, "1")
	p.want(t, `up{job="scriptbridge"}`, "1")
	p.want(t, `min_over_time(up{job="scriptbridge"}[5m])`, "1")
}

// TestPromtool lets promtool judge the page of the examples, in which nothing
// may be wrong.
func TestPromtool(t *testing.T) {
	promtool := need(t, "promtool")
	examples, err := filepath.Abs("../examples")
	if err != nil {
		t.Fatal(err)
	}
	b := startBridge(t, examples, filepath.Join(examples, "scriptbridge.yml"))
	// On a busy machine a first -c may take longer than it may; there is a second.
	var page string
	eventually(t, "every example to have run well", func() error {
		page = b.page(t)
		good := regexp.MustCompile(`(?m)^scriptbridge_script_success\{.*\} 1$`).FindAllString(page, -1)
		configured := regexp.MustCompile(`(?m)^scriptbridge_script_series\{`).FindAllString(page, -1)
		if len(good) < 5 || len(good) < len(configured) {
			return fmt.Errorf("%d of %d did:\n%s", len(good), len(configured), page)
		}
		return nil
	})
	for _, line := range strings.Split(page, "\n") {
		if strings.HasPrefix(line, "scriptbridge_script_refused_total{") && !strings.HasSuffix(line, " 0") {
			t.Errorf("an example's line was refused: %s", line)
		}
	}
	check := exec.Command(promtool, "check", "metrics")
	check.Stdin = strings.NewReader(page)
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
	check = exec.Command(promtool, "check", "config", "--syntax-only", filepath.Join(examples, "prometheus.yml"))
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("promtool check config: %v\n%s", err, out)
	}
}
