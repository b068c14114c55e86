package process

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/go-kit/log/level"
	"golang.org/x/sys/unix"

	"scriptbridge/internal/cgroup"
)

// Every process inherits its resource limits. The soft limit on the time that
// a real-time process may run without a pause, in microseconds, carries the
// run's id: one of some 70 000 years, which limits nobody. A script can clear
// its environment, but hardly thinks of this, and the limits of any process
// can be read by anybody. The environment carries the id as well: for people,
// and for systems that do not let us set the limit. Where a run has a cgroup of
// its own, that is the mark that counts: it is the one that cannot be changed.

// An id is idBit, a part of 20 bits that tells this reaper from others, a bit
// for runs that may leave something behind, and a number that counts.
const (
	idBit   = 1 << 61
	keepBit = 1 << 40
	ownBits = idBit | (keepBit<<1)*(1<<20-1)
)

// limitLock is held while this process's own limit is not its own, from before
// a start to after it. A limit belongs to the whole process, and so does its
// lock: two launchers (in tests) must not start at once.
var limitLock sync.Mutex

// tryLimit finds out whether a limit can be set and then read.
func (r *reaper) tryLimit() error {
	limitLock.Lock()
	defer limitLock.Unlock()
	restore, err := borrowLimit(r.base)
	if err != nil {
		return err
	}
	defer restore()
	if got := limitOf(os.Getpid()); got != r.base {
		return fmt.Errorf("it was set to %d but reads %d", r.base, got)
	}
	r.limits = true
	return nil
}

// borrowLimit sets our own soft limit to id until restore is called.
func borrowLimit(id uint64) (restore func(), err error) {
	var own unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_RTTIME, nil, &own); err != nil {
		return nil, err
	}
	if err := unix.Prlimit(0, unix.RLIMIT_RTTIME, &unix.Rlimit{Cur: id, Max: own.Max}, nil); err != nil {
		return nil, err
	}
	return func() { _ = unix.Prlimit(0, unix.RLIMIT_RTTIME, &own, nil) }, nil
}

// owner gives the id of the run that pid belongs to by its mark; 0 for none.
func (r *reaper) owner(pid int) uint64 {
	if r.tree != nil {
		if id, ok := r.tree.Of(pid); ok && id&ownBits == r.base {
			return id
		}
	}
	if r.limits {
		if id := limitOf(pid); id&ownBits == r.base {
			return id
		}
	}
	if id := markOf(pid); id&ownBits == r.base {
		return id
	}
	return 0
}

// sight is what a look at a process has shown: its owner, and whether that is sure.
type sight struct {
	id   uint64
	sure bool
}

// look gives the owner of a process, and says whether it is sure to be: without
// limits, who is in an exec shows no mark.
func (r *reaper) look(pid int) sight {
	if id := r.owner(pid); id != 0 || r.limits {
		return sight{id, true}
	}
	if argless(pid) {
		return sight{0, false}
	}
	return sight{r.owner(pid), true} // the exec may have ended between the two looks
}

// ended reports whether id is a run of ours that is over and may not leave
// anything behind. Who gives itself the mark of runs that may, where there were
// none, is not believed.
func (r *reaper) ended(id uint64) bool {
	_, live := r.live[id]
	return id != 0 && !live && (id&keepBit == 0 || !r.kept)
}

// over reports whether a process descends from a run that is over and may not
// leave anything behind: by its mark, or else by that of the nearest of those
// that it descends from. What has none, down to our own child, has left its run,
// which cannot be known any more. It is let live only while it is in the session
// of a run that goes on, and where that run may be one that may leave something
// behind.
func (r *reaper) over(pid int) bool { return r.overAs(pid, r.look(pid)) }

// overAs is over, by what a look at the process has shown.
func (r *reaper) overAs(pid int, seen sight) bool {
	if r.lonely(pid) && parentOf(pid) == os.Getpid() {
		return true
	}
	for at, us := pid, os.Getpid(); at > 1 && at != us; seen = r.look(at) {
		if seen.id != 0 {
			return r.ended(seen.id)
		}
		if !seen.sure || !r.alone || r.kept || r.awaited(at, 0) || r.inSession(at) || r.stranger(at) {
			return false
		}
		parent := parentOf(at)
		if parent == us {
			return true
		}
		at = parent
	}
	return false
}

// stranger reports whether no run can have started a process: it is one of the
// children that this process had before it was the bridge, or in the session of one
// of them, or in our own. A run has a session of its own, and nobody who has left
// one enters another that is there.
func (r *reaper) stranger(pid int) bool {
	session, err := unix.Getsid(pid)
	return r.before[pid] || err == nil && (r.sessions[session] || r.before[session])
}

// inSession reports whether a process is in the session of a run that goes on:
// nobody can enter it from outside.
func (r *reaper) inSession(pid int) bool {
	session, err := unix.Getsid(pid)
	return err == nil && r.isMain(session)
}

// contain makes groups for runs where that is possible, and takes each child that
// has no mark for one that descends from a run, unless it is a stranger. The first
// process of a container has others that cannot be told from those; if it has to be
// the bridge (see AsFirst), what has no mark is let live.
func (r *reaper) contain() {
	r.before, r.sessions = make(map[int]bool), make(map[int]bool)
	for _, pid := range append(children(), os.Getpid()) {
		r.before[pid] = true
		if session, err := unix.Getsid(pid); err == nil {
			r.sessions[session] = true
		}
	}
	r.alone = os.Getpid() != 1
	r.strangers = true // nobody else waits for any
	tree, err := cgroup.Open()
	if err == nil {
		if err = r.tryGroup(tree); err != nil {
			_ = tree.Close()
		}
	}
	if err != nil {
		level.Info(r.logger).Log("msg", "runs are contained by marks", "err", err)
		if !r.alone {
			level.Warn(r.logger).Log("msg", "a process that rids itself of the mark of its run can outlive it: in the first process of a container it may be one that no run has started")
		}
		return
	}
	r.tree = tree
	r.grouped.Store(true)
	level.Info(r.logger).Log("msg", "runs are contained by cgroups", "folder", tree.Folder(), "controllers", strings.Join(tree.Controllers(), ","))
	if len(tree.Ended) > 0 {
		level.Warn(r.logger).Log("msg", "ended what runs of a bridge that was killed had left", "processes", len(tree.Ended))
	}
}

func containments() []Containment { return []Containment{ByCgroup, ByMarks} }

func (r *reaper) containment() Containment {
	if r.grouped.Load() {
		return ByCgroup
	}
	return ByMarks
}

// tryGroup finds out whether a process can be started in a group: filters of
// system calls, in containers, may forbid it. No program has an empty name, so
// that nothing comes of the process.
func (r *reaper) tryGroup(tree *cgroup.Tree) error {
	g, err := tree.New(r.base, false)
	if err != nil {
		return err
	}
	defer g.Remove() //nolint:errcheck // it goes with the tree
	dir, err := g.Open()
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	_, err = syscall.ForkExec("", []string{""}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: dir}}) //nolint:gosec // it starts nothing: there is no program of that name
	if errors.Is(err, syscall.ENOENT) {
		return nil
	}
	return fmt.Errorf("a process cannot be started in a cgroup: %w", err)
}

// newGroup makes the group of a run; nil where that is not possible.
func (r *reaper) newGroup(id uint64, keep bool) *cgroup.Group {
	if r.tree == nil {
		return nil
	}
	g, err := r.tree.New(id, keep)
	if before := r.grouped.Swap(err == nil); before && err != nil {
		level.Warn(r.logger).Log("msg", "no cgroup can be made any more; runs are contained by marks", "err", err)
	}
	if err != nil {
		return nil
	}
	return g
}

// remove removes the group of a run that has ended, and those that could not be
// removed before: in what was killed something may still be dying, and in what is
// kept something may live for long.
func (r *reaper) remove(group *cgroup.Group) {
	if group == nil {
		return
	}
	r.mu.Lock()
	groups := append(r.groups, group)
	r.groups = nil // two must not remove the same
	r.mu.Unlock()
	groups = slices.DeleteFunc(groups, func(g *cgroup.Group) bool { return g.Remove() == nil })
	r.mu.Lock()
	defer r.mu.Unlock()
	r.groups = append(r.groups, groups...)
}
