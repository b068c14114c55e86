//go:build !linux

package receiver

import (
	"net"
	"time"
)

// waitingTime is for reading what waits already: with a deadline that is over nothing
// is read.
const waitingTime = 50 * time.Millisecond

// readWaiting reads once of what the kernel holds of a socket, and hardly waits for
// more: ok is false when there is none. It leaves a deadline behind.
func readWaiting(c net.Conn, buf []byte) (n int, ok bool) {
	if c.SetReadDeadline(time.Now().Add(waitingTime)) != nil {
		return 0, false
	}
	n, err := c.Read(buf)
	return n, err == nil
}
