package e2e

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"scriptbridge/internal/testkit"
	"scriptbridge/receive/receivertest"
)

// statsdServer is a process that takes StatsD's packets.
type statsdServer struct {
	*process
	conn   net.Conn
	page   string
	taken  *regexp.Regexp // on its page: how many packets it has taken
	lost   *regexp.Regexp // and how much it has lost or refused
	before time.Duration  // CPU time when the load began
	took   time.Duration  // of the load
}

// figure adds up what a page says.
func (s *statsdServer) figure(b *testing.B, of *regexp.Regexp) (sum int) {
	b.Helper()
	text, err := get("http://" + s.page + "/metrics")
	if err != nil {
		b.Fatal(err)
	}
	for _, m := range of.FindAllStringSubmatch(text, -1) {
		n, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			b.Fatal(err)
		}
		sum += int(n)
	}
	return sum
}

// statsdServers starts both programs and opens a socket to each.
func statsdServers(b *testing.B, exporter, network, mapping string) []*statsdServer {
	b.Helper()
	dir := b.TempDir()
	address := map[string][]string{
		"udp":      {testkit.FreeAddress(), testkit.FreeAddress()},
		"unixgram": {filepath.Join(dir, "ours.sock"), filepath.Join(dir, "theirs.sock")},
	}[network]
	page := testkit.FreeAddress()
	config := fmt.Sprintf("receive:\n  statsd:\n    %s: %q\n    max_series: 1000000\n    ttl: 1h\n", network, address[0])
	flags := []string{"--web.listen-address=" + page, "--statsd.listen-tcp=", "--statsd.listen-" + network + "=" + address[1],
		"--statsd.read-buffer=4194304", "--statsd.udp-packet-queue-size=1000000"}
	if network != "udp" {
		flags = append(flags, "--statsd.listen-udp=")
	}
	if mapping != "" {
		config += "    mapping_config: " + write(b, dir, "mapping.yml", mapping) + "\n"
		flags = append(flags, "--statsd.mapping-config="+filepath.Join(dir, "mapping.yml"))
	}
	bridge := startBridge(b, dir, write(b, dir, "scriptbridge.yml", config))
	peer := start(b, dir, exporter, flags...)
	number := ` (\S+)$`
	servers := []*statsdServer{
		{
			process: bridge.process, page: bridge.address,
			taken: regexp.MustCompile(`(?m)^scriptbridge_receiver_packets_total\{listener="` + network + `",receiver="statsd"\}` + number),
			lost:  regexp.MustCompile(`(?m)^scriptbridge_receiver_(?:dropped|refused)_total\{.*receiver="statsd".*\}` + number),
		},
		{
			process: peer, page: page,
			taken: regexp.MustCompile(`(?m)^statsd_exporter_` + network + `_packets_total` + number),
			lost:  regexp.MustCompile(`(?m)^statsd_exporter_(?:udp_packet_drops_total|sample_errors_total\{.*\}|events_conflict_total\{.*\})` + number),
		},
	}
	for i, s := range servers {
		eventually(b, s.cmd.Path, func() (err error) {
			if _, err = get("http://" + s.page + "/metrics"); err == nil {
				s.conn, err = net.Dial(network, address[i])
			}
			return err
		})
		b.Cleanup(func() { s.conn.Close() })
	}
	return servers
}

// paced sends n packets to all, each to one after the other, at a rate.
func paced(b *testing.B, servers []*statsdServer, packets [][]byte, n, perSecond int) {
	b.Helper()
	began := time.Now()
	for i := 0; i < n; {
		for due := int(time.Since(began).Seconds() * float64(perSecond)); i < min(due, n); i++ {
			for _, s := range servers {
				if _, err := s.conn.Write(packets[i%len(packets)]); err != nil {
					b.Fatal(err)
				}
			}
		}
		<-time.After(time.Millisecond)
	}
}

// BenchmarkLimitAgainstStatsDExporter has both programs take the same packets at the same
// time, without a break at a rate that both keep up with: counters, gauges, timers and
// histograms with tags and sample rates, of series that both know. The CPU time is that
// of the processes, to the page, until a second after the last packet.
func BenchmarkLimitAgainstStatsDExporter(b *testing.B) {
	exporter := filepath.Join(b.TempDir(), "statsd_exporter")
	if out, err := exec.Command("go", "build", "-o", exporter, "github.com/prometheus/statsd_exporter").CombinedOutput(); err != nil {
		b.Skipf("statsd_exporter cannot be built, which go.mod has: %v\n%s", err, out)
	}
	const mapping = "mappings:\n" +
		"- match: \"pool.*.*\"\n  name: pool_busy\n  labels: {pool: \"$2\"}\n" +
		"- match: \"web.latency.*\"\n  name: web_latency\n  labels: {site: \"$1\"}\n  observer_type: histogram\n" +
		"- match: \"web\\\\.(requests|bytes)\\\\.(.*)\"\n  match_type: regex\n  name: web_$1\n  labels: {site: \"$2\"}\n"
	for _, c := range []struct {
		name          string
		lines, series int
		network       string
		mapping       string
	}{
		{"lines=20/series=100", 20, 100, "udp", ""},
		{"lines=20/series=1000", 20, 1000, "udp", ""},
		{"lines=20/series=100000", 20, 100_000, "udp", ""},
		{"lines=1/series=1000", 1, 1000, "udp", ""},
		{"mapping/lines=20/series=1000", 20, 1000, "udp", mapping},
		{"unixgram/lines=20/series=1000", 20, 1000, "unixgram", ""},
	} {
		b.Run(c.name, func(b *testing.B) {
			servers := statsdServers(b, exporter, c.network, c.mapping)
			packets := receivertest.StatsDLoad(c.series, c.lines)
			perSecond := 2500
			if c.lines == 1 {
				perSecond = 10_000
			}
			paced(b, servers, packets, len(packets), perSecond) // the series are made
			sent, counted := len(packets), 0
			for b.Loop() {
				const seconds = 4
				for _, s := range servers {
					eventually(b, "the packets at "+s.cmd.Path, func() error {
						if n := s.figure(b, s.taken); n != sent {
							return fmt.Errorf("%d of %d", n, sent)
						}
						return nil
					})
				}
				<-time.After(1500 * time.Millisecond) // what was taken is on the page
				for _, s := range servers {
					s.before = cpuTime(b, s.cmd.Process.Pid)
				}
				paced(b, servers, packets, seconds*perSecond, perSecond)
				<-time.After(1100 * time.Millisecond)
				for _, s := range servers {
					s.took += cpuTime(b, s.cmd.Process.Pid) - s.before
				}
				sent += seconds * perSecond
				counted += seconds * perSecond * c.lines
			}
			for _, s := range servers {
				if taken, lost := s.figure(b, s.taken), s.figure(b, s.lost); taken != sent || lost > 0 {
					b.Fatalf("%s has taken %d of %d packets, and lost or refused %d", s.cmd.Path, taken, sent, lost)
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(servers[0].took)/float64(counted), "ns/line")
			b.ReportMetric(float64(servers[1].took)/float64(counted), "statsd_exporter-ns/line")
			b.ReportMetric(float64(servers[0].took)/float64(servers[1].took), "x-statsd_exporter")
			b.ReportMetric(0.1, "x-statsd_exporter-limit")
		})
	}
}
