package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"scriptbridge/internal/testkit"
	"scriptbridge/receive/receivertest"
)

// needCollectdExporter finds the peer, which is in no package, or skips the benchmark.
func needCollectdExporter(b *testing.B) string {
	b.Helper()
	name := os.Getenv("COLLECTD_EXPORTER")
	if name == "" {
		name = "collectd_exporter"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		b.Skipf("there is no collectd_exporter (%v): set COLLECTD_EXPORTER to a built one", err)
	}
	return path
}

// collectdServer is a process that takes collectd's packets.
type collectdServer struct {
	*process
	udp     net.Conn
	metrics string        // its page
	took    time.Duration // CPU time for packets
	scrapes time.Duration // and for scrapes
	before  time.Duration // CPU time until now
}

func newCollectdServer(b *testing.B, p *process, udp, metrics string) *collectdServer {
	conn, err := net.Dial("udp", udp)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return &collectdServer{process: p, udp: conn, metrics: metrics}
}

// lap is the CPU time since it was asked last.
func (s *collectdServer) lap(b *testing.B) time.Duration {
	now := cpuTime(b, s.cmd.Process.Pid)
	d := now - s.before
	s.before = now
	return d
}

// cpuTime is the CPU time that the threads of a process have used, user and system, to
// the nanosecond.
func cpuTime(b *testing.B, pid int) (total time.Duration) {
	b.Helper()
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err != nil {
			continue // it has ended
		}
		used, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(used, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		total += time.Duration(n)
	}
	if total == 0 {
		b.Skip("the CPU time of a process is not known here: there is no /proc/PID/task/*/schedstat")
	}
	return total
}

// queued tells what the kernel still holds for a UDP address, and what it has dropped.
func queued(b *testing.B, address string) (bytes, dropped int64) {
	b.Helper()
	_, port, _ := net.SplitHostPort(address)
	number, _ := strconv.Atoi(port)
	text, err := os.ReadFile("/proc/net/udp")
	if err != nil {
		b.Skipf("what waits in a socket is not known here: %v", err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 13 || !strings.HasSuffix(f[1], fmt.Sprintf(":%04X", number)) {
			continue
		}
		_, waits, _ := strings.Cut(f[4], ":")
		bytes, _ = strconv.ParseInt(waits, 16, 64)
		dropped, _ = strconv.ParseInt(f[12], 10, 64)
		return bytes, dropped
	}
	b.Fatalf("there is no socket at %s", address)
	return 0, 0
}

// send sends the packets, a few at a time, each few when those before were taken: none
// is lost.
func (s *collectdServer) send(b *testing.B, packets [][]byte) {
	b.Helper()
	const few = 16
	at := s.udp.RemoteAddr().String()
	deadline := time.Now().Add(patience)
	for i, packet := range packets {
		if _, err := s.udp.Write(packet); err != nil {
			b.Fatal(err)
		}
		for i%few == few-1 || i == len(packets)-1 {
			waits, dropped := queued(b, at)
			if dropped > 0 || time.Now().After(deadline) {
				b.Fatalf("%s: %d packets are lost, %d bytes wait", s.cmd.Path, dropped, waits)
			}
			if waits == 0 {
				break
			}
			<-time.After(time.Millisecond)
		}
	}
}

// shown waits until the page has so many series of collectd's.
func (s *collectdServer) shown(b *testing.B, want int) {
	b.Helper()
	eventually(b, "all series of "+s.cmd.Path, func() error {
		text, err := get(s.metrics)
		if err != nil {
			return err
		}
		n := strings.Count(text, "\ncollectd_") - strings.Count(text, "\ncollectd_last_push") - strings.Count(text, "\ncollectd_exporter_")
		if n < want {
			return fmt.Errorf("it has %d of %d", n, want)
		}
		return nil
	})
}

// BenchmarkLimitAgainstCollectdExporter has both programs take the same packets, of
// 100 hosts with 200 series each: a round a second, so that each value goes all the way
// to the page, and a scrape of each every few seconds, whose CPU time stands by itself.
func BenchmarkLimitAgainstCollectdExporter(b *testing.B) {
	exporter := needCollectdExporter(b)
	const (
		hosts  = 100
		rounds = 12
		every  = 3 // rounds for a scrape
		values = hosts * receivertest.CollectdLoadValues
	)
	dir := b.TempDir()
	types := write(b, dir, "types.db", receivertest.CollectdLoadTypes)
	ours, theirs, page := testkit.FreeAddress(), testkit.FreeAddress(), testkit.FreeAddress()
	bridge := startBridge(b, dir, write(b, dir, "scriptbridge.yml", fmt.Sprintf("receive: {collectd: {udp: %q, types_db: [%s], ttl: 10m, max_series: 200000}}\n", ours, filepath.Base(types))))
	peer := start(b, dir, exporter, "--collectd.listen-address="+theirs, "--collectd.typesdb-file="+types, "--web.listen-address="+page)
	servers := []*collectdServer{
		newCollectdServer(b, bridge.process, ours, "http://"+bridge.address+"/metrics"),
		newCollectdServer(b, peer, theirs, "http://"+page+"/metrics"),
	}
	for _, s := range servers {
		eventually(b, s.cmd.Path, func() error { _, err := get(s.metrics); return err })
		s.send(b, receivertest.CollectdLoad(b, hosts, 0)) // the series are made
		s.shown(b, values)
		s.lap(b)
	}
	round := 0
	for b.Loop() {
		for range rounds {
			round++
			packets := receivertest.CollectdLoad(b, hosts, round)
			began := time.Now()
			for _, s := range servers {
				s.send(b, packets)
			}
			<-time.After(time.Until(began.Add(1100 * time.Millisecond))) // what was taken is on the page
			for _, s := range servers {
				s.took += s.lap(b)
				if round%every == 0 {
					s.shown(b, values)
					s.scrapes += s.lap(b)
				}
			}
		}
	}
	n := float64(round * values)
	for i, name := range []string{"", "collectd_exporter-"} {
		b.ReportMetric(float64(servers[i].took)/n, name+"ns/value")
		b.ReportMetric(servers[i].scrapes.Seconds()*1000/float64(round/every), name+"ms/scrape")
	}
	if servers[1].took == 0 {
		b.Fatal(errors.New("the peer took no time"))
	}
	b.ReportMetric(float64(servers[0].took)/float64(servers[1].took), "x-collectd_exporter")
	b.ReportMetric(0.5, "x-collectd_exporter-limit")
}
