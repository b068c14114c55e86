package e2e

import (
	"strings"
	"testing"
)

const (
	// length measures its target, and fails for one.
	length = `#!/bin/sh
if [ "$2" = -c ]; then
  echo '{"metrics":[{"id":1,"name":"Length","datatype":"GAUGE"}]}'
elif [ "$1" = broken ]; then
  exit 3
else
  echo "M1 ${#1}"
fi
`
	// hanging is good for -c alone, and then hangs with a child of its own.
	hanging = `#!/bin/sh
[ "$1" = -c ] && { echo '{"metrics":[{"id":1,"name":"Never","datatype":"GAUGE"}]}'; exit; }
sleep 77405 & wait
`
)

// TestProbe is Prometheus as the one who runs scripts: those that /discovery
// lists, and one for each of its targets, as with the blackbox exporter.
func TestProbe(t *testing.T) {
	need(t, "prometheus")
	dir := t.TempDir()
	write(t, dir, "steady.sh", steady)
	write(t, dir, "hang.sh", hanging)
	write(t, dir, "length.sh", length)
	b := startBridge(t, dir, write(t, dir, "scriptbridge.yml", `
scripts:
  - {command: ./steady.sh, interval: 1h, probe: true}
  - {command: ./hang.sh, interval: 1h, probe: true, timeout: 20s}
  - name: length
    command: ./length.sh {target}
    probe: true
    parameters: {target: {pattern: '[a-z0-9.-]{1,100}'}}
`))
	p := startPrometheusWith(t, strings.ReplaceAll(`
global: {scrape_interval: 2s, scrape_timeout: 2s}
scrape_configs:
  - job_name: scripts
    honor_labels: true
    http_sd_configs: [{url: "http://BRIDGE/discovery", refresh_interval: 1s}]
  - job_name: length
    metrics_path: /probe
    params: {script: [length]}
    static_configs: [{targets: [db.example.org, www, broken, "-x"]}]
    relabel_configs:
      - {source_labels: [__address__], target_label: __param_target}
      - {source_labels: [__param_target], target_label: instance}
      - {target_label: __address__, replacement: "BRIDGE"}
`, "BRIDGE", b.address))

	// Asked every two seconds, a script of one hour runs every two seconds.
	p.want(t, `up{job="scripts",script="steady"}`, "1")
	p.want(t, `script_success{job="scripts",script="steady"}`, "1")
	p.want(t, `coscale_pool_size_bytes{job="scripts",script="steady",pool="main"}`, "4096")
	p.want(t, `changes(coscale_uptime_seconds_total{job="scripts",script="steady"}[1m]) >= bool 2`, "1")
	// One that hangs is a page, in time, and not a failed scrape.
	p.want(t, `up{job="scripts",script="hang"}`, "1")
	p.want(t, `script_success{job="scripts",script="hang"}`, "0")
	p.want(t, `script_exit_code{job="scripts",script="hang"}`, "-1")
	p.want(t, `scrape_duration_seconds{job="scripts",script="hang"} < bool 2`, "1")

	p.want(t, `coscale_length{job="length",instance="db.example.org"}`, "14")
	p.want(t, `coscale_length{job="length",instance="www"}`, "3")
	p.want(t, `script_exit_code{job="length",instance="broken"}`, "3")
	p.want(t, `script_success{job="length",instance="broken"}`, "0")
	p.want(t, `up{job="length",instance="-x"}`, "0")
	p.want(t, `count(up{job="scripts"})`, "2")
	if page := b.page(t); strings.Contains(page, `script="length"`) || !strings.Contains(page, `coscale_pool_size_bytes{script="steady"`) {
		t.Errorf("/metrics has what it should not, or lacks what it should:\n%s", page)
	}

	p.stop()
	b.stop()
	if b.err != nil {
		t.Errorf("the bridge ended with %v", b.err)
	}
	for _, left := range leftovers(dir) {
		if !strings.Contains(left, "sleep 97531") { // those of another test
			t.Errorf("left: %s", left)
		}
	}
}
