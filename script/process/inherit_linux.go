package process

import "golang.org/x/sys/unix"

// dropInheritable has what this thread starts not inherit its capabilities; with
// them go the ambient ones. Its own it keeps.
func dropInheritable() {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if unix.Capget(&header, &sets[0]) != nil || sets[0].Inheritable|sets[1].Inheritable == 0 {
		return
	}
	sets[0].Inheritable, sets[1].Inheritable = 0, 0
	_ = unix.Capset(&header, &sets[0]) // one may always have less
}

// DenyDebugging has other processes of our user neither read this process's memory,
// environment and descriptors nor trace it; its scripts often are such processes.
// No core is dumped then, either. What we start can be debugged as usual.
func DenyDebugging() { _ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }
