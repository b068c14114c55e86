// Package errno compares errors of the system by what they mean: Windows has up to four
// numbers for what is one elsewhere, and Go gives them as they are.
package errno

import (
	"errors"
	"slices"
	"syscall"
)

// Is reports whether an error, or one that it wraps, means one of these, which are those
// of Unix, such as syscall.EADDRINUSE.
func Is(err error, any ...syscall.Errno) bool {
	for _, one := range any {
		if errors.Is(err, one) {
			return true
		}
	}
	number, ok := errors.AsType[syscall.Errno](err)
	return ok && slices.ContainsFunc(any, func(one syscall.Errno) bool { return slices.Contains(twins(one), number) })
}
