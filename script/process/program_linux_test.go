package process

import (
	"os"
	"runtime"
	"syscall"
	"testing"

	"scriptbridge/script/process/processtest"
)

// A script that an interpreter is to read, and that we may not, is no program. The
// thread alone becomes somebody else, as far as access(2) asks.
func TestCheckProgramUnreadable(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	file := processtest.WriteScript(t, "f", "", 0o700)
	become := func(uid uintptr) {
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, uid, ^uintptr(0), ^uintptr(0)); errno != 0 {
			t.Fatal(errno)
		}
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	become(65534)
	defer become(0)
	g := &Guard{}
	if err := g.CheckProgram(file, false); err == nil || err.Error() != file+": permission denied" {
		t.Errorf("it can be read: %v", err)
	}
	g.RunAs = &Account{UID: 1, GID: 1} // who may read what we may not
	if err := g.CheckProgram(file, false); err != nil {
		t.Errorf("another user is judged by our rights: %v", err)
	}
}
