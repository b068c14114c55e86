package fsx

import "golang.org/x/sys/unix"

// largeFile lets a program with words of 32 bits open a file of 2 GiB and more. os.OpenFile asks
// for it by itself, os.Root does not.
const largeFile = unix.O_LARGEFILE
