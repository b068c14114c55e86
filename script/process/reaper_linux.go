package process

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"golang.org/x/sys/unix"
)

// The reaper rests on three things that Linux gives.
//
// This process is a child subreaper: whoever descends from a run and loses its
// parent becomes our child. When the main process of a run has ended, each of
// the run's surviving processes is our child or descends from one that is. So
// it is enough to kill children, again and again: theirs become ours.
//
// A child's number is not given away before it is reaped, and nobody but us
// reaps it. So a signal to a child, or to its group, never hits a stranger.
//
// Every process inherits its resource limits. The soft limit on the time that
// a real-time process may run without a pause, in microseconds, carries the
// run's id: one of some 70 000 years, which limits nobody. A script can clear
// its environment, but hardly thinks of this, and the limits of any process
// can be read by anybody. The environment carries the id as well: for people,
// and for systems that do not let us set the limit.
//
// What carries no mark is not ours to kill: a container's first process has
// children that it did not start.

// An id is idBit, a part of 20 bits that tells this reaper from others, a bit
// for runs that may leave something behind, and a number that counts.
const (
	idBit   = 1 << 61
	keepBit = 1 << 40
	ownBits = idBit | (keepBit<<1)*(1<<20-1)
)

// stormTime is how long children are killed one generation after the other
// before the whole machine is searched for their descendants.
const stormTime = 20 * time.Millisecond

// limitLock is held while this process's own limit is not its own, from before
// a start to after it. A limit belongs to the whole process, and so does its
// lock: two launchers (in tests) must not start at once.
var limitLock sync.Mutex

type reaper struct {
	logger log.Logger
	base   uint64 // what all ids have in common
	limits bool   // limits carry the mark
	// strangers: unmarked zombies are reaped as well, either since init has
	// to, or since without limits a zombie has no mark that could be read.
	strangers bool

	mu    sync.Mutex
	count uint64
	live  map[uint64]int // main process by run, 0 while it is being started
	stuck map[int]bool   // children that survived SIGKILL
}

func newReaper(logger log.Logger) *reaper {
	keepDescriptors()
	r := &reaper{
		logger: logger,
		base:   idBit | rand.Uint64()&ownBits,
		live:   make(map[uint64]int),
		stuck:  make(map[int]bool),
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		level.Warn(logger).Log("msg", "cannot become a child subreaper: what leaves the process group of its run will live on", "err", err)
	}
	if err := r.tryLimit(); err != nil {
		level.Warn(logger).Log("msg", "cannot mark runs by a resource limit: what leaves the process group of its run and clears its environment will live on", "err", err)
	}
	r.strangers = !r.limits || os.Getpid() == 1
	return r
}

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

// start starts cmd as a new run. It may block for as long as the kernel needs
// to open the program, and so do all other starts.
func (r *reaper) start(cmd *exec.Cmd, keep bool) (*process, error) {
	r.mu.Lock()
	r.count++
	id, prefix := r.base|r.count&(keepBit-1), ""
	if keep {
		id, prefix = id|keepBit, "keep-"
	}
	r.live[id] = 0
	r.mu.Unlock()
	cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%s%x", runMark, prefix, id))

	err := r.startMarked(cmd, id)

	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		delete(r.live, id)
		return nil, err
	}
	r.live[id] = cmd.Process.Pid
	return &process{cmd: cmd, reaper: r, id: id}, nil
}

func (r *reaper) startMarked(cmd *exec.Cmd, id uint64) error {
	limitLock.Lock()
	defer limitLock.Unlock()
	if r.limits {
		if restore, err := borrowLimit(id); err == nil {
			defer restore()
		}
	}
	return cmd.Start()
}

// wait blocks until the main process has ended but leaves it unreaped: its
// number, which is its group's too, remains taken.
func (p *process) wait() {
	for errors.Is(unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
	}
}

// finish kills what is left of the group, if asked to, reaps the main process,
// which must have ended, and then kills and reaps what left the group, unless
// the run may leave something behind. It tells how the main process ended; nil
// if that is not known.
func (p *process) finish(killGroup bool) *os.ProcessState {
	if killGroup {
		p.kill()
	}
	r := p.reaper
	r.mu.Lock()      // no child disappears while a sweep reads their list
	_ = p.cmd.Wait() // the state has it all
	delete(r.live, p.id)
	r.mu.Unlock()
	r.sweep()
	return p.cmd.ProcessState
}

// sweep kills and reaps all that ended runs left behind. It returns when
// nothing is left, or after sweepTime; what then still lives is logged once
// and not waited for again.
func (r *reaper) sweep() {
	pause := 50 * time.Microsecond
	for start := time.Now(); ; {
		left := r.pass()
		took := time.Since(start)
		switch {
		case len(left) == 0:
			return
		case took > sweepTime:
			r.giveUp(left)
			return
		case took > stormTime:
			r.endStorm(start.Add(sweepTime))
		}
		time.Sleep(pause)
		pause = min(2*pause, 5*time.Millisecond)
	}
}

// pass goes once over our children. It gives those that are about to die, or
// may be: they have to be reaped, and their children have yet to become ours.
func (r *reaper) pass() (dying []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, pid := range children() {
		id := r.owner(pid)
		inExec := id == 0 && !r.limits && argless(pid)
		if id == 0 && !r.limits && !inExec {
			// The exec that hid the mark may have ended between the two looks.
			id = r.owner(pid)
		}
		ended := r.ended(id)
		switch {
		case r.awaited(pid, id), id == 0 && !r.strangers:
			continue
		case ended:
			r.killWithGroup(pid)
		}
		reaped, _ := unix.Wait4(pid, nil, unix.WNOHANG, nil)
		if reaped == pid {
			delete(r.stuck, pid)
		}
		// Without limits, who is dying or in an exec shows no mark.
		unsure := id == 0 && !r.limits && (reaped == pid || inExec)
		if !r.stuck[pid] && (ended || unsure) {
			dying = append(dying, pid)
		}
	}
	return dying
}

// endStorm ends processes that fork faster than pass gets down to them, or
// that replace those it kills. All are stopped, however deep in the tree, until
// none is left that could fork; then they are killed.
func (r *reaper) endStorm(deadline time.Time) {
	seen := make(map[int]bool)
	for r.signalEnded(unix.SIGSTOP, seen) && time.Now().Before(deadline) {
	}
	r.signalEnded(unix.SIGKILL, make(map[int]bool))
}

// signalEnded signals whatever on this machine belongs to an ended run, but
// for those seen before, and reports whether there was anything. A pidfd makes
// sure that the process signalled is the one whose mark was read.
func (r *reaper) signalEnded(signal unix.Signal, seen map[int]bool) (found bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, pid := range processes() {
		if seen[pid] {
			continue
		}
		seen[pid] = true
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		if r.ended(r.owner(pid)) {
			found = unix.PidfdSendSignal(fd, signal, nil, 0) == nil || found
		}
		unix.Close(fd)
	}
	return found
}

// ended reports whether id is a run of ours that is over and may not leave
// anything behind.
func (r *reaper) ended(id uint64) bool {
	_, live := r.live[id]
	return id != 0 && !live && id&keepBit == 0
}

// awaited reports whether os/exec waits for pid, a process of run id, or may
// be about to: while a run is being started, any child of it, and any without
// a mark, may be its main process.
func (r *reaper) awaited(pid int, id uint64) bool {
	for run, main := range r.live {
		if main == pid || main == 0 && (id == run || id == 0) {
			return true
		}
	}
	return false
}

// killWithGroup kills a child and its group: in a group, unlike one by one, no
// fork outruns the signal. All members belong to the same run, since a run has
// a session of its own and groups do not reach across sessions.
func (r *reaper) killWithGroup(pid int) {
	if group, err := unix.Getpgid(pid); err == nil && group > 1 && group != unix.Getpgrp() {
		unix.Kill(-group, unix.SIGKILL)
	}
	unix.Kill(pid, unix.SIGKILL)
}

func (r *reaper) giveUp(pids []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, pid := range pids {
		err := unix.Kill(pid, 0)
		if r.stuck[pid] || errors.Is(err, unix.ESRCH) {
			continue // another sweep met it, or it is reaped
		}
		r.stuck[pid] = true
		if r.owner(pid) == 0 {
			continue // it was unsure, and is a stranger
		}
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		level.Error(r.logger).Log("msg", "a process that a run left behind cannot be killed",
			"pid", pid, "command", strings.TrimSpace(string(name)), "err", err)
	}
}

// owner gives the id of the run that pid belongs to; 0 for none of ours.
func (r *reaper) owner(pid int) uint64 {
	if id := limitOf(pid); id&ownBits == r.base {
		return id
	}
	if id := markOf(pid); id&ownBits == r.base {
		return id
	}
	return 0
}
