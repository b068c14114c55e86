//go:build !windows

package winjob

import "errors"

// Main is never called.
func Main([]string) error { return errors.ErrUnsupported }
