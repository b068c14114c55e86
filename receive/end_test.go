package receive

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/config"
	"scriptbridge/record"
)

// What the kernel holds when a listener is to end is taken: clients sent it
// before.
func TestStatsDTakesWhatWaits(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere what waits is lost")
	}
	made, err := newStatsD(&config.Receive{StatsD: &config.ReceiveStatsD{}}, Env{Source: statsdSource, Counts: new(Counts)})
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
			conn := dial(t, c.network, strings.TrimPrefix(l.address, c.network+" "))
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
			for _, b := range s.merge.flush(statsdEpoch) {
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
func TestStatsDLongPacket(t *testing.T) {
	r := statsdAt(t, &config.ReceiveStatsD{Unixgram: filepath.Join(t.TempDir(), "socket")})
	const lines = (maxPacket - 5) / 6
	packet := strings.Repeat("\n", (maxPacket-5)%6) + strings.Repeat("a:1|c\n", lines) + "b:1|c|@0.1\nc:1|c\n" // cut behind b:1|c
	io.WriteString(dial(t, "unixgram", r.address(t, "unixgram")), packet)
	r.poll(t, "the packet", func() bool { return cmp.Equal([]string{"too_long"}, r.sink.refused()) })
	if diff := cmp.Diff(map[string]float64{"a{}": lines}, r.sink.state()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// So it is with collectd's packets.
func TestCollectdTakesWhatWaits(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere what waits is lost")
	}
	c := collectdAt(t, config.ReceiveCollectd{Interval: 10 * time.Second}, record.Tee{})
	conn, err := listenCollectd("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	listened := make(chan error)
	go func() { listened <- c.listen(conn, newPatience("udp", c.env, nil)) }()
	c.merge.mu.Lock() // the reader stands still
	to := dial(t, "udp", conn.LocalAddr().String())
	for i := range 10 {
		to.Write(collectdPacketOf(t, fmt.Sprintf("host h%d\nplugin p\ntype t\nvalues gauge:1", i)))
	}
	conn.SetReadDeadline(longAgo)
	c.merge.mu.Unlock()
	if err := <-listened; err != nil {
		t.Error(err)
	}
	if n := len(c.merge.series); n != 10 {
		t.Errorf("%d of 10 packets were taken", n)
	}
}
