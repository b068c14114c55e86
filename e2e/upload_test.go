package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUpload: what a bridge shows of its scripts, another one that it uploads to
// shows too, by the same names and values; also of what came while the other
// was away. One bridge is both ends of CoScale's API.
func TestUpload(t *testing.T) {
	dir := t.TempDir()
	token := write(t, dir, "token", "open-sesame-open-sesame\n")
	if err := os.Chmod(token, 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "there.yml", `receive: {coscale: {app_id: shop, access_tokens_file: token, ttl: 1h}}`)
	there := startBridge(t, dir, "there.yml", "--storage.path="+filepath.Join(dir, "there"))

	write(t, dir, "shop.sh", `#!/bin/sh
case $1 in
-c) cat <<'END'
{"metrics": [
 {"id": 1, "name": "Queue length", "unit": "", "datatype": "GAUGE", "calctype": "Instant", "groups": "Shop/Queues", "tags": "QUEUE",
  "dimensions": [{"id": 1, "name": "Queue"}]},
 {"id": 2, "name": "Orders", "unit": "", "datatype": "COUNT", "calctype": "Instant"},
 {"id": 3, "name": "Bytes sent", "unit": "B", "datatype": "COUNTER", "calctype": "Difference"},
 {"id": 4, "name": "Load", "unit": "", "datatype": "DOUBLE", "calctype": "Average"}],
 "events": [{"id": 1, "name": "Deployed", "description": "", "attributes": [{"name": "version", "type": "string"}]}]}
END
;;
-d) n=$(cat n 2>/dev/null || echo 0); n=$((n + 1)); echo $n >n
    printf 'M1 "1:in \\ out" 12\nM1 "1:b" -1.5\nM2 5\nM3 %d\nM4 3\nE1 1700000000 1700000060 "v2 is out" "{"version":"2"}" A\n' $((n * 100)) ;;
esac
`)
	write(t, dir, "here.yml", fmt.Sprintf(`
scripts: [{command: ./shop.sh, interval: 1s}]
upload: {coscale: {url: "http://%s", app_id: shop, access_token_file: token, server: web-1, interval: 1s, name_suffix: ""}}
`, there.address))
	here := startBridge(t, dir, "here.yml", "--storage.path="+filepath.Join(dir, "here"))

	uploaded := func(series string) {
		t.Helper()
		eventually(t, series, func() error {
			if page := there.page(t); !strings.Contains(page, "\n"+series) {
				return fmt.Errorf("the page of the other bridge:\n%s\nits own:\n%s", ofCoScale(page), ofCoScale(here.page(t)))
			}
			return nil
		})
	}
	for _, both := range [][2]string{
		{`coscale_queue_length{script="shop",queue="in \\ out"} 12`, `coscale_queue_length{queue="in \\ out",server="web-1",subject="server"} 12`},
		{`coscale_queue_length{script="shop",queue="b"} -1.5`, `coscale_queue_length{queue="b",server="web-1",subject="server"} -1.5`},
		{`coscale_load{script="shop"} 3`, `coscale_load{server="web-1",subject="server"} 3`},
	} {
		uploaded(both[1])
		if page := here.page(t); !strings.Contains(page, "\n"+both[0]) {
			t.Errorf("%s is not on the page of who sent it:\n%s", both[0], ofCoScale(page))
		}
	}
	uploaded(`coscale_bytes_sent{server="web-1",subject="server"} 100`) // since the last run
	uploaded(`coscale_event_info{receiver="coscale",event="Deployed",event_id="`)
	uploaded(`scriptbridge_metric_info{receiver="coscale",metric="coscale_queue_length",name="Queue length",groups="Shop/Queues",`)

	// Both count the same orders, but for those on their way. The other bridge
	// begins anew at 0 with its process, so nothing may be lost or said twice
	// while it is away.
	there.stop()
	eventually(t, "an attempt that fails", func() error {
		if page := here.page(t); strings.Contains(page, `scriptbridge_upload_up{upload="coscale"} 1`) {
			return fmt.Errorf("the page:\n%s", page)
		}
		return nil
	})
	before := sumOf(t, here, "coscale_orders_total")
	sent := sumOf(t, here, `scriptbridge_upload_sent_total{upload="coscale"}`)
	again := startBridge(t, dir, "there.yml", "--storage.path="+filepath.Join(dir, "there"), "--web.listen-address="+there.address)
	eventually(t, "what waited to be there", func() error {
		got, want := sumOf(t, again, "coscale_orders_total"), before
		if now := sumOf(t, here, `scriptbridge_upload_sent_total{upload="coscale"}`); now == sent || got == 0 {
			return fmt.Errorf("%v sent, %v orders of %v there", now, got, want)
		}
		return nil
	})
	if page := again.page(t); strings.Count(page, `coscale_event_info{receiver="coscale",event="Deployed"`) > 1 {
		t.Errorf("the event is there more than once:\n%s", ofCoScale(page))
	}
	for _, p := range []*process{here.process, again.process} {
		if resp, err := http.Get("http://" + here.address + "/"); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("the status page of %s: %v", p.cmd.Path, err)
		} else {
			resp.Body.Close()
		}
	}
}

// TestUploadStatsD: what StatsD's clients send to a bridge comes to another one
// as CoScale's backend of the daemon sent it: a rate, a last value, percentiles.
func TestUploadStatsD(t *testing.T) {
	dir := t.TempDir()
	token := write(t, dir, "token", "open-sesame-open-sesame\n")
	if err := os.Chmod(token, 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "there.yml", `receive: {coscale: {app_id: shop, access_tokens_file: token, ttl: 1h}}`)
	there := startBridge(t, dir, "there.yml", "--storage.path="+filepath.Join(dir, "there"))
	write(t, dir, "here.yml", fmt.Sprintf(`
receive: {statsd: {unixgram: statsd.sock}}
upload: {coscale: {url: "http://%s", app_id: shop, access_token_file: token, server: web-1, interval: 2s}}
`, there.address))
	here := startBridge(t, dir, "here.yml", "--storage.path="+filepath.Join(dir, "here"))

	eventually(t, "the packet to be taken", func() error {
		conn, err := net.Dial("unixgram", filepath.Join(dir, "statsd.sock"))
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Write([]byte("web.hits:7|c|#page:index\nqueue:3|g\nqueue:+14|g\nweb.load:10:20:30:40:1001|ms\nsize:5|h|@0.1"))
		return err
	})
	eventually(t, "what the daemon would have sent", func() error {
		page := there.page(t)
		for _, series := range []string{
			`coscale_statsd_web_hits{page="index",server="web-1",subject="server"} 3.5`,
			`coscale_statsd_queue{server="web-1",subject="server"} 17`,
			`coscale_statsd_web_load{quantile="0",server="web-1",subject="server"} 10`,
			`coscale_statsd_web_load{quantile="0.5",server="web-1",subject="server"} 30`,
			`coscale_statsd_web_load{quantile="0.99",server="web-1",subject="server"} 1001`,
			`coscale_statsd_web_load_count{server="web-1",subject="server"} 5`,
			`coscale_statsd_size_count{server="web-1",subject="server"} 10`,
		} {
			if !strings.Contains(page, "\n"+series+"\n") {
				return fmt.Errorf("%s is not on the page:\n%s", series, ofCoScale(page))
			}
		}
		return nil
	})
	if page := here.page(t); strings.Contains(page, `scriptbridge_upload_skipped_total{upload="coscale"`) {
		t.Errorf("something was not sent:\n%s", ofCoScale(page))
	}
}

// sumOf adds up the series of a page that begin so.
func sumOf(t *testing.T, b *bridge, series string) (sum float64) {
	t.Helper()
	for line := range strings.Lines(b.page(t)) {
		if strings.HasPrefix(line, series) {
			var v float64
			if _, err := fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &v); err != nil {
				t.Fatal(err)
			}
			sum += v
		}
	}
	return sum
}

// ofCoScale are the lines of a page that the API's receiver or a script made.
func ofCoScale(page string) string {
	var b strings.Builder
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "coscale_") || strings.HasPrefix(line, "scriptbridge_upload_") || strings.HasPrefix(line, "scriptbridge_metric_info") {
			b.WriteString(line)
		}
	}
	return b.String()
}
