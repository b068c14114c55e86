//go:build unix

package connlimit

import "golang.org/x/sys/unix"

// descriptors is how many files and connections the program may have open.
func descriptors() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return most * share
	}
	return int(min(limit.Cur, most*share))
}
