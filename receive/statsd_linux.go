package receive

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernelDrops is how many packets the kernel has dropped because the socket's
// buffer was full. It is a figure of the socket's own (SK_MEMINFO_DROPS of
// SO_MEMINFO, Linux 4.12), which /proc/net/udp has too, but among those of all
// others. 0 when it cannot be told.
func kernelDrops(c syscall.Conn) uint32 {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	var info [unix.SK_MEMINFO_VARS]uint32
	size := uint32(unsafe.Sizeof(info))
	err2 := raw.Control(func(fd uintptr) {
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0) //nolint:gosec // x/sys has no call for it
		if errno != 0 {
			err = errno
		}
	})
	if err != nil || err2 != nil {
		return 0
	}
	return info[unix.SK_MEMINFO_DROPS]
}
