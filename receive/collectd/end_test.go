package collectd

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"scriptbridge/config"
	"scriptbridge/receive/receivertest"
	"scriptbridge/record"
)

// What the kernel holds when a listener is to end is taken: clients sent it
// before.
func TestTakesWhatWaits(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere what waits is lost")
	}
	c := receiverAt(t, config.ReceiveCollectd{Interval: 10 * time.Second}, record.Tee{})
	conn, err := c.listenUDP(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	listened := make(chan error)
	go func() { listened <- c.listen(conn) }()
	c.merge.mu.Lock() // the reader stands still
	to := receivertest.Dial(t, "udp", conn.Address())
	for i := range 10 {
		to.Write(receivertest.CollectdPacket(t, fmt.Sprintf("host h%d\nplugin p\ntype t\nvalues gauge:1", i)))
	}
	conn.Stop()
	c.merge.mu.Unlock()
	if err := <-listened; err != nil {
		t.Error(err)
	}
	if n := len(c.merge.series); n != 10 {
		t.Errorf("%d of 10 packets were taken", n)
	}
}
