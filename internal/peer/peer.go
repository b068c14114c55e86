// Package peer tells which user of this machine is at the other end of a
// connection. Linux knows it; elsewhere UID fails.
package peer

import "errors"

// ErrUnsupported says that this system does not tell.
var ErrUnsupported = errors.New("this system does not tell which user is at the other end")

// ErrUnknown says that the other end's user cannot be told: it is on another
// machine, or has gone already.
var ErrUnknown = errors.New("the user at the other end is not known")
