//go:build !linux

package receiver

import (
	"net"
	"net/netip"
	"time"
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
	return 1, err
}

func (s *packetSocket) packet(int) []byte { return s.buffer[:s.n] }

func (s *packetSocket) sender(int) netip.AddrPort { return s.from }

// waiting gives nothing here: what waits is lost with its socket.
func (s *packetSocket) waiting() int { return 0 }

func (s *packetSocket) rest(time.Duration) {}

func (s *packetSocket) stop() {
	s.c.SetReadDeadline(LongAgo) //nolint:errcheck // it is closed then
}

func (s *packetSocket) lost() uint32 { return 0 }

func (s *packetSocket) close() { s.c.Close() }
