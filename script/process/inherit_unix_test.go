//go:build unix

package process

import (
	"fmt"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"scriptbridge/record"
)

// A script has none of the descriptors that the bridge was given, and a umask that
// does not depend on who started the bridge.
func TestRunInherits(t *testing.T) {
	var pipe [2]int
	if err := unix.Pipe(pipe[:]); err != nil { // open for whatever is started
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	defer syscall.Umask(syscall.Umask(0o077))
	l := testLauncher(t)
	c := shell(fmt.Sprintf("umask; for fd in %d %d; do [ ! -e /dev/fd/$fd ] || echo $fd; done", pipe[0], pipe[1]))
	checkEnding(t, l.Run(t.Context(), c), ending{"0022\n", record.OK, 0, ""})
	if own := syscall.Umask(0o077); own != 0o077 {
		t.Errorf("our own umask is %#o", own)
	}
}
