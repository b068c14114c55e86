package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"unsafe"

	"github.com/go-kit/log"
	"golang.org/x/sys/windows"

	"scriptbridge/config"
	"scriptbridge/internal/cgroup"
	"scriptbridge/internal/limits"
)

// This file has been compiled and vetted but never run.

// reaper has nothing to do here: a job object keeps a run's processes
// together.
type reaper struct{}

func newReaper(log.Logger) *reaper { return &reaper{} }

func (r *reaper) close() {}

func (r *reaper) contain() {}

func containments() []Containment { return []Containment{ByJobObject} }

func (r *reaper) containment() Containment { return ByJobObject }

func (r *reaper) left() []Leftover { return nil }

func (r *reaper) alive([]*process) []*process { return nil }

// process is one started command in its job.
type process struct {
	pid    int
	ended  chan struct{}    // closed when it has ended
	state  *os.ProcessState // how it ended, then
	job    windows.Handle
	helper limits.Usage // nothing: there is none here
}

// start starts c; a PowerShell script is given to powershell, as
// instrument_server did.
func (l *Launcher) start(c *Command, f files) (*process, error) {
	if c.Message != nil {
		return nil, errors.New("cannot be started: this system passes on no descriptor 3")
	}
	args := c.Args
	if strings.EqualFold(filepath.Ext(args[0]), ".ps1") {
		args = append([]string{"powershell", "-File"}, args...)
	}
	path, err := ResolveProgram(args[0], LastEnv(c.Env, "PATH"))
	if err != nil {
		return nil, fmt.Errorf("cannot be started: %w", err)
	}
	job, err := newJob(c.Keep)
	if err != nil {
		return nil, fmt.Errorf("cannot be started: its job object: %w", err)
	}
	cmd := &exec.Cmd{Path: path, Args: args, Dir: c.Dir, Env: append(slices.Clip(c.Env), runMark+"=1"), Stdin: f[0], Stdout: f[1], Stderr: f[2]}
	if err := cmd.Start(); err != nil {
		windows.CloseHandle(job)
		return nil, fmt.Errorf("cannot be started: %w", err)
	}
	// What it starts before this is done stays outside of the job: os/exec
	// cannot start it suspended.
	assign := func(handle uintptr) { err = windows.AssignProcessToJobObject(job, windows.Handle(handle)) }
	if failed := cmd.Process.WithHandle(assign); failed != nil || err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		windows.CloseHandle(job)
		return nil, fmt.Errorf("cannot be started in a job object: %w", err)
	}
	p := &process{pid: cmd.Process.Pid, ended: make(chan struct{}), job: job}
	go func() {
		_ = cmd.Wait() // the state has it all
		p.state = cmd.ProcessState
		close(p.ended)
	}()
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
func (p *process) wait() { <-p.ended }

// terminate kills: a process without a window or a console cannot be asked.
func (p *process) terminate() { p.kill() }

func (p *process) kill() { windows.TerminateJobObject(p.job, 1) }

// finish ends what is left of the run, if asked to, and tells how the main
// process ended.
func (p *process) finish(killGroup bool) (*exit, cgroup.Usage) {
	if killGroup {
		p.kill()
	}
	windows.CloseHandle(p.job)
	return exitOf(p.state), cgroup.Usage{}
}

// ResolveProgram finds args0, the first word of a command; path is not looked
// at: os/exec knows the rules of this system and its own PATH.
func ResolveProgram(args0, path string) (string, error) { return exec.LookPath(args0) }

// CheckProgram says why file cannot be run: it is missing or a folder.
func (g *Guard) CheckProgram(file string, direct bool) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return fmt.Errorf("%s is a folder: name a program in it", file)
	}
	return nil
}

// CheckTrust has nothing to say: modes tell nothing here.
func (g *Guard) CheckTrust(string) error { return nil }

// CheckObeyed has nothing to say: modes tell nothing here.
func (g *Guard) CheckObeyed(string) error { return nil }

// CheckFolder has nothing to say: modes tell nothing here.
func (g *Guard) CheckFolder(string) error { return nil }

// LookupAccount fails: scripts run as whoever runs the bridge.
func LookupAccount(name string) (*Account, error) {
	return nil, fmt.Errorf("user %q: not supported on Windows, where scripts run as scriptbridge itself does", name)
}

// LookupGroup fails: a process has no group here.
func LookupGroup(name string) (uint32, error) {
	return 0, fmt.Errorf("group %q: not supported on Windows", name)
}

// CheckStart finds nothing: what starts a program here is not known.
func CheckStart(*config.Script, string, *Command) error { return nil }

// Warnings finds nothing.
func Warnings(*config.Script, string) []string { return nil }

// Barred finds nothing: modes say nothing here.
func (*Account) Barred(string) string { return "" }

// Interpreter is not looked for.
func Interpreter(*config.Script, string) string { return "" }

// DenyDebugging has nothing to do here.
func DenyDebugging() {}

// AsFirst: there is no such process.
func AsFirst() (code int, was bool) { return 0, false }

// atTerminal: Ctrl-C reaches all processes of a console, and there is no other
// way to send one.
func atTerminal() bool { return true }
