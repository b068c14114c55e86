package spool

import (
	"errors"
	"time"
)

// Shrinker shrinks a spool, seldom where that fails: on a full disk the whole copy
// would be in vain each time. The zero value has not failed yet.
type Shrinker struct{ failed time.Time }

// shrinkAgain is for how long Shrink is not tried again after it failed.
const shrinkAgain = time.Hour

// Shrink is that of s, unless it failed less than an hour ago.
func (r *Shrinker) Shrink(s *Spool, now time.Time) error {
	if since := now.Sub(r.failed); since >= 0 && since < shrinkAgain {
		return nil
	}
	r.failed = time.Time{}
	err := s.Shrink()
	if err != nil && !errors.Is(err, ErrClosed) {
		r.failed = now
	}
	return err
}
