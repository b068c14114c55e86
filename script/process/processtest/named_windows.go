package processtest

import (
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Named lists the living processes of the whole machine by the names of their programs.
func Named(t testing.TB, programs ...string) (pids []int) {
	t.Helper()
	all, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer windows.CloseHandle(all)
	entry := windows.ProcessEntry32{Size: uint32(unsafe.Sizeof(windows.ProcessEntry32{}))}
	for err = windows.Process32First(all, &entry); err == nil; err = windows.Process32Next(all, &entry) {
		name := windows.UTF16ToString(entry.ExeFile[:])
		if slices.ContainsFunc(programs, func(p string) bool { return strings.EqualFold(p, name) }) {
			pids = append(pids, int(entry.ProcessID))
		}
	}
	return pids
}
