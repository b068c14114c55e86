package winjob

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
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
	// Priority is a priority class; 0: ours.
	Priority uint32
	// NoConsole: it has no console at all.
	NoConsole bool
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
	flags := uint32(windows.CREATE_UNICODE_ENVIRONMENT | windows.EXTENDED_STARTUPINFO_PRESENT | windows.CREATE_NO_WINDOW)
	if p.NoConsole {
		flags = flags&^windows.CREATE_NO_WINDOW | windows.DETACHED_PROCESS
	}
	flags |= p.Priority
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
