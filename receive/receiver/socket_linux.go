package receiver

import (
	"errors"
	"net"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernelDrops is how many packets the kernel has dropped because the socket's
// buffer was full. It is a figure of the socket's own (SK_MEMINFO_DROPS of
// SO_MEMINFO, Linux 4.12), which /proc/net/udp has too, but among those of all
// others. 0 when it cannot be told.
func kernelDrops(fd int) uint32 {
	var info [unix.SK_MEMINFO_VARS]uint32
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0) //nolint:gosec // x/sys has no call for it
	if errno != 0 {
		return 0
	}
	return info[unix.SK_MEMINFO_DROPS]
}

// readWaiting reads once of what the kernel holds of a socket, and waits for
// nothing: ok is false when there is no more. It takes the deadline off.
func readWaiting(c net.Conn, buf []byte) (n int, ok bool) {
	socket, ok := c.(syscall.Conn)
	if !ok || c.SetReadDeadline(time.Time{}) != nil {
		return 0, false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, false
	}
	errRead := error(unix.EINTR)
	err = raw.Read(func(fd uintptr) bool {
		for errors.Is(errRead, unix.EINTR) {
			n, errRead = unix.Read(int(fd), buf)
		}
		return true // also for EAGAIN, so that nobody waits
	})
	return n, err == nil && errRead == nil
}
