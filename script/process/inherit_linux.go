package process

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"scriptbridge/internal/cgroup"
	"scriptbridge/internal/limits"
)

// dropInheritable has what this thread starts not inherit its capabilities; with
// them go the ambient ones. Its own it keeps.
func dropInheritable() {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if unix.Capget(&header, &sets[0]) != nil || sets[0].Inheritable|sets[1].Inheritable == 0 {
		return
	}
	sets[0].Inheritable, sets[1].Inheritable = 0, 0
	_ = unix.Capset(&header, &sets[0]) // one may always have less
}

// DenyDebugging has other processes of our user neither read this process's memory,
// environment and descriptors nor trace it; its scripts often are such processes.
// No core is dumped then, either. What we start can be debugged as usual.
func DenyDebugging() { _ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }

// hold has the run's cgroup hold what limits it can, for all of its processes, and
// takes these from those that are each process's own. The number of root's processes
// the kernel limits in no other way; then it is for watchLimits.
func (p *process) hold(l *limits.Settings, root bool) error {
	missing := []string{"memory", "pids"}
	if p.group != nil {
		var err error
		if missing, err = p.group.Limit(cgroup.Limits{Memory: l.Memory, Processes: int64(l.Processes)}); err != nil {
			return &limits.Error{Err: fmt.Errorf("the cgroup of the run: %w", err)}
		}
	}
	if !slices.Contains(missing, "memory") {
		l.Memory = 0
	}
	switch {
	case !slices.Contains(missing, "pids"):
		l.Processes = 0
	case l.Processes > 0 && root && p.group == nil:
		return &limits.Error{What: "processes", Err: errors.New("root is exempt from it where runs have no cgroups: give the script a user, or leave it out")}
	case root:
		p.tasks, l.Processes = l.Processes, 0
	}
	return nil
}

// enter puts what has been the helper until now into the run's cgroup, so that what
// the helper needed is not counted there.
func (p *process) enter() error {
	if p.group == nil {
		return nil
	}
	if err := p.group.Enter(p.cmd.Process.Pid); err != nil {
		return &limits.Error{Err: fmt.Errorf("the cgroup of the run: %w", err)}
	}
	return nil
}

// watchTime is how often a run's cgroup is looked at for limits that the kernel does
// not hold.
const watchTime = 100 * time.Millisecond

// watchLimits looks until over is closed at what all processes of the run use
// together, and says when that is too much.
func (p *process) watchLimits(l *limits.Settings, over <-chan struct{}, limit chan<- *stop) {
	if p.group == nil || l.CPU == 0 && p.tasks == 0 {
		return
	}
	look := time.NewTicker(watchTime)
	defer look.Stop()
	for {
		select {
		case <-over:
			return
		case <-look.C:
		}
		if l.CPU > 0 {
			if user, system := p.group.Time(); user+system >= l.CPU {
				limit <- outOfTime(l)
				return
			}
		}
		if p.tasks > 0 && p.group.Tasks() > p.tasks {
			limit <- tooMany(l)
			return
		}
	}
}
