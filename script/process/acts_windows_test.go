package process

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// detachments are the ways in which a process leaves who has started it.
var detachments = []*syscall.SysProcAttr{
	{},
	{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP},
	{CreationFlags: windows.DETACHED_PROCESS},
	{CreationFlags: windows.CREATE_NEW_CONSOLE | windows.CREATE_NEW_PROCESS_GROUP},
	{CreationFlags: windows.CREATE_BREAKAWAY_FROM_JOB}, // which is refused
}

func exitWith(code uint32) { windows.ExitProcess(code) }
