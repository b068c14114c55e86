package winjob

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Exit is how a process has ended.
type Exit struct {
	Code         uint32
	User, System time.Duration
	Peak         int64 // its largest working set in bytes
}

// Wait waits for the end of the process.
func (p *Process) Wait() (*Exit, error) {
	if _, err := windows.WaitForSingleObject(p.handle, windows.INFINITE); err != nil {
		return nil, os.NewSyscallError("WaitForSingleObject", err)
	}
	e := &Exit{}
	if err := windows.GetExitCodeProcess(p.handle, &e.Code); err != nil {
		return nil, os.NewSyscallError("GetExitCodeProcess", err)
	}
	e.User, e.System = times(p.handle) // with Wine it is our own
	e.Peak = int64(memory(p.handle).peakWorkingSet)
	return e, nil
}

// Close lets go of the process. Until then no other one has its number.
func (p *Process) Close() { windows.CloseHandle(p.handle) }

// accounting is JOBOBJECT_BASIC_ACCOUNTING_INFORMATION.
type accounting struct {
	user, kernel, periodUser, periodKernel    int64 // in tenths of microseconds
	pageFaults, processes, active, terminated uint32
}

// Usage gives what the job has used. Where the system does not count for a job, as Wine
// does not, it is what the processes have used that live.
func (j *Job) Usage() (u Usage) {
	var sum accounting
	if j.query(windows.JobObjectBasicAccountingInformation, unsafe.Pointer(&sum), unsafe.Sizeof(sum)) == nil {
		u.User, u.System, u.Processes = time.Duration(sum.user)*100, time.Duration(sum.kernel)*100, int(sum.active)
	}
	var info windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	if j.query(windows.JobObjectExtendedLimitInformation, unsafe.Pointer(&info), unsafe.Sizeof(info)) == nil {
		u.Peak = int64(info.PeakJobMemoryUsed)
	}
	if u.Peak == 0 { // a process has memory as soon as there is one
		living := j.living()
		u.Peak, u.Processes = living.Peak, living.Processes
		u.User, u.System = max(u.User, living.User), max(u.System, living.System)
	}
	j.listen()
	l := &j.limits
	u.MemoryRefused = j.memoryRefused.Load() || l.Memory > 0 && u.Peak > l.Memory
	u.ProcessRefused = j.processRefused.Load() || l.Processes > 0 && u.Processes > l.Processes
	return u
}

// living is what the processes have used that live.
func (j *Job) living() (u Usage) {
	pids, _ := j.Processes()
	all := snapshot()
	for at := 0; at < len(all)*8; {
		p := (*windows.SYSTEM_PROCESS_INFORMATION)(unsafe.Add(unsafe.Pointer(&all[0]), at))
		// With Windows what draws a console is in no job.
		if slices.Contains(pids, int(p.UniqueProcessID)) && p.ImageName.String() != "conhost.exe" {
			u.User += time.Duration(p.UserTime) * 100
			u.System += time.Duration(p.KernelTime) * 100
			u.Peak += int64(p.PagefileUsage)
			u.Processes++
		}
		if p.NextEntryOffset == 0 {
			break
		}
		at += int(p.NextEntryOffset)
	}
	return u
}

// snapshot is what the system tells of all processes: a list of
// SYSTEM_PROCESS_INFORMATION, in words for its alignment.
func snapshot() []uint64 {
	for room := uint32(64 << 10); ; room *= 2 {
		buf := make([]uint64, room/8)
		switch err := windows.NtQuerySystemInformation(windows.SystemProcessInformation, unsafe.Pointer(&buf[0]), room, nil); {
		case err == nil:
			return buf
		case !errors.Is(err, windows.STATUS_INFO_LENGTH_MISMATCH):
			return nil
		}
	}
}

func (j *Job) query(class int32, info unsafe.Pointer, size uintptr) error {
	return windows.QueryInformationJobObject(j.handle, class, uintptr(info), uint32(size), nil)
}

// What a job says on its port.
const (
	toldProcesses = 3  // JOB_OBJECT_MSG_ACTIVE_PROCESS_LIMIT
	toldMemory    = 10 // JOB_OBJECT_MSG_JOB_MEMORY_LIMIT
)

var (
	kernel32                  = windows.NewLazySystemDLL("kernel32.dll")
	getQueuedCompletionStatus = kernel32.NewProc("GetQueuedCompletionStatus")
	getProcessMemoryInfo      = kernel32.NewProc("K32GetProcessMemoryInfo")
)

// listen takes what the job has said so far.
func (j *Job) listen() {
	for j.told != 0 {
		var what uint32
		var key, about uintptr // a number, which a pointer must not hold
		more, _, _ := getQueuedCompletionStatus.Call(uintptr(j.told), uintptr(unsafe.Pointer(&what)), uintptr(unsafe.Pointer(&key)), uintptr(unsafe.Pointer(&about)), 0)
		if more == 0 {
			return
		}
		switch what {
		case toldMemory:
			j.memoryRefused.Store(true)
		case toldProcesses:
			j.processRefused.Store(true)
		}
	}
}

// memoryCounters is PROCESS_MEMORY_COUNTERS_EX.
type memoryCounters struct {
	size, pageFaults                               uint32
	peakWorkingSet, workingSet                     uintptr
	quotaPeakPaged, quotaPaged                     uintptr
	quotaPeakNonPaged, quotaNonPaged               uintptr
	pagefileUsage, peakPagefileUsage, privateUsage uintptr
}

// memory is what a process has of it; zeros where the system does not tell.
func memory(process windows.Handle) (c memoryCounters) {
	c.size = uint32(unsafe.Sizeof(c))
	if ok, _, _ := getProcessMemoryInfo.Call(uintptr(process), uintptr(unsafe.Pointer(&c)), uintptr(c.size)); ok == 0 {
		return memoryCounters{}
	}
	return c
}

// times is the processor time that a process has used.
func times(process windows.Handle) (user, system time.Duration) {
	var created, ended, inKernel, inUser windows.Filetime
	if windows.GetProcessTimes(process, &created, &ended, &inKernel, &inUser) != nil {
		return 0, 0
	}
	return span(inUser), span(inKernel)
}

// span is a length of time, of which Windows counts tenths of microseconds.
func span(t windows.Filetime) time.Duration {
	return time.Duration(uint64(t.HighDateTime)<<32|uint64(t.LowDateTime)) * 100
}

// NameOf is the name of the file that a process runs; empty where that is not known.
func NameOf(pid int) string {
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if err != nil {
		return ""
	}
	defer windows.CloseHandle(h)
	return filepath.Base(image(h))
}

// image is the file that a process runs.
func image(process windows.Handle) string {
	name := make([]uint16, windows.MAX_LONG_PATH)
	size := uint32(len(name))
	if windows.QueryFullProcessImageName(process, 0, &name[0], &size) != nil {
		return ""
	}
	return windows.UTF16ToString(name[:size])
}
