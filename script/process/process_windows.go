package process

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-kit/log"
	"golang.org/x/sys/windows"

	"scriptbridge/config"
	"scriptbridge/internal/cgroup"
	"scriptbridge/internal/limits"
	"scriptbridge/internal/winjob"
)

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
	ended  chan struct{} // closed when it has ended
	exit   *winjob.Exit  // how, then; nil: that is not known
	job    *winjob.Job
	helper limits.Usage // nothing: there is none here
}

// start starts c in a job of its own; a PowerShell script is given to powershell, as
// instrument_server did.
func (l *Launcher) start(c *Command, f files) (*process, error) {
	args := c.Args
	if strings.EqualFold(filepath.Ext(args[0]), ".ps1") {
		args = append([]string{"powershell", "-File"}, args...)
	}
	path, err := ResolveProgram(args[0], LastEnv(c.Env, "PATH"))
	if err != nil {
		return nil, fmt.Errorf("cannot be started: %w", err)
	}
	job, err := winjob.New(winjob.Limits{Keep: c.Keep})
	if err != nil {
		return nil, fmt.Errorf("cannot be started: its job object: %w", err)
	}
	started, err := job.Start(&winjob.Program{
		Path: path, CommandLine: windows.ComposeCommandLine(args), Dir: c.Dir, Env: append(slices.Clip(c.Env), runMark+"=1"), Files: f,
	})
	if err != nil {
		job.Close()
		return nil, fmt.Errorf("cannot be started: %s: %w", path, err)
	}
	p := &process{pid: started.PID, ended: make(chan struct{}), job: job}
	go func() {
		defer close(p.ended)
		p.exit, _ = started.Wait() // it can wait for what it has started
		started.Close()
	}()
	return p, nil
}

// wait blocks until the main process has ended.
func (p *process) wait() { <-p.ended }

// terminate kills: a process without a window or a console cannot be asked.
func (p *process) terminate() { p.kill() }

func (p *process) kill() { _ = p.job.Kill() }

// finish ends what is left of the run, if asked to, and tells how the main
// process ended.
func (p *process) finish(killGroup bool) (*exit, cgroup.Usage) {
	if killGroup {
		p.kill()
		p.job.AwaitEmpty(sweepTime)
	}
	p.job.Close()
	if p.exit == nil {
		return nil, cgroup.Usage{}
	}
	return &exit{code: int(p.exit.Code), user: p.exit.User, system: p.exit.System, maxRSS: p.exit.Peak}, cgroup.Usage{}
}

// ResolveProgram finds args0, the first word of a command; path is not looked
// at: os/exec knows the rules of this system and its own PATH.
func ResolveProgram(args0, path string) (string, error) { return exec.LookPath(args0) }

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
