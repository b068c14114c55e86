//go:build !unix

package store

import "time"

// processorTime is not known here: it is taken for what the clock says.
func processorTime() time.Duration { return time.Duration(time.Now().UnixNano()) }
