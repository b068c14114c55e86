package fsx

import (
	"slices"

	"golang.org/x/sys/unix"
)

// ReadKernel reads a small file that the kernel makes as it is read, such as one of
// /proc or of a cgroup, without os.File, which would ask the kernel two to four times
// as much. What was read before an error is given with it.
func ReadKernel(name string) ([]byte, error) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd) //nolint:errcheck // it was only read
	text := make([]byte, 0, 2<<10)
	for {
		text = slices.Grow(text, 512)
		n, err := unix.Read(fd, text[len(text):cap(text)])
		if n <= 0 || err != nil {
			return text, err
		}
		text = text[:len(text)+n]
	}
}
