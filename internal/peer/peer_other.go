//go:build !linux && !windows

package peer

import "net"

// Of fails here.
func Of(net.Conn) (User, error) { return User{}, ErrUnsupported }
