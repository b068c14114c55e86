package process

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"scriptbridge/record"
)

// What the bridge may do beyond its user, its scripts may not.
func TestRunCapabilities(t *testing.T) {
	runtime.LockOSThread() // which ends with the test
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		t.Fatal(err)
	}
	const bit = 1 << unix.CAP_NET_RAW
	if sets[0].Permitted&bit == 0 {
		t.Skip("only who has a capability can pass it on")
	}
	sets[0].Inheritable |= bit
	if err := unix.Capset(&header, &sets[0]); err != nil {
		t.Fatal(err)
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, unix.CAP_NET_RAW, 0, 0); err != nil {
		t.Fatal(err)
	}
	c := shell("grep -E '^Cap(Inh|Amb)' /proc/self/status")
	checkEnding(t, testLauncher(t).Run(t.Context(), c), ending{"CapInh:\t0000000000000000\nCapAmb:\t0000000000000000\n", record.OK, 0, ""})
}
