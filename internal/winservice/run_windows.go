package winservice

import (
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"
)

const (
	// progressEvery is how often the service control manager is told that a start or an end
	// goes on, and progressHint until when it is to hear of it again.
	progressEvery = time.Second
	progressHint  = 10 * time.Second

	accepted = svc.AcceptStop | svc.AcceptShutdown | svc.AcceptPreShutdown | svc.AcceptParamChange
)

// Run runs the program as a service where the service control manager has started this
// process; was is false where it has not, and then nothing was run.
func Run(p Program) (code int, was bool) {
	if !startedByManager() {
		return 0, false
	}
	h := &handler{program: p}
	log, err := eventlog.Open(Name)
	if err == nil {
		defer log.Close()
		h.log, h.events = newEntries(log, idLog, failure), newEntries(log, idEvents, information)
	} else {
		h.log, h.events = os.Stderr, os.Stdout // which lead nowhere as a rule
	}
	ignoreConsole()
	switch err := svc.Run(Name, h); {
	case errors.Is(err, windows.ERROR_FAILED_SERVICE_CONTROLLER_CONNECT):
		return 0, false
	case err != nil:
		_, _ = io.WriteString(h.log, "the service control manager does not take this process for its service: "+err.Error())
		return 1, true
	}
	return h.code, true
}

// startedByManager says that the parent of this process is services.exe. (What
// svc.IsWindowsService asks besides is that it is in session 0, which under Wine it is not.)
func startedByManager() bool {
	snapshot, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		return false
	}
	defer windows.CloseHandle(snapshot) //nolint:errcheck // it is only read
	names := make(map[uint32]string)
	var parent uint32
	entry := windows.ProcessEntry32{Size: uint32(unsafe.Sizeof(windows.ProcessEntry32{}))}
	for err = windows.Process32First(snapshot, &entry); err == nil; err = windows.Process32Next(snapshot, &entry) {
		names[entry.ProcessID] = windows.UTF16ToString(entry.ExeFile[:])
		if entry.ProcessID == windows.GetCurrentProcessId() {
			parent = entry.ParentProcessID
		}
	}
	return strings.EqualFold(names[parent], "services.exe")
}

// ignoreConsole keeps what happens to consoles from ending a service: each user who logs off
// would, and a Ctrl-Break that is meant for a script.
func ignoreConsole() {
	handled := windows.NewCallback(func(uintptr) uintptr { return 1 })
	_, _, _ = windows.NewLazySystemDLL("kernel32.dll").NewProc("SetConsoleCtrlHandler").Call(handled, 1)
}

// handler tells the service control manager how the program is, and the program what it
// wants.
type handler struct {
	program     Program
	log, events io.Writer
	code        int // with which the program has ended
}

// Execute is the service from its start to its end.
func (h *handler) Execute(_ []string, requests <-chan svc.ChangeRequest, status chan<- svc.Status) (specific bool, code uint32) {
	now := svc.Status{State: svc.StartPending, WaitHint: uint32(progressHint.Milliseconds())}
	status <- now
	ready, ended := make(chan struct{}), make(chan int, 1)
	go func() {
		ended <- h.program.Run(sync.OnceFunc(func() { close(ready) }), h.log, h.events)
	}()
	var late <-chan time.Time
	progress := time.NewTicker(progressEvery)
	defer progress.Stop()
	for {
		select {
		case h.code = <-ended:
			// An end that was asked for is no failure, from which the service would be started again.
			if late != nil {
				h.code = 0
			}
			return true, uint32(h.code)
		case <-ready:
			ready = nil
			if late == nil {
				now = svc.Status{State: svc.Running, Accepts: accepted}
				status <- now
			}
		case <-progress.C:
			if now.State != svc.Running {
				now.CheckPoint++
				status <- now
			}
		case <-late:
			_, _ = io.WriteString(h.log, "level=error msg=\"the service has not ended in time, and ends at once\" after="+Grace.String()+"\n")
			h.program.Hurry()
		case r := <-requests:
			switch r.Cmd {
			case svc.Interrogate:
				status <- now
			case svc.Stop, svc.Shutdown, svc.PreShutdown:
				if late == nil {
					now = svc.Status{State: svc.StopPending, WaitHint: uint32(progressHint.Milliseconds())}
					status <- now
					late = time.After(Grace)
					h.program.Stop()
				}
			case svc.ParamChange:
				h.program.Reload()
			}
		}
	}
}

// newEntries writes lines to an open event log.
func newEntries(log *eventlog.Log, id uint32, otherwise severity) *entries {
	return &entries{id: id, otherwise: otherwise, report: func(s severity, id uint32, text string) error {
		return [...]func(uint32, string) error{log.Info, log.Warning, log.Error}[s](id, text)
	}}
}

// OpenLog opens the event log for lines of the program's log.
func OpenLog() (io.WriteCloser, error) {
	log, err := eventlog.Open(Name)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Writer
		io.Closer
	}{newEntries(log, idLog, failure), log}, nil
}
