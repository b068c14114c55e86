package winjob

import (
	"errors"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Windows lets a process send CTRL_BREAK only to those that share its console. A run
// has one of its own, so that no script can send one to us or to another run; so
// our own program is started once more without a console, takes that of the run, and asks.

// errNotAsked is why a process could not be asked.
var errNotAsked = errors.New("it has no console of its own")

// Ask sends CTRL_BREAK to a process and to all that have its console. It returns when
// they have been asked, or could not be within limit. The process must not be closed
// meanwhile.
func (p *Process) Ask(limit time.Duration) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	job, err := New(Limits{})
	if err != nil {
		return err
	}
	defer job.Close()
	helper, err := job.Start(&Program{
		Path: exe, CommandLine: windows.ComposeCommandLine([]string{AskName, strconv.Itoa(p.PID)}),
		Env: os.Environ(), Files: [4]*os.File{null, null, null}, NoConsole: true,
	})
	if err != nil {
		return err
	}
	defer helper.Close()
	if event, err := windows.WaitForSingleObject(helper.handle, uint32(limit.Milliseconds())); err != nil || event != windows.WAIT_OBJECT_0 {
		return errNotAsked
	}
	var code uint32
	if err := windows.GetExitCodeProcess(helper.handle, &code); err != nil || code != 0 {
		return errNotAsked
	}
	return nil
}

var (
	attachConsole         = kernel32.NewProc("AttachConsole")
	getConsoleProcessList = kernel32.NewProc("GetConsoleProcessList")
)

// Main is the helper. The error is for its exit code alone.
func Main(args []string) error {
	pid, err := strconv.ParseUint(args[1], 10, 32)
	if err != nil {
		return err
	}
	if ok, _, err := attachConsole.Call(uintptr(pid)); ok == 0 {
		return err
	}
	// A program with windows has no console of its own, and may have taken that of who has
	// started it, to print there. Then all would be asked who have that one, and the bridge too.
	if inConsole(uint32(os.Getppid())) {
		return errNotAsked
	}
	signal.Notify(make(chan os.Signal, 1), os.Interrupt) // which reaches us as well
	const all = 0                                        // whoever has this console
	if err := windows.GenerateConsoleCtrlEvent(windows.CTRL_BREAK_EVENT, all); err == nil {
		return nil
	}
	return windows.GenerateConsoleCtrlEvent(windows.CTRL_C_EVENT, all) // Wine has no other
}

// inConsole reports whether a process has the console that this one has.
func inConsole(pid uint32) bool {
	for room := 16; ; room *= 2 {
		list := make([]uint32, room)
		n, _, _ := getConsoleProcessList.Call(uintptr(unsafe.Pointer(&list[0])), uintptr(room))
		if n <= uintptr(room) {
			return slices.Contains(list[:n], pid)
		}
	}
}
