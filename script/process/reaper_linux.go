package process

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"golang.org/x/sys/unix"

	"scriptbridge/internal/cgroup"
	"scriptbridge/internal/limits"
)

// The reaper rests on four things that Linux gives.
//
// Where cgroups of version 2 may be written, each run starts in a group of its
// own (internal/cgroup), and ends with it: nothing that is in the group survives,
// whatever it did. What follows is for systems where they may not, and for those
// who can leave their group since they may write the tree themselves.
//
// This process is a child subreaper: whoever descends from a run and loses its
// parent becomes our child. When the main process of a run has ended, each of
// the run's surviving processes is our child or descends from one that is. So
// it is enough to kill children, again and again: theirs become ours.
//
// A child's number is not given away before it is reaped, and nobody but us
// reaps it. So a signal to a child, or to its group, never hits a stranger.
//
// Each run has a mark, which its processes inherit (marks_linux.go). A child
// without one descends from a run as well, and one that has rid itself of its
// mark, of its session and of its environment means to outlive it: which run that
// was cannot be told any more, so it ends with the next one that does. Only if
// something else may have become our child are those left alone: see contain.

// stormTime is how long children are killed one generation after the other
// before the whole machine is searched for their descendants.
const stormTime = 20 * time.Millisecond

// sweepMost is how long a sweep takes at most.
const sweepMost = 10 * sweepTime

type reaper struct {
	logger log.Logger
	base   uint64       // what all ids have in common
	limits bool         // limits carry the mark
	pidfds bool         // the end of a process can be polled
	lists  bool         // the kernel lists the children of each thread
	tree   *cgroup.Tree // where runs have their groups; nil: nowhere
	// alone: what has no mark descends from a run, since nobody else can have
	// become our child.
	alone bool
	// before are the children that this process had before it was the bridge, and
	// sessions theirs and its own.
	before, sessions map[int]bool
	// strangers: unmarked zombies are reaped as well, either since nobody else
	// would, or since without limits a zombie has no mark that could be read.
	strangers bool
	grouped   atomic.Bool // the last run that was started is in a group of its own

	mu    sync.Mutex
	count uint64
	live  map[uint64]int // main process by run, 0 while it is being started
	kept  bool           // a run that may leave something behind was started
	stuck map[int]bool   // children that survived SIGKILL
	// threads of ours that have children besides main processes; see suspects.
	threads map[int]bool
	groups  []*cgroup.Group // of ended runs, that could not be removed yet
	closed  bool            // the tree is
}

func newReaper(logger log.Logger) *reaper {
	keepDescriptors()
	r := &reaper{
		logger:  logger,
		base:    idBit | rand.Uint64()&ownBits, //nolint:gosec // a mark tells runs apart, and keeps no secret
		live:    make(map[uint64]int),
		stuck:   make(map[int]bool),
		threads: make(map[int]bool),
	}
	if fd, err := unix.PidfdOpen(os.Getpid(), 0); err == nil {
		unix.Close(fd)
		r.pidfds = true
	}
	_, err := listOf(os.Getpid())
	r.lists = err == nil
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		level.Warn(logger).Log("msg", "cannot become a child subreaper: what leaves the process group of its run will live on", "err", err)
	}
	if err := r.tryLimit(); err != nil {
		level.Warn(logger).Log("msg", "cannot mark runs by a resource limit: what leaves the process group of its run and clears its environment will live on", "err", err)
	}
	r.strangers = !r.limits || os.Getpid() == 1
	return r
}

// start starts a program as a new run. It may block for as long as the kernel needs
// to open the program, and so do all other starts. The caller has locked its thread.
func (r *reaper) start(what *program, keep bool) (*process, error) {
	r.mu.Lock()
	r.count++
	id, prefix := r.base|r.count&(keepBit-1), ""
	if keep {
		id, prefix = id|keepBit, "keep-"
		r.kept = true
	}
	r.live[id] = 0
	r.mu.Unlock()
	what.mark(prefix + strconv.FormatUint(id, 16))

	p := &process{reaper: r, id: id, thread: unix.Gettid(), pidfd: -1, group: r.newGroup(id, keep)}
	err := r.startMarked(what, p)

	if err != nil {
		r.remove(p.group)
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.live, id)
		return nil, err
	}
	if fd, err := unix.PidfdOpen(p.pid, 0); err == nil && r.pidfds {
		p.pidfd = fd
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.live[id] = p.pid
	return p, nil
}

func (r *reaper) startMarked(what *program, p *process) (err error) {
	attr := &syscall.ProcAttr{Dir: what.attr.Dir, Env: what.attr.Env, Sys: what.attr.Sys}
	for _, f := range what.attr.Files {
		attr.Files = append(attr.Files, f.Fd()) // of none the highest number, which is none to the kernel
	}
	if p.group != nil && what.path != limits.Self { // the helper enters when it becomes the script
		dir, err := p.group.Open()
		if err != nil {
			return err
		}
		defer unix.Close(dir)
		attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, dir
	}
	limitLock.Lock()
	defer limitLock.Unlock()
	if r.limits {
		if restore, err := borrowLimit(p.id); err == nil {
			defer restore()
		}
	}
	p.pid, err = syscall.ForkExec(what.path, what.args, attr) //nolint:gosec // to start what the configuration names is what this package is for
	return err
}

// wait blocks until the main process has ended but leaves it unreaped: its
// number, which is its group's too, remains taken.
func (p *process) wait() {
	for errors.Is(unix.Waitid(unix.P_PID, p.pid, nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
	}
}

// process is one started command, the leader of a session and a group.
type process struct {
	pid    int
	pidfd  int // can be read when it has ended; -1: the system has no such thing
	thread int // of ours, which started it
	reaper *reaper
	id     uint64
	group  *cgroup.Group // nil: none
	helper limits.Usage  // what it had cost when it became the script; see limits
	tasks  int           // the most that the group may have, where we must see to it
}

// kill ends the run's group, unless it may leave something behind, and the main
// process and its process group in any case.
func (p *process) kill() {
	if p.group != nil && p.id&keepBit == 0 {
		_ = p.group.Kill() // what it does not reach is found by its mark
	}
	p.killProcesses()
}

// finish kills what is left of the group, if asked to, reaps the main process,
// which must have ended, and then kills and reaps what left the group, unless
// the run may leave something behind. It tells how the main process ended, nil
// if that is not known, and what the run's cgroup has used.
func (p *process) finish(killGroup bool) (*exit, cgroup.Usage) {
	if killGroup {
		p.killProcesses()
	}
	r := p.reaper
	r.mu.Lock() // no child disappears while a sweep reads their list
	e := p.reap()
	delete(r.live, p.id)
	r.mu.Unlock()
	if p.pidfd >= 0 {
		unix.Close(p.pidfd)
	}
	if p.group == nil {
		r.sweep(p.thread)
		return e, cgroup.Usage{}
	}
	used := p.group.Usage()
	empty := p.group.RemoveEmpty() == nil
	if !empty && killGroup && p.id&keepBit == 0 {
		_ = p.group.Kill() // what it does not reach is found by its mark
	}
	r.sweep(p.thread)
	if !empty {
		used = p.group.Usage()
		r.remove(p.group)
	}
	return e, used
}

// reap waits for the main process, which has ended. Go starts a child in its own memory
// (vfork), and Linux then accounts this process's peak to the child, as that of a helper:
// below these, nothing can be known of its size.
func (p *process) reap() *exit {
	var status unix.WaitStatus
	var usage, own unix.Rusage
	for {
		pid, err := unix.Wait4(p.pid, &status, 0, &usage)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || pid != p.pid {
			return nil
		}
		break
	}
	e := &exit{code: status.ExitStatus(), user: time.Duration(usage.Utime.Nano()), system: time.Duration(usage.Stime.Nano())}
	if status.Signaled() {
		e.signal = status.Signal()
	}
	// In KiB; where a word has 32 bits, bytes would not fit.
	if unix.Getrusage(unix.RUSAGE_SELF, &own) == nil && int64(usage.Maxrss) > max(int64(own.Maxrss), p.helper.MaxRSS>>10) { //nolint:unconvert // see above
		e.maxRSS = int64(usage.Maxrss) << 10 //nolint:unconvert // see above
	}
	return e
}

// close ends what is left of all runs that may leave nothing behind.
func (r *reaper) close() {
	r.sweep(0)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tree != nil && !r.closed {
		r.closed = true
		_ = r.tree.Close() // left tells what is in it still
	}
}

// sweep kills and reaps all that ended runs left behind, a run that this thread has
// started being the last to end; 0: wherever it is. It returns when nothing is left, or
// when nothing has come of it for sweepTime: on a busy machine thousands take longer to
// die. What then still lives is logged once and not waited for again.
func (r *reaper) sweep(thread int) {
	pause := time.Duration(0)
	var restore func()
	start, stopped := time.Now(), make(map[int]bool)
	for least, progress := math.MaxInt, start; ; {
		left := r.pass(thread)
		now := time.Now()
		if len(left) < least {
			least, progress = len(left), now
		}
		switch {
		case len(left) == 0:
			return
		case now.Sub(progress) > sweepTime || now.Sub(start) > sweepMost:
			r.giveUp(left)
			return
		case now.Sub(start) > stormTime:
			if pause = 0; restore == nil {
				restore = raisePriority()
				defer restore()
			}
			if r.endForkStorm(progress.Add(sweepTime), stopped) {
				progress = time.Now()
			}
		}
		time.Sleep(pause)
		pause = min(2*pause+50*time.Microsecond, 5*time.Millisecond)
	}
}

// pass goes once over our children. It gives those that are about to die, or
// may be: they have to be reaped, and their children have yet to become ours.
func (r *reaper) pass(thread int) (dying []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	reapAll := r.mayReapAll()
	for _, pid := range r.suspects(thread) {
		if r.isMain(pid) {
			continue
		}
		if reapAll && r.reap(pid) {
			dying = append(dying, pid)
			continue
		}
		if r.lonely(pid) {
			r.killWithGroup(pid, 0)
			if !r.stuck[pid] {
				dying = append(dying, pid)
			}
			continue
		}
		if r.settle(pid, r.look(pid)) {
			dying = append(dying, pid)
		}
	}
	return dying
}

// settle kills and reaps a child, by what a look at it has shown, if it may not live on,
// and reports whether it is about to die, or may be. One look decides: a child that was
// killed may have lost its mark by the next one, and be no zombie yet.
func (r *reaper) settle(pid int, seen sight) (dying bool) {
	if r.awaited(pid, seen.id) {
		// It may be the main process of a run that is being started, or not.
		return seen.id == 0 && r.alone && !r.stuck[pid] && !r.stranger(pid)
	}
	if seen.id == 0 && !r.strangers {
		return false
	}
	ended := r.overAs(pid, seen)
	if ended {
		r.killWithGroup(pid, seen.id)
	}
	// Without limits, who is dying shows no mark either.
	unmarked := r.reap(pid) && seen.id == 0 && !r.limits
	return !r.stuck[pid] && (ended || unmarked || !seen.sure)
}

// lonely reports whether a child must descend from a run that is over and may not
// leave anything behind, since there is no other.
func (r *reaper) lonely(pid int) bool {
	return r.alone && !r.kept && len(r.live) == 0 && !r.stranger(pid)
}

// mayReapAll reports whether whoever is dead and no main process may be reaped
// without a look at it: there may be thousands. Not while something is being
// started: what comes to nothing is waited for by os/exec.
func (r *reaper) mayReapAll() bool { return r.before != nil && !r.isMain(0) }

// reap reaps a child if it is dead.
func (r *reaper) reap(pid int) bool {
	reaped, _ := unix.Wait4(pid, nil, unix.WNOHANG, nil)
	if reaped == pid {
		delete(r.stuck, pid)
		delete(r.before, pid)
	}
	return reaped == pid
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

// isMain reports whether pid is the main process of a run.
func (r *reaper) isMain(pid int) bool {
	for _, main := range r.live {
		if main == pid {
			return true
		}
	}
	return false
}

// killWithGroup kills a child of run id and its group: in a group, unlike one by
// one, no fork outruns the signal. All members belong to the same run, since a run
// has a session of its own and groups do not reach across sessions. Of a child
// whose run is not known that cannot be said.
func (r *reaper) killWithGroup(pid int, id uint64) {
	if group, err := unix.Getpgid(pid); id != 0 && err == nil && group > 1 && group != unix.Getpgrp() {
		unix.Kill(-group, unix.SIGKILL)
	}
	unix.Kill(pid, unix.SIGKILL)
}
