//go:build unix

package process

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
)

// maskLock is held while this process's own umask is not its own, as limitLock is.
var maskLock sync.Mutex

// given starts a process with nothing of ours but what it is to have. The umask
// belongs to the whole process: for a moment our own files might be made with that
// of scripts, so those that others must not read say so themselves.
func given(start func(*exec.Cmd, bool) (*process, error), cmd *exec.Cmd, keep bool) (*process, error) {
	runtime.LockOSThread() // which the child takes its capabilities from
	defer runtime.UnlockOSThread()
	dropInheritable()
	maskLock.Lock()
	defer maskLock.Unlock()
	defer syscall.Umask(syscall.Umask(0o022))
	return start(cmd, keep)
}

// keepDescriptors has no process inherit what this one was given beside its
// standard input, output and error. What we open ourselves is never inherited.
func keepDescriptors() {
	entries, _ := os.ReadDir("/dev/fd")
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}
