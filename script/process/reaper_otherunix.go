//go:build unix && !linux

package process

import (
	"os"
	"runtime"
	"syscall"

	"github.com/go-kit/log"

	"scriptbridge/internal/cgroup"
	"scriptbridge/internal/limits"
)

// reaper has nothing to do here: what leaves its process group cannot be found
// again, and it is init's child.
type reaper struct{}

func newReaper(log.Logger) *reaper {
	keepDescriptors()
	return &reaper{}
}

// DenyDebugging has nothing to do here.
func DenyDebugging() {}

// dropInheritable has nothing to do: there are no capabilities.
func dropInheritable() {}

func (r *reaper) close() {}

func (r *reaper) contain() {}

func containments() []Containment { return []Containment{ByProcessGroup} }

func (r *reaper) containment() Containment { return ByProcessGroup }

func (r *reaper) left() []Leftover { return nil }

func (r *reaper) alive([]*process) []*process { return nil }

// process is one started command, the leader of a session and a group.
type process struct {
	pid    int
	ended  chan struct{}    // closed when it has ended and is reaped
	state  *os.ProcessState // how it ended, then
	helper limits.Usage     // nothing: there is none here
	over   chan *stop       // nil: nothing is limited
}

// hold and enter have nothing to do: limits are not supported.
func (p *process) hold(*limits.Settings, bool) error { return nil }

func (p *process) enter() error { return nil }

func (p *process) kill() { p.killProcesses() }

// start starts a program. Its group keeps the number from being given away, when it is
// reaped, as long as it has members.
func (r *reaper) start(what *program, keep bool) (*process, error) {
	what.mark("1")
	started, err := os.StartProcess(what.path, what.args, &what.attr)
	if err != nil {
		return nil, err
	}
	p := &process{pid: started.Pid, ended: make(chan struct{})}
	go func() {
		p.state, _ = started.Wait()
		close(p.ended)
	}()
	return p, nil
}

// wait blocks until the main process has ended.
func (p *process) wait() { <-p.ended }

// finish kills what is left of the group, if asked to, and tells how the main
// process ended.
func (p *process) finish(killGroup bool) (*exit, cgroup.Usage) {
	if killGroup {
		p.kill()
	}
	e := exitOf(p.state)
	if e == nil {
		return nil, cgroup.Usage{}
	}
	if status, ok := p.state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		e.signal = status.Signal()
	}
	if usage, ok := p.state.SysUsage().(*syscall.Rusage); ok {
		e.maxRSS = int64(usage.Maxrss)
		if runtime.GOOS != "darwin" && runtime.GOOS != "ios" { // it is bytes there
			e.maxRSS <<= 10
		}
	}
	return e, cgroup.Usage{}
}

// exitOf is what os tells of an end; nil where it was not seen.
func exitOf(state *os.ProcessState) *exit {
	if state == nil {
		return nil
	}
	return &exit{code: state.ExitCode(), user: state.UserTime(), system: state.SystemTime()}
}
