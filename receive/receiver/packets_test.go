package receiver

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-kit/log"

	"scriptbridge/internal/testkit"
)

// packetsAt is a listener at work by itself, and a client of it.
type packetsAt struct {
	*PacketListener
	client net.Conn
	counts *Counts
	said   *testkit.Buffer
}

func listenPackets(t *testing.T, network string, size int) *packetsAt {
	t.Helper()
	var c interface {
		packetConn
		SetReadBuffer(int) error
	}
	var err error
	if network == "udp" {
		c, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	} else {
		c, err = net.ListenUnixgram(network, &net.UnixAddr{Name: filepath.Join(t.TempDir(), "socket"), Net: network})
	}
	if err != nil {
		t.Fatal(err)
	}
	p := &packetsAt{counts: new(Counts), said: new(testkit.Buffer)}
	p.PacketListener, err = NewPacketListener(c, size, network, Env{Counts: p.counts, Logger: log.NewLogfmtLogger(p.said)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	if p.client, err = net.Dial(network, p.Address()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.client.Close() })
	return p
}

func (p *packetsAt) send(t *testing.T, packets ...string) {
	t.Helper()
	for _, packet := range packets {
		if _, err := io.WriteString(p.client, packet); err != nil {
			t.Fatal(err)
		}
	}
}

// serve has Serve give its packets to a channel, and its end to another.
func (p *packetsAt) serve() (packets chan string, ended chan error) {
	packets, ended = make(chan string, 1000), make(chan error, 1)
	go func() {
		ended <- p.Serve(func(packet []byte, _ time.Time) {
			if packet[0] == 'x' {
				panic("odd")
			}
			packets <- string(packet)
		})
	}()
	return packets, ended
}

// What comes is given in its order, none twice and none left out, whether its reader
// pauses or not, from whichever network; also what waits at the end.
func TestPacketsInOrder(t *testing.T) {
	for _, network := range []string{"udp", "unixgram"} {
		t.Run(network, func(t *testing.T) {
			needSockets(t, network)
			p := listenPackets(t, network, 100)
			packets, ended := p.serve()
			const all, atOnce = 3000, 100
			next := 0
			for sent := range all {
				p.send(t, fmt.Sprint(sent))
				for sent-next >= atOnce {
					if got := <-packets; got != fmt.Sprint(next) {
						t.Fatalf("packet %s in place of %d", got, next)
					}
					next++
				}
			}
			for ; next < all; next++ {
				if got := <-packets; got != fmt.Sprint(next) {
					t.Fatalf("packet %s in place of %d", got, next)
				}
			}
			p.Stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if v := p.counts.View(); v.Packets[network] != all || v.Bytes[network] != 10+90*2+900*3+2000*4 || p.Lost() != 0 {
				t.Errorf("counts %+v, %d lost", v, p.Lost())
			}
		})
	}
}

// needSockets skips a test of a network that the system has not.
func needSockets(t *testing.T, network string) {
	if network == "unixgram" && runtime.GOOS == "windows" {
		t.Skip("Windows has no such sockets")
	}
}

// A packet that is larger than the room for it is given as far as it fits, and ends
// nothing.
func TestPacketTooLarge(t *testing.T) {
	for _, network := range []string{"udp", "unixgram"} {
		t.Run(network, func(t *testing.T) {
			needSockets(t, network)
			p := listenPackets(t, network, 10)
			packets, ended := p.serve()
			p.send(t, "0123456789abc", "d", "0123456789", "0123456789abcdef")
			for _, want := range []string{"0123456789", "d", "0123456789", "0123456789"} {
				if got := <-packets; got != want {
					t.Errorf("packet %q, want %q", got, want)
				}
			}
			p.Stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if v := p.counts.View(); v.Packets[network] != 4 || v.Failed[network] != 0 {
				t.Errorf("counts %+v", v)
			}
		})
	}
}

// The sender is that of the packet that is given.
func TestPacketSender(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		c, err := net.ListenPacket("udp", address)
		if err != nil {
			t.Logf("not here: %v", err)
			continue
		}
		l, err := NewPacketListener(c.(*net.UDPConn), 10, "udp", Env{Counts: new(Counts), Logger: log.NewNopLogger()})
		if err != nil {
			t.Fatal(err)
		}
		senders := make(chan netip.AddrPort, 4)
		ended := make(chan error)
		go func() { ended <- l.Serve(func([]byte, time.Time) { senders <- l.Sender() }) }()
		_, port, _ := net.SplitHostPort(l.Address())
		for range 2 {
			host := "127.0.0.1"
			if strings.HasPrefix(address, "[::1]") {
				host = "::1"
			}
			client, err := net.Dial("udp", net.JoinHostPort(host, port))
			if err != nil {
				t.Fatal(err)
			}
			client.Write([]byte("a"))
			want := client.LocalAddr().(*net.UDPAddr).AddrPort()
			if got := <-senders; got.Port() != want.Port() || got.Addr().Unmap() != want.Addr() {
				t.Errorf("%s: %v, want %v", address, got, want)
			}
			client.Close()
		}
		l.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		l.Close()
	}
}

// The reader outlasts what passes, and ends with what does not.
func TestPacketsOutlastErrors(t *testing.T) {
	p := listenPackets(t, "udp", 100)
	read := p.read
	var errs []error
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} { // which are over after 75 ms
		errs = append(errs, os.NewSyscallError("recvmmsg", errno))
	}
	p.read = func() (int, error) {
		if len(errs) > 0 {
			err := errs[0]
			errs = errs[1:]
			return 0, err
		}
		return read()
	}
	packets, ended := p.serve()
	p.send(t, "a:1|c")
	select {
	case err := <-ended:
		t.Fatalf("it ended: %v", err)
	case packet := <-packets:
		if packet != "a:1|c" {
			t.Errorf("packet %q", packet)
		}
	}
	p.Stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := p.counts.View().Failed["udp"]; n != 4 || !strings.Contains(p.said.String(), "the listener takes what comes again") {
		t.Errorf("%d are counted; log:\n%s", n, p.said)
	}
	errs = []error{io.ErrUnexpectedEOF}
	if err := p.Serve(nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("what does not pass: %v", err)
	}
}

// What one has sent and leads to a fault of ours is lost, and no more: neither another
// packet that was read with it, nor one that waits at the end.
func TestPacketsOutlastFaults(t *testing.T) {
	p := listenPackets(t, "udp", 100)
	p.send(t, "a", "x1", "x2", "b") // which are read together
	packets, ended := p.serve()
	if got := <-packets + <-packets; got != "ab" {
		t.Errorf("taken was %q", got)
	}
	p.Stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	p.send(t, "x3", "c")
	packets, ended = p.serve()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := <-packets; got != "c" {
		t.Errorf("taken was %q", got)
	}
	if n := p.counts.View().Dropped[Faulty]; n != 3 {
		t.Errorf("%d are counted", n)
	}
	if n := strings.Count(p.said.String(), `msg="what was sent is lost" err="this is a fault of scriptbridge itself: odd (please report it; --log.level=debug tells where it is)" stack="goroutine `); n != 1 {
		t.Errorf("it is told %d times:\n%s", n, p.said)
	}
}

// A socket that was left alone gives what has come meanwhile and what comes later,
// and to read costs no memory.
func TestPacketsAfterPause(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere no socket is left alone")
	}
	p := listenPackets(t, "udp", 100)
	read := func() string {
		n, err := p.socket.read()
		if err != nil || n != 1 {
			t.Errorf("%d packets, %v", n, err)
		}
		return string(p.socket.packet(0))
	}
	for i := range 3 {
		p.socket.rest(0)
		p.send(t, fmt.Sprint("meanwhile", i))
		if got := read(); got != fmt.Sprint("meanwhile", i) {
			t.Errorf("packet %q", got)
		}
		later := make(chan string)
		go func() { later <- read() }()
		p.send(t, fmt.Sprint("later", i))
		if got := <-later; got != fmt.Sprint("later", i) {
			t.Errorf("packet %q", got)
		}
	}
	packet := []byte("a:1|c")
	if n := testing.AllocsPerRun(100, func() {
		p.client.Write(packet)
		p.socket.read()
		p.socket.rest(0)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A pause is made where two or more packets come in one, and where the kernel has room
// for what comes meanwhile.
func TestPacketsQuick(t *testing.T) {
	last := time.Unix(1_700_000_000, 0)
	for _, c := range []struct {
		pause, since time.Duration
		n            int
		want         bool
	}{
		{0, 0, 1, false},
		{10 * time.Millisecond, 4 * time.Millisecond, 1, true},
		{10 * time.Millisecond, 5 * time.Millisecond, 1, false},
		{10 * time.Millisecond, 100 * time.Millisecond, 1, false},
		{10 * time.Millisecond, 10 * time.Millisecond, 2, false},
		{10 * time.Millisecond, 10 * time.Millisecond, 3, true},
		{10 * time.Millisecond, time.Millisecond, packetsAtOnce, false},
	} {
		l := &PacketListener{pause: c.pause, last: last}
		if got := l.quick(c.n, last.Add(c.since)); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	for room, want := range map[int]time.Duration{
		0: 0, 10: 0, 499: 0, 500: time.Millisecond, 554: time.Millisecond, 3000: 6 * time.Millisecond, 10_922: longestPause,
	} {
		if got := pauseFor(room); got != want {
			t.Errorf("room for %d packets: %v, want %v", room, got, want)
		}
	}
}

// A socket of the file system is never left alone: its room is small, and where it is
// full its senders wait.
func TestPacketsOfFilesNoPause(t *testing.T) {
	needSockets(t, "unixgram")
	if p := listenPackets(t, "unixgram", 100); p.pause != 0 {
		t.Errorf("a pause of %v", p.pause)
	}
}
