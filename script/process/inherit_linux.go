package process

import (
	"errors"
	"fmt"
	"slices"

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
// the kernel limits in no other way; then it is for overLimit.
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
	if err := p.group.Enter(p.pid); err != nil {
		return &limits.Error{Err: fmt.Errorf("the cgroup of the run: %w", err)}
	}
	return nil
}

// overLimit says when all processes of the run together use too much; nil where they
// do not.
func (p *process) overLimit(l *limits.Settings) *stop {
	if l.CPU > 0 {
		if user, system := p.group.Time(); user+system >= l.CPU {
			return outOfTime(l)
		}
	}
	if p.tasks > 0 && p.group.Tasks() > p.tasks {
		return tooMany(l)
	}
	return nil
}
