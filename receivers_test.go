package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"scriptbridge/config"
	"scriptbridge/receive"
	"scriptbridge/receive/receiver"
	"scriptbridge/web"
)

func TestWebPortAdmits(t *testing.T) {
	folder := t.TempDir()
	users, broken := filepath.Join(folder, "users.yml"), filepath.Join(folder, "broken.yml")
	for file, text := range map[string]string{users: "basic_auth_users: {ann: x}\n", broken: "\t{"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	coscale := config.Receive{CoScale: &config.ReceiveCoScale{}}
	own := config.Receive{CoScale: &config.ReceiveCoScale{Listen: []string{":80"}}}
	collectd := func(path string) config.Receive {
		return config.Receive{Collectd: &config.ReceiveCollectd{HTTPPath: path}}
	}
	for _, c := range []struct {
		name    string
		receive config.Receive
		file    string
		listen  []string
		upload  bool
		want    string
	}{
		{name: "nothing", file: broken},
		{name: "the API", receive: coscale, listen: []string{":10469"}},
		{name: "the API with users", receive: coscale, file: users,
			want: `f.yml:3: receive: coscale: is on the web port, which has users in --web.config.file, and its clients have no name and password for it (give it an address of its own under listen)`},
		{name: "the API elsewhere, with users", receive: own, file: users},
		{name: "the API, with a broken file", receive: coscale, file: broken,
			want: "f.yml:3: receive: coscale: --web.config.file: " + broken + " is not the YAML it should be"},
		{name: "collectd on every address", receive: collectd("/c"), listen: []string{":10469", "[::]:1", "192.0.2.1:1"},
			want: `f.yml:7: receive: collectd: http_path /c would be open to other machines (set users in the file of --web.config.file, or --web.listen-address=127.0.0.1:10469)`},
		{name: "collectd with users", receive: collectd("/c"), listen: []string{":10469"}, file: users},
		{name: "collectd on loopback", receive: collectd("/c"), listen: []string{":1", "127.0.0.1:10469"}},
		{name: "collectd on localhost", receive: collectd("/c"), listen: []string{"LocalHost:10469"}},
		{name: "collectd on systemd's sockets", receive: collectd("/c")},
		{name: "collectd without a path", receive: collectd(""), listen: []string{":10469"}},
		{name: "collectd at the metrics page", receive: collectd("/m"),
			want: `f.yml:7: receive: collectd: http_path /m is taken by another endpoint (write another one, such as /collectd-post)`},
		{name: "collectd at health", receive: collectd("/-/healthy"),
			want: `f.yml:7: receive: collectd: http_path /-/healthy is taken by another endpoint (write another one, such as /collectd-post)`},
		{name: "collectd without a port", receive: collectd("/c"), listen: []string{"none"}, upload: true,
			want: `f.yml:7: receive: collectd: http_path /c is on the web port, of which there is none with --web.listen-address=none (give it udp or unixsock instead, or start with --web.listen-address=127.0.0.1:10469)`},
		{name: "coscale without a port", receive: coscale, listen: []string{"none"}, upload: true,
			want: `f.yml:3: receive: coscale: is on the web port, of which there is none with --web.listen-address=none (give it an address of its own under listen)`},
		{name: "coscale on its own port, without another", receive: own, listen: []string{"none"}, upload: true},
		{name: "neither port nor upload", listen: []string{"none"},
			want: `f.yml: with --web.listen-address=none nothing shows what is measured (write textfile: and beneath it directory: and the folder that node_exporter reads, or give the bridge an address)`},
		{name: "an upload alone", listen: []string{"none"}, upload: true},
	} {
		p := webPort{Gate: web.Gate{WebConfigFile: c.file, Logger: log.NewNopLogger()}, addresses: c.listen, telemetryPath: "/m"}
		cfg := &config.Config{File: "f.yml", Receive: c.receive, At: map[string]config.Position{"receive.coscale": {File: "f.yml", Line: 3}, "receive.collectd": {File: "f.yml", Line: 7}}}
		if c.upload {
			cfg.Upload.CoScale = &config.UploadCoScale{}
		}
		got := ""
		if err := p.validate(cfg); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestReceiverMetrics(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(receiverMetrics{func() []receive.View {
		return []receive.View{
			{Name: "statsd", Up: true, Counts: receiver.CountsView{
				Packets: map[string]uint64{"udp": 7, "tcp": 1}, Bytes: map[string]uint64{"udp": 700, "tcp": 3}, Dropped: map[string]uint64{"overload": 0},
				Failed: map[string]uint64{"tcp": 3},
			}},
			{Name: "collectd", Error: "port taken"},
		}
	}})
	want := `# HELP scriptbridge_receiver_bytes_total Bytes that came in.
# TYPE scriptbridge_receiver_bytes_total counter
scriptbridge_receiver_bytes_total{listener="tcp",receiver="statsd"} 3
scriptbridge_receiver_bytes_total{listener="udp",receiver="statsd"} 700
# HELP scriptbridge_receiver_dropped_total What was not let in or was lost to overload, by reason.
# TYPE scriptbridge_receiver_dropped_total counter
scriptbridge_receiver_dropped_total{reason="overload",receiver="statsd"} 0
# HELP scriptbridge_receiver_listen_errors_total How often the system kept a listener from taking what comes, such as for want of file descriptors; it was tried again.
# TYPE scriptbridge_receiver_listen_errors_total counter
scriptbridge_receiver_listen_errors_total{listener="tcp",receiver="statsd"} 3
# HELP scriptbridge_receiver_packets_total Packets, requests or lines that came in, whatever became of them.
# TYPE scriptbridge_receiver_packets_total counter
scriptbridge_receiver_packets_total{listener="tcp",receiver="statsd"} 1
scriptbridge_receiver_packets_total{listener="udp",receiver="statsd"} 7
# HELP scriptbridge_receiver_up Whether all that the receiver listens on is open: 1 for yes, 0 for no.
# TYPE scriptbridge_receiver_up gauge
scriptbridge_receiver_up{receiver="collectd"} 0
scriptbridge_receiver_up{receiver="statsd"} 1
`
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var page strings.Builder
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&page, f); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, page.String()); diff != "" {
		t.Errorf("page (-want +got):\n%s", diff)
	}
}
