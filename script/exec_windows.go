package script

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"unsafe"

	"github.com/go-kit/log"
	"golang.org/x/sys/windows"

	"scriptbridge/config"
)

// This file has been compiled and vetted but never run.

// reaper has nothing to do here: a job object keeps a run's processes
// together.
type reaper struct{}

func newReaper(log.Logger) *reaper { return &reaper{} }

func (r *reaper) sweep() {}

// process is one started command in its job.
type process struct {
	cmd *exec.Cmd
	job windows.Handle
}

// start starts c; a PowerShell script is given to powershell, as
// instrument_server did (spec/instrumental.md, 1).
func (l *launcher) start(c *command, f files) (*process, error) {
	if c.message != nil {
		return nil, errors.New("cannot be started: this system passes on no descriptor 3")
	}
	args := c.args
	if strings.EqualFold(filepath.Ext(args[0]), ".ps1") {
		args = append([]string{"powershell", "-File"}, args...)
	}
	path, err := resolveProgram(args[0], lastEnv(c.env, "PATH"))
	if err != nil {
		return nil, fmt.Errorf("cannot be started: %w", err)
	}
	job, err := newJob(c.keep)
	if err != nil {
		return nil, fmt.Errorf("cannot be started: its job object: %w", err)
	}
	p := &process{cmd: newCmd(c, path, args, f), job: job}
	p.cmd.Env = append(p.cmd.Env, runMark+"=1")
	if err := p.cmd.Start(); err != nil {
		windows.CloseHandle(job)
		return nil, fmt.Errorf("cannot be started: %w", err)
	}
	// What it starts before this is done stays outside of the job: os/exec
	// cannot start it suspended.
	assign := func(handle uintptr) { err = windows.AssignProcessToJobObject(job, windows.Handle(handle)) }
	if failed := p.cmd.Process.WithHandle(assign); failed != nil || err != nil {
		p.cmd.Process.Kill()
		p.cmd.Wait()
		windows.CloseHandle(job)
		return nil, fmt.Errorf("cannot be started in a job object: %w", err)
	}
	return p, nil
}

// newJob makes a job whose processes end with its last handle, unless they may
// outlive it.
func newJob(keep bool) (windows.Handle, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil || keep {
		return job, err
	}
	var info windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	info.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)))
	if err != nil {
		windows.CloseHandle(job)
		return 0, err
	}
	return job, nil
}

// wait blocks until the main process has ended.
func (p *process) wait() { p.cmd.Wait() }

// terminate kills: a process without a window or a console cannot be asked.
func (p *process) terminate() { p.kill() }

func (p *process) kill() { windows.TerminateJobObject(p.job, 1) }

// finish ends what is left of the run, if asked to, and tells how the main
// process ended.
func (p *process) finish(killGroup bool) *os.ProcessState {
	if killGroup {
		p.kill()
	}
	windows.CloseHandle(p.job)
	return p.cmd.ProcessState
}

// maxRSS is not known here.
func maxRSS(*os.ProcessState) int64 { return 0 }

// resolveProgram finds args0, the first word of a command; path is not looked
// at: os/exec knows the rules of this system and its own PATH.
func resolveProgram(args0, path string) (string, error) { return exec.LookPath(args0) }

// checkProgram says why file cannot be run: it is missing or a folder.
func checkProgram(file string, runAs *account, direct bool) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return fmt.Errorf("%s is a folder: name a program in it", file)
	}
	return nil
}

// checkFolder has nothing to say: modes tell nothing here.
func checkFolder(string, *account) error { return nil }

// lookupAccount fails: scripts run as whoever runs the bridge.
func lookupAccount(name string) (*account, error) {
	return nil, fmt.Errorf("user %q: not supported on Windows, where scripts run as scriptbridge itself does", name)
}

// peakOf cannot look at a process that still runs.
func peakOf(int) int64 { return 0 }

// checkStart finds nothing: what starts a program here is not known.
func checkStart(*config.Script, string, *command) error { return nil }

// doubts finds nothing.
func doubts(*config.Script, string) []string { return nil }

// runner is not looked for.
func runner(*config.Script, string) string { return "" }
