//go:build !linux

package limits

import (
	"errors"
	"os"
	"time"
)

// Self and Name are of no use here.
const (
	Self = ""
	Name = ""
)

// Called reports false: there is no helper.
func Called([]string) bool { return false }

// Main is never called.
func Main() error { return errors.ErrUnsupported }

// OutOfTime reports whether a run that ended so, after all of its processes had used
// so much, has reached its limit. Windows ends what is in a job with a code that says so.
func (s *Settings) OutOfTime(_, exitCode int, used time.Duration) bool {
	const notEnoughQuota = 1816
	return s.CPU > 0 && (used >= s.CPU || exitCode == notEnoughQuota)
}

// Open fails: the configuration refuses what would need it.
func Open() (ours, theirs *os.File, err error) { return nil, nil, errors.ErrUnsupported }

// Become is never called.
func Become(*os.File, *Program, time.Duration, func() error) (Usage, error) {
	return Usage{}, errors.ErrUnsupported
}
