//go:build !linux

package receive

import "syscall"

// kernelDrops is unknown here.
func kernelDrops(syscall.Conn) uint32 { return 0 }
