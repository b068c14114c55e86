package process

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"scriptbridge/internal/cgroup"
	"scriptbridge/internal/limits"
	"scriptbridge/internal/winjob"
)

// reaper has the jobs of runs that have ended, in which something lives. Of those whose
// processes may not live on, that is what the system does not end.
type reaper struct {
	logger log.Logger

	mu   sync.Mutex
	jobs map[*process]bool // whether it may live on
}

func newReaper(logger log.Logger) *reaper {
	return &reaper{logger: logger, jobs: make(map[*process]bool)}
}

func (r *reaper) contain() {}

func containments() []Containment { return []Containment{ByJobObject} }

func (r *reaper) containment() Containment { return ByJobObject }

// process is one started command, the first of its job.
type process struct {
	pid     int
	started *winjob.Process
	job     *winjob.Job
	reaper  *reaper
	keep    bool
	ended   chan struct{} // closed when it has ended
	exit    *winjob.Exit  // how, then; nil: that is not known
	over    chan *stop    // why it may not go on, when it has reached a limit
	watched sync.WaitGroup
	helper  limits.Usage // nothing: there is none here

	closed bool // the job is; guarded by the reaper
}

// start starts a program as a new run.
func (r *reaper) start(c *Command, what *winjob.Program) (*process, error) {
	l := &c.Limits
	job, err := winjob.New(winjob.Limits{CPU: l.CPU, Memory: l.Memory, Processes: l.Processes, Keep: c.Keep})
	if err != nil {
		return nil, &limits.Error{What: "the job object of the run", Err: err}
	}
	started, err := job.Start(what)
	if err != nil {
		job.Close()
		return nil, err
	}
	p := &process{pid: started.PID, started: started, job: job, reaper: r, keep: c.Keep, ended: make(chan struct{}), over: make(chan *stop, 1)}
	go func() {
		defer close(p.ended)
		p.exit, _ = started.Wait() // it can wait for what it has started
	}()
	if l.CPU > 0 || l.Memory > 0 || l.Processes > 0 {
		p.watched.Go(func() { p.watch(l) })
	}
	return p, nil
}

// watchTime is how often a run is looked at for its limits.
const watchTime = 100 * time.Millisecond

// watch ends a run that has reached one of its limits.
func (p *process) watch(l *limits.Settings) {
	tick := time.NewTicker(watchTime)
	defer tick.Stop()
	for {
		select {
		case <-p.ended:
			return
		case <-tick.C:
		}
		used := p.job.Usage()
		switch {
		case used.MemoryRefused:
			p.over <- tooLarge(l)
		case used.ProcessRefused:
			p.over <- tooMany(l)
		case l.CPU > 0 && used.User+used.System >= l.CPU:
			p.over <- outOfTime(l)
		default:
			continue
		}
		return
	}
}

// wait blocks until the main process has ended.
func (p *process) wait() { <-p.ended }

// terminate asks a run to end. One without a console cannot be asked.
func (p *process) terminate() {
	if err := p.started.Ask(termTime); err != nil {
		p.kill()
	}
}

func (p *process) kill() { _ = p.job.Kill() }

// finish ends what is left of the run, if asked to, and tells how the main
// process ended, nil if that is not known, and what its job has used.
func (p *process) finish(killGroup bool) (*exit, cgroup.Usage) {
	p.watched.Wait()
	if killGroup {
		p.kill()
	}
	if killGroup && !p.job.AwaitEmpty(sweepTime) {
		level.Error(p.reaper.logger).Log("msg", "what a run left behind does not end though it was killed", "pid", p.pid)
	}
	used := p.job.Usage()
	p.started.Close()
	p.reaper.leave(p, p.keep && !killGroup)
	grouped := cgroup.Usage{User: used.User, System: used.System, Peak: used.Peak}
	switch {
	case used.MemoryRefused:
		grouped.Reached = cgroup.Memory
	case used.ProcessRefused:
		grouped.Reached = cgroup.Processes
	}
	if p.exit == nil {
		return nil, grouped
	}
	return &exit{code: int(p.exit.Code), user: p.exit.User, system: p.exit.System, maxRSS: p.exit.Peak}, grouped
}

// leave takes over the job of a run that has ended.
func (r *reaper) leave(p *process, mayLive bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.jobs[p] = mayLive
	r.closeEmpty()
}

// closeEmpty closes the jobs in which nothing lives. The caller holds r.mu.
func (r *reaper) closeEmpty() {
	maps.DeleteFunc(r.jobs, func(p *process, _ bool) bool {
		pids, err := p.job.Processes()
		if err != nil || len(pids) == 0 {
			p.closed = true
			p.job.Close()
		}
		return p.closed
	})
}

// close ends what is left of all runs that may leave nothing behind.
func (r *reaper) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p, mayLive := range r.jobs {
		if !mayLive {
			p.kill()
			p.job.AwaitEmpty(sweepTime)
		}
	}
	r.closeEmpty()
}

// alive gives those of runs of which something lives.
func (r *reaper) alive(runs []*process) []*process {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closeEmpty()
	return slices.DeleteFunc(runs, func(p *process) bool { return p.closed })
}

// left lists what still lives of runs that have ended.
func (r *reaper) left() (all []Leftover) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p, mayLive := range r.jobs {
		pids, _ := p.job.Processes()
		for _, pid := range pids {
			all = append(all, Leftover{PID: pid, Command: winjob.NameOf(pid), Kept: mayLive})
		}
	}
	slices.SortFunc(all, func(a, b Leftover) int { return a.PID - b.PID })
	return all
}
