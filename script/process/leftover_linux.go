package process

import (
	"errors"
	"maps"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/go-kit/log/level"
	"golang.org/x/sys/unix"
)

// endForkStorm ends processes that fork faster than pass gets down to them, or that replace
// those that it kills. All are stopped, however deep in the tree, until none is left that
// could fork; then they are killed. It reports whether there were any but those in stopped,
// to which it adds them.
func (r *reaper) endForkStorm(deadline time.Time, stopped map[int]bool) (more bool) {
	for r.signalEnded(unix.SIGSTOP, stopped) {
		more = true
		if time.Now().After(deadline) {
			break
		}
		r.pass(0) // the dead would be as many as there can be processes
	}
	r.signalEnded(unix.SIGKILL, make(map[int]bool))
	return more
}

// raisePriority has the kernel prefer this goroutine's thread until restore is called,
// where we may ask for that: among hundreds of processes that do nothing but fork it would
// hardly ever run.
func raisePriority() (restore func()) {
	runtime.LockOSThread()
	before, err := unix.SchedGetAttr(0, 0)
	if err == nil {
		err = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1, Flags: unix.SCHED_FLAG_RESET_ON_FORK}, 0)
	}
	return func() {
		if err == nil {
			_ = unix.SchedSetAttr(0, before, 0)
		}
		runtime.UnlockOSThread()
	}
}

// signalEnded signals whatever descends from an ended run, but for those that it
// has signalled before, and reports whether there was anything. A pidfd makes sure
// that the process signalled is the one that was looked at.
func (r *reaper) signalEnded(signal unix.Signal, seen map[int]bool) (found bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := descendants()
	now := make(map[int]bool, len(all))
	for _, pid := range all {
		now[pid] = true
	}
	maps.DeleteFunc(seen, func(pid int, _ bool) bool { return !now[pid] }) // its number is another's soon
	for _, pid := range all {
		if seen[pid] {
			continue
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		if r.over(pid) {
			seen[pid] = true
			found = unix.PidfdSendSignal(fd, signal, nil, 0) == nil || found
		}
		unix.Close(fd)
	}
	return found
}

// descendants lists all that descends from this process, and what may: since they
// are looked at one after the other, a parent may have gone meanwhile.
func descendants() (pids []int) {
	parents := make(map[int]int)
	for _, pid := range processes() {
		parents[pid] = parentOf(pid)
	}
	for pid := range parents {
		at, known := pid, true
		// A number given away meanwhile must not send us round in a circle.
		for steps := len(parents); known && at > 1 && at != os.Getpid() && steps > 0; steps-- {
			at, known = parents[at]
		}
		if pid != os.Getpid() && (!known || at == os.Getpid()) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// giveUp logs, once, what SIGKILL does not end.
func (r *reaper) giveUp(pids []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, pid := range pids {
		err := unix.Kill(pid, 0)
		if r.stuck[pid] || errors.Is(err, unix.ESRCH) {
			continue // another sweep met it, or it is reaped
		}
		r.stuck[pid] = true
		if !r.over(pid) {
			continue // it was unsure, and is none of those
		}
		level.Error(r.logger).Log("msg", "a process that a run left behind cannot be killed",
			"pid", pid, "command", commOf(pid), "err", err)
	}
}

// alive gives those of runs of which something lives. Of what a run has left, each
// process is our child or descends from one that is.
func (r *reaper) alive(runs []*process) []*process {
	if len(runs) == 0 {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	lives := make(map[uint64]bool)
	for _, pid := range children() {
		if exited(pid) {
			continue
		}
		seen := r.look(pid)
		if !seen.sure {
			return runs // in an exec it shows no mark: it may be of any of them
		}
		lives[seen.id] = true
	}
	return slices.DeleteFunc(runs, func(p *process) bool { return !lives[p.id] })
}

// left lists what still lives of runs that have ended, as far as it is our child.
func (r *reaper) left() (all []Leftover) {
	if os.Getpid() == 1 {
		return nil // all that there is in its namespace ends with the first process
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, pid := range children() {
		id := r.owner(pid)
		if id == 0 && r.stranger(pid) || !r.isMain(pid) && exited(pid) {
			continue
		}
		all = append(all, Leftover{PID: pid, Command: commOf(pid), Kept: id&keepBit != 0 && r.kept})
	}
	return all
}
