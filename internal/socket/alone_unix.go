//go:build unix

package socket

import "syscall"

// alone has nothing to do here: the first who listens has the address.
func alone(string, string, syscall.RawConn) error { return nil }
