// Package peer tells which user of this machine is at the other end of a
// connection. Linux and Windows know it; elsewhere Of fails.
package peer

import (
	"errors"
	"net"
	"net/netip"
)

// ErrUnsupported says that this system does not tell.
var ErrUnsupported = errors.New("this system does not tell which user is at the other end")

// ErrUnknown says that the other end's user cannot be told: it is on another
// machine, or has gone already.
var ErrUnknown = errors.New("the user at the other end is not known")

// User is who is at the other end.
type User struct {
	// Name is that of the user in words for logs, such as "uid 1000".
	Name string
	// Own says that it is who runs this program, or who may do everything here anyway.
	Own bool
}

// unwrapped is what a connection, such as one of TLS, is wrapped around.
func unwrapped(c net.Conn) net.Conn {
	for {
		w, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return c
		}
		c = w.NetConn()
	}
}

func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := tcp.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap().WithZone(""), p.Port())
}
