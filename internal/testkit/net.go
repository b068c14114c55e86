package testkit

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// FreeAddress is one of loopback on which nobody listens, neither for connections nor
// for packets. Its port is none that is given to who asks for any: a client's end of a
// connection would keep a listener out.
func FreeAddress() string {
	for {
		address := fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(10_000)) // #nosec G404 -- a port for a test
		packets, err := net.ListenPacket("udp", address)
		if err != nil {
			continue
		}
		connections, err := net.Listen("tcp", address)
		packets.Close()
		if err != nil {
			continue
		}
		connections.Close()
		return address
	}
}

// PipeListener gives connections that a test makes, such as those of net.Pipe.
type PipeListener chan net.Conn

// Accept waits for the next one.
func (l PipeListener) Accept() (net.Conn, error) {
	c, ok := <-l
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

// Close ends Accept; nothing may be sent any more.
func (l PipeListener) Close() error { close(l); return nil }

// Addr is of no use.
func (l PipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// Datagram waits for the next packet of a socket.
func Datagram(t testing.TB, conn net.Conn) string {
	t.Helper()
	buf := make([]byte, 4<<10)
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}
