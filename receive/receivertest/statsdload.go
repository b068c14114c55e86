package receivertest

import (
	"fmt"
	"math/rand/v2"
)

// StatsDLoad makes packets of so many lines as clients of StatsD send them: counters,
// gauges, timers and histograms with DogStatsD's tags, some with a sample rate, of so
// many series in turn.
func StatsDLoad(series, lines int) (packets [][]byte) {
	random := rand.New(rand.NewPCG(1, 2)) // the same load each time
	var packet []byte
	for i := range max(series, 500*lines) {
		one := i % series
		name, tags := one%50, fmt.Sprintf("|#route:r%d,code:200", one)
		switch one % 5 {
		case 0:
			packet = fmt.Appendf(packet, "web.requests.n%d:1|c%s\n", name, tags)
		case 1:
			packet = fmt.Appendf(packet, "pool.busy.n%d:%d|g%s\n", name, random.IntN(1000), tags)
		case 2:
			packet = fmt.Appendf(packet, "web.latency.n%d:%d.%d|ms%s\n", name, random.IntN(400), random.IntN(10), tags)
		case 3:
			packet = fmt.Appendf(packet, "web.bytes.n%d:%d|h|@0.5%s\n", name, random.IntN(100_000), tags)
		case 4:
			packet = fmt.Appendf(packet, "web.total.n%d:%d|c|@0.1%s\n", name, 1+random.IntN(5), tags)
		}
		if i%lines == lines-1 {
			packets = append(packets, packet[:len(packet)-1])
			packet = nil
		}
	}
	return packets
}
