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

// OutOfTime reports false: nothing is limited.
func (s *Settings) OutOfTime(signal, exitCode int, used time.Duration) bool { return false }

// Open fails: the configuration refuses what would need it.
func Open() (ours, theirs *os.File, err error) { return nil, nil, errors.ErrUnsupported }

// Become is never called.
func Become(*os.File, *Program, time.Duration, func() error) (Usage, error) {
	return Usage{}, errors.ErrUnsupported
}
