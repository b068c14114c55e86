//go:build !windows

package winservice

import (
	"context"
	"io"
)

// Run runs nothing: there are no services here.
func Run(Program) (code int, was bool) { return 0, false }

// Install fails.
func Install(Installation) (*Installed, error) { return nil, ErrElsewhere }

// Remove fails.
func Remove(context.Context) (*Removed, error) { return nil, ErrElsewhere }

// OpenLog fails.
func OpenLog() (io.WriteCloser, error) { return nil, errNoLog }
