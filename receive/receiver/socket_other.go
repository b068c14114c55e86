//go:build !linux

package receiver

import (
	"net"
	"syscall"
)

// KernelDrops is unknown here.
func KernelDrops(syscall.Conn) uint32 { return 0 }

// readWaiting gives nothing here: what waits is lost with its socket.
func readWaiting(net.Conn, []byte) (n int, ok bool) { return 0, false }
