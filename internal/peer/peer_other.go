//go:build !linux

package peer

import "net"

// UID fails here.
func UID(net.Conn) (uint32, error) { return 0, ErrUnsupported }
