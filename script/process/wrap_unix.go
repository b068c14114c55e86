//go:build unix

package process

import (
	"os"

	"golang.org/x/sys/unix"
)

// atTerminal says whether we are in the foreground of a terminal: what
// is typed there, and the terminal's end, reaches the whole process group, and
// who got it twice might take the second for impatience.
func atTerminal() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
