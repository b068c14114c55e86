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
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere what waits is lost")
	}
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

// A packet that the kernel has cut off loses its end, and the line that is cut
// is not taken for a whole one.
func TestLongPacket(t *testing.T) {
	r := receiverAt(t, &config.ReceiveStatsD{Unixgram: filepath.Join(t.TempDir(), "socket")})
	const lines = (maxPacket - 5) / 6
	packet := strings.Repeat("\n", (maxPacket-5)%6) + strings.Repeat("a:1|c\n", lines) + "b:1|c|@0.1\nc:1|c\n" // cut behind b:1|c
	io.WriteString(receivertest.Dial(t, "unixgram", r.Address(t, "unixgram")), packet)
	r.Poll(t, "the packet", func() bool { return cmp.Equal([]string{"too_long"}, r.Refused()) })
	if diff := cmp.Diff(map[string]float64{"a{}": lines}, r.State()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
