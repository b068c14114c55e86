// Package socket opens listeners that no other program can take the place of: Windows
// lets a program listen on an address that another one has already, unless that one has
// said that it is alone there.
package socket

import (
	"context"
	"net"
)

// Listen listens for connections.
func Listen(ctx context.Context, network, address string) (net.Listener, error) {
	return (&net.ListenConfig{Control: alone}).Listen(ctx, network, address)
}

// ListenUDP listens for packets.
func ListenUDP(ctx context.Context, address string) (*net.UDPConn, error) {
	c, err := (&net.ListenConfig{Control: alone}).ListenPacket(ctx, "udp", address)
	if err != nil {
		return nil, err
	}
	return c.(*net.UDPConn), nil
}
