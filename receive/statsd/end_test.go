package statsd

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/config"
	"scriptbridge/receive/receiver"
	"scriptbridge/receive/receivertest"
)

// What the kernel holds when a listener is to end is taken: clients sent it
// before.
func TestTakesWhatWaits(t *testing.T) {
	made, err := newReceiver(&config.Receive{StatsD: &config.ReceiveStatsD{}}, receiver.Env{Source: testSource, Counts: new(receiver.Counts)})
	if err != nil {
		t.Fatal(err)
	}
	s := made.(*statsd)
	for _, c := range []struct {
		network, address string
		open             func(context.Context, string) (*listener, error)
	}{
		{"udp", "127.0.0.1:0", s.openUDP},
		{"unixgram", filepath.Join(t.TempDir(), "socket"), s.openUnixgram},
		{"tcp", "127.0.0.1:0", s.openTCP},
	} {
		t.Run(c.network, func(t *testing.T) {
			if c.network == "unixgram" && runtime.GOOS == "windows" {
				t.Skip("Windows has no such sockets")
			}
			l, err := c.open(t.Context(), c.address)
			if err != nil {
				t.Fatal(err)
			}
			defer l.close()
			served := make(chan error)
			go func() { served <- l.serve() }()
			conn := receivertest.Dial(t, c.network, strings.TrimPrefix(l.address, c.network+" "))
			io.WriteString(conn, "a:1|c\n")
			for taken := uint64(0); taken == 0; taken = s.env.Counts.View().Packets[c.network] {
				runtime.Gosched()
			}
			s.merge.mu.Lock() // the reader stands still
			want := map[string]float64{"a": 1}
			for i := range 8 { // unixgram has room for ten
				fmt.Fprintf(conn, "b%d:%d|c\n", i, i)
				want[fmt.Sprintf("b%d", i)] = float64(i)
			}
			stopped := make(chan bool)
			go func() {
				l.stop()
				close(stopped)
			}()
			if c.network == "tcp" { // its stop waits for the reader
				for err := error(nil); err == nil; {
					var extra net.Conn
					if extra, err = net.Dial("tcp", conn.RemoteAddr().String()); err == nil {
						extra.Close()
					}
				}
			} else {
				<-stopped
			}
			s.merge.mu.Unlock()
			if err := <-served; err != nil {
				t.Error(err)
			}
			<-stopped
			got := make(map[string]float64)
			for _, b := range s.merge.flush(epoch) {
				for _, smp := range b.Samples {
					got[smp.Name] = smp.Value
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
