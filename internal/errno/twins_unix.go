//go:build unix

package errno

import "syscall"

// twins has none here: each meaning has one number.
func twins(syscall.Errno) []syscall.Errno { return nil }
