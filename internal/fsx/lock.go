package fsx

import (
	"errors"
	"os"
	"time"
)

// ErrLocked says that somebody else has a lock.
var ErrLocked = errors.New("it is locked")

// WaitLock is Lock, and waits so long for somebody else, who may be about to end.
func WaitLock(f *os.File, patience time.Duration) error {
	const pause = 20 * time.Millisecond
	for left := patience; ; left -= pause {
		if err := Lock(f); !errors.Is(err, ErrLocked) || left <= 0 {
			return err
		}
		<-time.After(pause)
	}
}
