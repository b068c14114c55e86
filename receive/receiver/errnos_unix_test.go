//go:build unix

package receiver_test

import "syscall"

// ofSystem are those of this system that have other numbers than Unix's.
var ofSystem []syscall.Errno
