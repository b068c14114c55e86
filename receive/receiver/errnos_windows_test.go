package receiver_test

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// ofSystem are those of this system that have other numbers than Unix's.
var ofSystem = []syscall.Errno{
	windows.WSAEMFILE, windows.ERROR_TOO_MANY_OPEN_FILES, windows.WSAENOBUFS, windows.ERROR_NOT_ENOUGH_MEMORY, windows.ERROR_NO_SYSTEM_RESOURCES,
	windows.WSAEINTR, windows.WSAEWOULDBLOCK, windows.WSAECONNABORTED, windows.WSAECONNRESET, windows.ERROR_NETNAME_DELETED, windows.WSAECONNREFUSED,
	windows.ERROR_PORT_UNREACHABLE, windows.WSAENETDOWN, windows.WSAENETRESET, windows.WSAENETUNREACH, windows.WSAEHOSTUNREACH, windows.WSAETIMEDOUT,
}
