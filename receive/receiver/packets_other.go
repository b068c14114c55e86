//go:build !linux

package receiver

import (
	"net"
	"net/netip"
	"syscall"
	"time"

	"scriptbridge/internal/errno"
)

// packetSocket is a socket that packets are read from one by one.
type packetSocket struct {
	c      packetConn
	buffer []byte
	n      int
	from   netip.AddrPort
	room   int // unknown
}

func newPacketSocket(c packetConn, size int) (*packetSocket, error) {
	return &packetSocket{c: c, buffer: make([]byte, size)}, nil
}

func (s *packetSocket) read() (_ int, err error) {
	if udp, ok := s.c.(*net.UDPConn); ok {
		s.n, s.from, err = udp.ReadFromUDPAddrPort(s.buffer)
	} else {
		s.n, err = s.c.Read(s.buffer)
	}
	if errno.Is(err, syscall.EMSGSIZE) { // Windows tells so that the rest did not fit
		s.n, err = len(s.buffer), nil
	}
	return 1, err
}

func (s *packetSocket) packet(int) []byte { return s.buffer[:s.n] }

func (s *packetSocket) sender(int) netip.AddrPort { return s.from }

// waiting reads what waits, and hardly waits for more.
func (s *packetSocket) waiting() int {
	if s.c.SetReadDeadline(time.Now().Add(waitingTime)) != nil {
		return 0
	}
	n, err := s.read()
	if err != nil {
		return 0
	}
	return n
}

func (s *packetSocket) rest(time.Duration) {}

func (s *packetSocket) stop() {
	s.c.SetReadDeadline(LongAgo) //nolint:errcheck // it is closed then
}

func (s *packetSocket) lost() uint32 { return 0 }

func (s *packetSocket) close() { s.c.Close() }
