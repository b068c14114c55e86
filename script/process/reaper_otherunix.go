//go:build unix && !linux

package process

import (
	"os"
	"os/exec"

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
	cmd    *exec.Cmd
	helper limits.Usage // nothing: there is none here
}

// hold, enter and watchLimits have nothing to do: limits are not supported.
func (p *process) hold(*limits.Settings, bool) error { return nil }

func (p *process) enter() error { return nil }

func (p *process) watchLimits(*limits.Settings, <-chan struct{}, chan<- *stop) {}

func (p *process) kill() { p.killProcesses() }

func (r *reaper) start(cmd *exec.Cmd, keep bool) (*process, error) {
	cmd.Env = append(cmd.Env, runMark+"=1")
	return &process{cmd: cmd}, cmd.Start()
}

// wait blocks until the main process has ended, and reaps it. Its group keeps
// the number from being given away as long as it has members.
func (p *process) wait() { p.cmd.Wait() }

// finish kills what is left of the group, if asked to, and tells how the main
// process ended.
func (p *process) finish(killGroup bool) (*os.ProcessState, cgroup.Usage) {
	if killGroup {
		p.kill()
	}
	return p.cmd.ProcessState, cgroup.Usage{}
}

// peakOf cannot look at a process that still runs.
func peakOf(int) int64 { return 0 }
