//go:build unix

package store

import (
	"time"

	"golang.org/x/sys/unix"
)

// processorTime is how long the program has had a processor.
func processorTime() time.Duration {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
