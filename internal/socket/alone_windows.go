package socket

import (
	"os"
	"syscall"

	"golang.org/x/sys/windows"
)

// exclusive is SO_EXCLUSIVEADDRUSE, which x/sys has not: ~SO_REUSEADDR.
const exclusive = ^windows.SO_REUSEADDR

// alone has a socket keep its address for itself: without it, anybody here may listen on
// 127.0.0.1 where the bridge does on all addresses, and have what was meant for it.
func alone(_, _ string, c syscall.RawConn) error {
	var failed error
	if err := c.Control(func(fd uintptr) {
		failed = windows.SetsockoptInt(windows.Handle(fd), windows.SOL_SOCKET, exclusive, 1)
	}); err != nil {
		return err
	}
	return os.NewSyscallError("setsockopt", failed)
}
