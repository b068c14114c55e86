package receive

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scriptbridge/config"
	"scriptbridge/receive/receivertest"
)

// collectdContract holds the receiver for collectd to what all promise, by way
// of its packets.
var collectdContract = contract{
	Config: func(t *testing.T, folder string) *config.Receive {
		types, auth := filepath.Join(folder, "types.db"), filepath.Join(folder, "auth")
		receivertest.WriteFile(t, types, receivertest.CollectdTypes)
		receivertest.WriteFile(t, auth, "alice: secret\n")
		return &config.Receive{Collectd: &config.ReceiveCollectd{
			UDP: "127.0.0.1:0", SecurityLevel: "none", AuthFile: auth, TypesDB: []string{types},
			HTTPPath: "/collectd-post", Interval: 10 * time.Second, MaxSeries: 1000,
		}}
	},
	Send: func(t *testing.T, to receivertest.Addresses, messages ...string) {
		t.Helper()
		conn, err := net.Dial("udp", to.Of(t, "udp"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for _, m := range messages {
			if _, err := conn.Write([]byte(m)); err != nil {
				t.Fatal(err)
			}
		}
	},
	Good: receivertest.CollectdPackets(
		"host web1\nplugin load\ntype load\nvalues gauge:1 gauge:2 gauge:3",
		"host web1\nplugin swap\ntype total_requests\nvalues absolute:4\nvalues absolute:5",
		"encrypt alice secret\nhost web2\nplugin cpu\nplugin_instance 0\ntype percent\ntype_instance idle\nvalues gauge:98.5",
	),
	Want: map[string]float64{
		"collectd_load_shortterm{instance=web1}":              1,
		"collectd_load_midterm{instance=web1}":                2,
		"collectd_load_longterm{instance=web1}":               3,
		"collectd_swap_total_requests_total{instance=web1}":   9,
		"collectd_cpu_percent{instance=web2,cpu=0,type=idle}": 98.5,
	},
	Bad: receivertest.CollectdPackets(
		"hex 00 03 00 05 41",
		"hex 00 06 00",
		"host web1\nplugin load\ntype load\nvalues gauge:nan",
		"host web1\nplugin load\nvalues gauge:1",
		"encrypt alice wrong\nhost web1\nplugin load\ntype load\nvalues gauge:7 gauge:7 gauge:7",
		"host web1\nplugin load\ntype load\nhex 00 06 00 05 00",
	),
	Overload: func(t *testing.T, to receivertest.Addresses) string {
		var text strings.Builder
		text.WriteString("host web1\nseverity 2\n")
		for i := range 2000 {
			fmt.Fprintf(&text, "message number %d\n", i)
		}
		conn, err := net.Dial("udp", to.Of(t, "udp"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write(receivertest.CollectdPacket(t, text.String())); err != nil {
			t.Fatal(err)
		}
		return "overload"
	},
}
