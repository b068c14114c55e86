// Package peer tells which user of this machine is at the other end of a
// connection. Linux knows it; elsewhere UID fails.
package peer

import "errors"

// ErrUnknown says that the other end's user cannot be told: it is on another
// machine, has gone already, or the system does not say.
var ErrUnknown = errors.New("the user at the other end is not known")
