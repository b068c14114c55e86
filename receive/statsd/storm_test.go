package statsd

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"scriptbridge/config"
	"scriptbridge/record"
)

// stormPackets are packets of a mixed load: counters, gauges, timers and sets
// of 2000 series with tags, as large as a client makes them on loopback.
func stormPackets(size int) (packets [][]byte, lines []int) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		var packet []byte
		n := 0
		for n == 0 || len(packet) < size-64 {
			packet = fmt.Appendf(packet, []string{
				"web.requests.total:1|c|#route:r%d,code:200\n", "web.latency:%d.%d|ms|#route:r1\n",
				"pool.busy.%d:17|g\n", "web.users,site=s%[1]d:u%[2]d|s\n", "web.bytes.r%d:%d|h|@0.1\n",
			}[n%5], random.IntN(400), random.IntN(1000))
			if i := strings.Index(string(packet), "%!"); i >= 0 { // an argument too many
				packet = append(packet[:i], '\n')
			}
			n++
		}
		packets = append(packets, packet)
		lines = append(lines, n)
	}
	return packets, lines
}

// A storm of packets through a real socket: memory stays bounded, and every
// event sent is in a batch or in a counter, the kernel's drops among them. The
// events are counters of one, a fixed number in each packet.
//
// SCRIPTBRIDGE_STORM=10000000 sends as many; the tests' own number is a tenth.
func TestStorm(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells how many packets it drops")
	}
	const inPacket, names = 100, 12_000
	events := 1_000_000
	if n, err := fmt.Sscan(os.Getenv("SCRIPTBRIDGE_STORM"), &events); n == 0 && os.Getenv("SCRIPTBRIDGE_STORM") != "" {
		t.Fatal(err)
	}
	events -= events % inPacket
	var put atomic.Uint64 // events in batches
	var batches, largest atomic.Int64
	sink := sinkFunc(func(b *record.Batch) {
		n := 0.0
		for i := range b.Samples {
			n += b.Samples[i].Value
		}
		put.Add(uint64(n))
		batches.Add(1)
		largest.Store(max(largest.Load(), int64(len(b.Samples))))
	})
	r := run(t, Type, &config.Receive{StatsD: &config.ReceiveStatsD{UDP: "127.0.0.1:0", TTL: time.Minute, MaxSeries: 10_000}}, sink)
	var packets [][]byte
	for p := range names / inPacket { // 12 000 names, of which 2 000 are too many
		var packet []byte
		for i := range inPacket {
			packet = fmt.Appendf(packet, "storm.n%d:1|c\n", p*inPacket+i)
		}
		packets = append(packets, packet)
	}
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var most uint64
	c, err := net.Dial("udp", r.Address(t, "udp"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	began := time.Now()
	for i := range events / inPacket {
		if _, err := c.Write(packets[i%len(packets)]); err != nil {
			t.Fatal(err)
		}
		if i%1000 == 0 {
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc)
		}
	}
	sent := time.Since(began)
	accounted := func() (n uint64, kernel, full uint64) {
		v := r.Counts.View().Dropped
		return put.Load() + v["kernel"]*inPacket + v["max_series"] + v["overload"], v["kernel"], v["max_series"]
	}
	r.Poll(t, "all events to be accounted for", func() bool { n, _, _ := accounted(); return n >= uint64(events) })
	n, kernel, full := accounted()
	if n != uint64(events) {
		t.Errorf("%d events of %d are accounted for", n, events)
	}
	if full == 0 || put.Load() == 0 {
		t.Errorf("%d put, %d without a place", put.Load(), full)
	}
	grown := int64(most) - int64(before.HeapAlloc)
	t.Logf("%d events in %d packets sent in %v (%.0f a second): %d put in %d batches of up to %d samples, %d dropped as max_series, %d packets (%d events) by the kernel; heap grew by %.1f MiB at most",
		events, events/inPacket, sent.Round(time.Millisecond), float64(events)/sent.Seconds(), put.Load(), batches.Load(), largest.Load(), full, kernel, kernel*inPacket, float64(grown)/(1<<20))
	if grown > 64<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
}

// A sample rate is a weight: a tiny one costs what none costs.
func BenchmarkRate(b *testing.B) {
	for _, line := range []string{"x:1|ms", "x:1|ms|@0.5", "x:1|ms|@1e-7"} {
		b.Run(line, func(b *testing.B) {
			m, packet := mergeOf(b, ""), []byte(line)
			b.ReportAllocs()
			for b.Loop() {
				m.packet(packet, epoch)
			}
		})
	}
}

// … and in memory too: none at all, once the series is known.
func TestRateAllocations(t *testing.T) {
	for _, line := range []string{"x:1|ms", "x:1|ms|@1e-7", "y:1|c|@0.5|#a:b", "z,a=b:+1|g", "u:ann|s"} {
		m := mergeOf(t, "")
		packet := []byte(line)
		m.packet(packet, epoch)
		if n := testing.AllocsPerRun(1000, func() { m.packet(packet, epoch) }); n != 0 {
			t.Errorf("%s: %v allocations", line, n)
		}
	}
}

// Packets as they come from clients, parsed and merged, flushed as once a
// second.
func BenchmarkPackets(b *testing.B) {
	for _, size := range []int{64, 1432, 8192} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			packets, lines := stormPackets(size)
			m := mergeOf(b, "")
			events, i := 0, 0
			b.ReportAllocs()
			for b.Loop() {
				m.packet(packets[i%len(packets)], epoch)
				events += lines[i%len(packets)]
				if i++; i%10_000 == 0 {
					m.flush(epoch)
				}
			}
			b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "packets/s")
		})
	}
}

// The same packets as statsd_exporter's pkg/line reads them: without mapping,
// merging or showing.
func BenchmarkPeerLines(b *testing.B) {
	packets, lines := stormPackets(1432)
	p := newPeer(b, "")
	events, i := 0, 0
	b.ReportAllocs()
	for b.Loop() {
		for line := range strings.SplitSeq(string(packets[i%len(packets)]), "\n") {
			p.events(line)
		}
		events += lines[i%len(packets)]
		i++
	}
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
}

// The same through a real socket, sender and receiver on one machine.
func BenchmarkSocket(b *testing.B) {
	for _, size := range []int{64, 1432, 8192} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			packets, lines := stormPackets(size)
			r := run(b, Type, &config.Receive{StatsD: &config.ReceiveStatsD{UDP: "127.0.0.1:0", TTL: time.Minute, MaxSeries: 10_000}}, record.Tee{})
			c, err := net.Dial("udp", r.Address(b, "udp"))
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			events, i := 0, 0
			for b.Loop() {
				c.Write(packets[i%len(packets)])
				events += lines[i%len(packets)]
				i++
			}
			took := b.Elapsed().Seconds()
			taken := float64(r.Counts.View().Packets["udp"])
			b.ReportMetric(taken/took, "packets/s")
			b.ReportMetric(100*(1-taken/float64(i)), "%lost")
			b.ReportMetric(float64(events)*taken/float64(i)/took, "events/s")
		})
	}
}
