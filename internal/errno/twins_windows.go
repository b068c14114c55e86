package errno

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// twins are the numbers of Windows with the meaning of one of Unix: those of Winsock, and
// those that the same call gives when it was not done at once.
func twins(one syscall.Errno) []syscall.Errno { return ofWindows[one] }

var ofWindows = map[syscall.Errno][]syscall.Errno{
	syscall.EACCES:        {windows.ERROR_ACCESS_DENIED, windows.WSAEACCES},
	syscall.EADDRINUSE:    {windows.WSAEADDRINUSE, windows.ERROR_ADDRESS_ALREADY_ASSOCIATED},
	syscall.EADDRNOTAVAIL: {windows.WSAEADDRNOTAVAIL},
	syscall.EAFNOSUPPORT:  {windows.WSAEAFNOSUPPORT},
	syscall.EAGAIN:        {windows.WSAEWOULDBLOCK},
	syscall.EBADF:         {windows.ERROR_INVALID_HANDLE},
	syscall.ECONNABORTED:  {windows.WSAECONNABORTED, windows.ERROR_CONNECTION_ABORTED},
	syscall.ECONNREFUSED:  {windows.WSAECONNREFUSED, windows.ERROR_CONNECTION_REFUSED, windows.ERROR_PORT_UNREACHABLE},
	syscall.ECONNRESET:    {windows.WSAECONNRESET, windows.ERROR_NETNAME_DELETED},
	syscall.EEXIST:        {windows.ERROR_FILE_EXISTS, windows.ERROR_ALREADY_EXISTS},
	syscall.EHOSTDOWN:     {windows.WSAEHOSTDOWN},
	syscall.EHOSTUNREACH:  {windows.WSAEHOSTUNREACH, windows.ERROR_HOST_UNREACHABLE},
	syscall.EINTR:         {windows.WSAEINTR},
	syscall.EMFILE:        {windows.WSAEMFILE, windows.ERROR_TOO_MANY_OPEN_FILES},
	syscall.EMSGSIZE:      {windows.WSAEMSGSIZE, windows.ERROR_MORE_DATA},
	syscall.ENETDOWN:      {windows.WSAENETDOWN},
	syscall.ENETRESET:     {windows.WSAENETRESET},
	syscall.ENETUNREACH:   {windows.WSAENETUNREACH, windows.ERROR_NETWORK_UNREACHABLE},
	syscall.ENOBUFS:       {windows.WSAENOBUFS},
	syscall.ENOENT:        {windows.ERROR_FILE_NOT_FOUND, windows.ERROR_PATH_NOT_FOUND},
	syscall.ENOMEM: {
		windows.ERROR_NOT_ENOUGH_MEMORY, windows.ERROR_OUTOFMEMORY, windows.ERROR_COMMITMENT_LIMIT, windows.ERROR_NO_SYSTEM_RESOURCES,
		windows.ERROR_NOT_ENOUGH_QUOTA,
	},
	syscall.ENOPROTOOPT: {windows.WSAENOPROTOOPT},
	syscall.ENOSPC:      {windows.ERROR_DISK_FULL, windows.ERROR_HANDLE_DISK_FULL, windows.ERROR_DISK_QUOTA_EXCEEDED},
	syscall.ENOTDIR:     {windows.ERROR_DIRECTORY},
	syscall.EOPNOTSUPP:  {windows.WSAEOPNOTSUPP},
	syscall.EPIPE:       {windows.ERROR_BROKEN_PIPE, windows.ERROR_NO_DATA, windows.ERROR_PIPE_NOT_CONNECTED, windows.WSAESHUTDOWN},
	syscall.EROFS:       {windows.ERROR_WRITE_PROTECT},
	syscall.ETIMEDOUT:   {windows.WSAETIMEDOUT, windows.ERROR_SEM_TIMEOUT},
	syscall.EXDEV:       {windows.ERROR_NOT_SAME_DEVICE},
}
