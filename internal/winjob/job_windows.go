package winjob

import (
	"errors"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Job is the job object of one run. Its methods may be called from many goroutines, but
// none after Close.
type Job struct {
	handle windows.Handle
	told   windows.Handle // where the system says which limits were reached; 0: nowhere
	limits Limits

	memoryRefused, processRefused atomic.Bool
}

// New makes a job. Nothing in it can leave it.
func New(l Limits) (*Job, error) {
	handle, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return nil, err
	}
	j := &Job{handle: handle, limits: l}
	if err := j.limit(); err != nil {
		j.Close()
		return nil, err
	}
	return j, nil
}

// limit has the system hold the limits, and say when one is reached.
func (j *Job) limit() error {
	var info windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	basic := &info.BasicLimitInformation
	// No window asks somebody what to do about a process that has crashed.
	basic.LimitFlags = windows.JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION
	if !j.limits.Keep {
		basic.LimitFlags |= windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	}
	if j.limits.CPU > 0 { // of time in the kernel it knows nothing: who has made the job looks at that
		basic.LimitFlags |= windows.JOB_OBJECT_LIMIT_JOB_TIME
		basic.PerJobUserTimeLimit = int64(j.limits.CPU / 100)
	}
	if j.limits.Memory > 0 {
		basic.LimitFlags |= windows.JOB_OBJECT_LIMIT_JOB_MEMORY
		info.JobMemoryLimit = uintptr(min(uint64(j.limits.Memory), uint64(^uintptr(0))))
	}
	if j.limits.Processes > 0 {
		basic.LimitFlags |= windows.JOB_OBJECT_LIMIT_ACTIVE_PROCESS
		basic.ActiveProcessLimit = uint32(j.limits.Processes)
	}
	if j.limits.Memory > 0 || j.limits.Processes > 0 {
		var err error
		if j.told, err = windows.CreateIoCompletionPort(windows.InvalidHandle, 0, 0, 1); err != nil {
			return err
		}
		port := struct{ key, port windows.Handle }{0, j.told} // JOBOBJECT_ASSOCIATE_COMPLETION_PORT
		if err := j.set(windows.JobObjectAssociateCompletionPortInformation, unsafe.Pointer(&port), unsafe.Sizeof(port)); err != nil {
			return err
		}
	}
	return j.set(windows.JobObjectExtendedLimitInformation, unsafe.Pointer(&info), unsafe.Sizeof(info))
}

func (j *Job) set(class uint32, info unsafe.Pointer, size uintptr) error {
	_, err := windows.SetInformationJobObject(j.handle, class, uintptr(info), uint32(size))
	return err
}

// Kill ends all processes of the job. It does not wait for their end.
func (j *Job) Kill() error { return windows.TerminateJobObject(j.handle, 1) }

// Close lets go of the job, and ends what is left in it unless that may be kept.
func (j *Job) Close() {
	windows.CloseHandle(j.handle)
	if j.told != 0 {
		windows.CloseHandle(j.told)
	}
}

// Processes lists what lives in the job.
func (j *Job) Processes() ([]int, error) {
	type list struct {
		assigned, listed uint32
		pids             [1]uintptr
	}
	for room := 64; ; room *= 2 {
		buf := make([]uintptr, room+2) // of words, for its alignment
		err := windows.QueryInformationJobObject(j.handle, windows.JobObjectBasicProcessIdList,
			uintptr(unsafe.Pointer(&buf[0])), uint32(len(buf))*uint32(unsafe.Sizeof(buf[0])), nil)
		head := (*list)(unsafe.Pointer(&buf[0]))
		if errors.Is(err, windows.ERROR_MORE_DATA) || err == nil && head.listed < head.assigned && int(head.assigned) > room {
			continue
		}
		if err != nil {
			return nil, err
		}
		var pids []int
		for _, pid := range unsafe.Slice(&head.pids[0], head.listed) {
			pids = append(pids, int(pid))
		}
		return pids, nil
	}
}

// AwaitEmpty waits until nothing lives in the job, but not for longer than limit.
func (j *Job) AwaitEmpty(limit time.Duration) (empty bool) {
	for deadline, pause := time.Now().Add(limit), 100*time.Microsecond; ; pause = min(2*pause, 10*time.Millisecond) {
		if pids, err := j.Processes(); err != nil || len(pids) == 0 {
			return err == nil
		}
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(pause)
	}
}
