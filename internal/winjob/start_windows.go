package winjob

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Program is what is started.
type Program struct {
	Path        string
	CommandLine string // all of it, the program's own name included
	Dir         string // empty: ours
	Env         []string
	// Files are its standard input, output and error, and what it writes messages to
	// (nil: none); nothing else of ours is inherited.
	Files [4]*os.File
}

// attributeJobList is PROC_THREAD_ATTRIBUTE_JOB_LIST, of Windows 10.
const attributeJobList = 0x0002000D

// Process is the first process of a job.
type Process struct {
	PID    int
	handle windows.Handle
}

// Start starts a program in the job. It is in it before it runs: nothing that it starts
// can be outside. It has no window and a console of its own that nobody sees, so that it
// can be asked to end, cannot ask anybody for a password, and nothing that it does
// to its console reaches us.
func (j *Job) Start(p *Program) (*Process, error) {
	handles, err := inheritable(p.Files)
	defer func() {
		for _, h := range handles {
			windows.CloseHandle(h)
		}
	}()
	if err != nil {
		return nil, err
	}
	env := slices.Clone(p.Env)
	if len(handles) > 3 {
		env = append(env, MessageVariable+"="+strconv.FormatUint(uint64(handles[3]), 10))
	}
	block, err := environmentBlock(withSystemRoot(env))
	if err != nil {
		return nil, err
	}
	list, err := windows.NewProcThreadAttributeList(2)
	if err != nil {
		return nil, os.NewSyscallError("InitializeProcThreadAttributeList", err)
	}
	defer list.Delete()
	if err := list.Update(windows.PROC_THREAD_ATTRIBUTE_HANDLE_LIST, unsafe.Pointer(&handles[0]), uintptr(len(handles))*unsafe.Sizeof(handles[0])); err != nil {
		return nil, os.NewSyscallError("UpdateProcThreadAttribute", err)
	}
	jobs := []windows.Handle{j.handle}
	listed := list.Update(attributeJobList, unsafe.Pointer(&jobs[0]), unsafe.Sizeof(jobs[0])) == nil
	startup := &windows.StartupInfoEx{ProcThreadAttributeList: list.List()}
	startup.Cb = uint32(unsafe.Sizeof(*startup))
	startup.Flags = windows.STARTF_USESTDHANDLES
	startup.StdInput, startup.StdOutput, startup.StdErr = handles[0], handles[1], handles[2]
	return j.create(p, block, startup, listed)
}

// create makes the process. Where it cannot be made in the job, it does not run before it
// is in it.
func (j *Job) create(p *Program, block []uint16, startup *windows.StartupInfoEx, listed bool) (*Process, error) {
	path, err := windows.UTF16PtrFromString(p.Path)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", p.Path, errNUL)
	}
	line, err := windows.UTF16FromString(p.CommandLine)
	if err != nil {
		return nil, fmt.Errorf("its arguments: %w", errNUL)
	}
	var dir *uint16
	if p.Dir != "" {
		if dir, err = windows.UTF16PtrFromString(p.Dir); err != nil {
			return nil, fmt.Errorf("%q: %w", p.Dir, errNUL)
		}
	}
	flags := uint32(windows.CREATE_UNICODE_ENVIRONMENT | windows.EXTENDED_STARTUPINFO_PRESENT | windows.CREATE_NEW_PROCESS_GROUP | windows.CREATE_NO_WINDOW)
	if !listed {
		flags |= windows.CREATE_SUSPENDED
	}
	var info windows.ProcessInformation
	if err := windows.CreateProcess(path, &line[0], nil, nil, true, flags, &block[0], dir, &startup.StartupInfo, &info); err != nil {
		return nil, err
	}
	defer windows.CloseHandle(info.Thread)
	if !listed {
		err := windows.AssignProcessToJobObject(j.handle, info.Process)
		if err == nil {
			_, err = windows.ResumeThread(info.Thread)
		}
		if err != nil {
			windows.TerminateProcess(info.Process, 1)
			windows.CloseHandle(info.Process)
			return nil, fmt.Errorf("its job object: %w", err)
		}
	}
	return &Process{PID: int(info.ProcessId), handle: info.Process}, nil
}

var errNUL = errors.New("there is a NUL character in it")

// inheritable gives handles that a child may have, without changing ours, which another
// start might pass on.
func inheritable(files [4]*os.File) (handles []windows.Handle, err error) {
	own := windows.CurrentProcess()
	for _, f := range files {
		if f == nil {
			break
		}
		var h windows.Handle
		if err := windows.DuplicateHandle(own, windows.Handle(f.Fd()), own, &h, 0, true, windows.DUPLICATE_SAME_ACCESS); err != nil {
			return handles, os.NewSyscallError("DuplicateHandle", err)
		}
		handles = append(handles, h)
	}
	return handles, nil
}

// withSystemRoot adds the variable without which hardly a program starts.
func withSystemRoot(env []string) []string {
	const name = "SystemRoot"
	if slices.ContainsFunc(env, func(v string) bool { return len(v) > len(name) && strings.EqualFold(v[:len(name)+1], name+"=") }) {
		return env
	}
	return append(env, name+"="+os.Getenv(name))
}

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
	e.User, e.System, e.Peak = used(p.handle)
	return e, nil
}

// Close lets go of the process. Until then no other one has its number.
func (p *Process) Close() { windows.CloseHandle(p.handle) }

var getProcessMemoryInfo = windows.NewLazySystemDLL("kernel32.dll").NewProc("K32GetProcessMemoryInfo")

// memoryCounters is PROCESS_MEMORY_COUNTERS_EX.
type memoryCounters struct {
	size                                           uint32
	pageFaults                                     uint32
	peakWorkingSet, workingSet                     uintptr
	quotaPeakPaged, quotaPaged                     uintptr
	quotaPeakNonPaged, quotaNonPaged               uintptr
	pagefileUsage, peakPagefileUsage, privateUsage uintptr
}

// used is what a process has used; what the system does not tell is 0.
func used(process windows.Handle) (user, system time.Duration, peak int64) {
	var created, ended, inKernel, inUser windows.Filetime
	if windows.GetProcessTimes(process, &created, &ended, &inKernel, &inUser) == nil {
		user, system = span(inUser), span(inKernel)
	}
	counters := memoryCounters{size: uint32(unsafe.Sizeof(memoryCounters{}))}
	if ok, _, _ := getProcessMemoryInfo.Call(uintptr(process), uintptr(unsafe.Pointer(&counters)), uintptr(counters.size)); ok != 0 {
		peak = int64(counters.peakWorkingSet)
	}
	return user, system, peak
}

// span is a length of time, of which Windows counts tenths of microseconds.
func span(t windows.Filetime) time.Duration {
	return time.Duration(uint64(t.HighDateTime)<<32|uint64(t.LowDateTime)) * 100
}
