package winjob

import (
	"errors"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Job is the job object of one run. Its methods may be called from many goroutines, but
// none after Close.
type Job struct {
	handle windows.Handle
	listed bool // processes can be started in it, and need not be put into it
}

// Limits bound all processes of a job together. 0 is no limit.
type Limits struct {
	// Keep: its processes may outlive the last handle of the job.
	Keep bool
}

// New makes a job. Nothing in it can leave it.
func New(l Limits) (*Job, error) {
	handle, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return nil, err
	}
	var info windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	// No window asks somebody what to do about a process that has crashed.
	info.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION
	if !l.Keep {
		info.BasicLimitInformation.LimitFlags |= windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	}
	_, err = windows.SetInformationJobObject(handle, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)))
	if err != nil {
		windows.CloseHandle(handle)
		return nil, err
	}
	return &Job{handle: handle}, nil
}

// Kill ends all processes of the job. It does not wait for their end.
func (j *Job) Kill() error { return windows.TerminateJobObject(j.handle, 1) }

// Close lets go of the job, and ends what is left in it unless that may be kept.
func (j *Job) Close() { windows.CloseHandle(j.handle) }

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
