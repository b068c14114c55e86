//go:build unix

package testkit

import (
	"syscall"
	"time"
)

// CPUTime is what the test's own process has used of the processor.
func CPUTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
