//go:build unix

package main

import (
	"golang.org/x/sys/unix"
)

// readerLeft reports whether nobody reads our output any more. SIGPIPE alone
// does not say so: it comes for a script, too, that ends without reading what
// it is given.
func readerLeft() bool {
	fds := []unix.PollFd{{Fd: 1}, {Fd: 2}}
	if _, err := unix.Poll(fds, 0); err != nil {
		return false
	}
	return (fds[0].Revents|fds[1].Revents)&(unix.POLLERR|unix.POLLHUP) != 0
}
