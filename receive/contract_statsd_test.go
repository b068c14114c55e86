package receive

import (
	"io"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"scriptbridge/config"
	"scriptbridge/receive/receivertest"
)

// statsdContract holds StatsD to what all receivers promise: every third
// message comes by another way.
var statsdContract = contract{
	Config: func(t *testing.T, folder string) *config.Receive {
		mapping := filepath.Join(folder, "mapping.yml")
		receivertest.WriteFile(t, mapping, "mappings:\n- match: web.*.hits\n  name: web_hits_total\n  labels: {page: $1}\n")
		c := &config.ReceiveStatsD{UDP: "127.0.0.1:0", TCP: "127.0.0.1:0", MappingConfig: mapping, TTL: time.Minute, MaxSeries: 1000}
		if runtime.GOOS != "windows" {
			c.Unixgram = filepath.Join(folder, "statsd.sock")
		}
		return &config.Receive{StatsD: c}
	},
	Send: func(t *testing.T, to receivertest.Addresses, messages ...string) {
		for i, m := range messages {
			network := []string{"udp", "unixgram", "tcp"}[i%3]
			if network == "unixgram" && runtime.GOOS == "windows" {
				network = "udp"
			}
			if network == "tcp" {
				m += "\n"
			}
			c, err := net.Dial(network, to.Of(t, network))
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(c, m)
			c.Close()
		}
	},
	Good: []string{
		"web.index.hits:2|c", "web.index.hits:1|c|@0.5", "web.about.hits:1:1:1|c",
		"queue:7|g|#kind:mail", "time:250|ms|@0.25", "users:ann|s",
		"_sc|disk|1|#at:home",
	},
	Want: map[string]float64{
		"web_hits_total{page=index}": 4, "web_hits_total{page=about}": 3,
		"queue{kind=mail}": 7, "time{}": 4, "users{}": 1, "disk{at=home}": 1,
	},
	Bad: []string{
		"web.index.hits", "web.index.hits:x|c", "queue:1|gg|#kind:mail", "time:nan|ms", "users:ann|c",
		"web.index.hits:-1|c", "_sc|disk|9", "_e{9,9}:short|one", "\xff:1|c", "time:1|ms|@no", "",
	},
	Overload: func(t *testing.T, to receivertest.Addresses) string {
		// In one packet, between whose lines nothing is put.
		io.WriteString(receivertest.Dial(t, "udp", to.Of(t, "udp")), strings.Repeat("_e{1,1}:a|b\n", 2000))
		return "overload"
	},
}
