package process

import (
	"errors"
	"fmt"
	"time"
)

// errDead is why nothing is started any more.
var errDead = errors.New("scriptbridge ends at once")

// Kill ends all runs, now, and starts none any more. It returns when nothing is
// left of them, or when that takes too long.
func (l *Launcher) Kill() {
	l.mu.Lock()
	l.dead = true
	for p := range l.running {
		p.kill()
	}
	l.mu.Unlock()
	done := make(chan struct{})
	go func() {
		l.runs.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(drainTime + sweepTime):
	}
	l.reaper.close()
}

// begin says that a run may start a process, unless everything ends.
func (l *Launcher) begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.dead {
		l.runs.Add(1)
	}
	return !l.dead
}

// mostKept is of how many of an owner's runs something may live on. A script that
// starts a daemon has left one; one that starts another with each run would fill the
// machine.
const mostKept = 16

// mayKeep says why no further run may leave something behind. Where the system does
// not tell what lives on, nothing is said.
func (l *Launcher) mayKeep(c *Command) error {
	if !c.Keep {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept[c.Owner] = l.reaper.alive(l.kept[c.Owner])
	if n := len(l.kept[c.Owner]); n >= mostKept {
		return fmt.Errorf("%d earlier runs have left processes that still run (end those that are not needed, or leave out descendants: keep)", n)
	}
	return nil
}

// has notes that a main process has started.
func (l *Launcher) has(p *process, c *Command) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running[p] = true
	if c.Keep {
		l.kept[c.Owner] = append(l.kept[c.Owner], p)
	}
	if l.dead {
		p.kill()
	}
}

// reaped notes that a main process is about to be reaped: from then on its number
// may be another's.
func (l *Launcher) reaped(p *process) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.running, p)
}

// Containment is what keeps the processes of a run together, so that they end with
// it.
type Containment string

// What that may be: on Linux one of the first two, on other systems the process
// group, and on Windows a job object.
const (
	ByCgroup       Containment = "cgroup"
	ByMarks        Containment = "marks"
	ByProcessGroup Containment = "process_group"
	ByJobObject    Containment = "job_object"
)

// Containments are all that there are on this system.
func Containments() []Containment { return containments() }

// Contain has runs end for sure, as far as this system lets us. It is for a program
// whose only launcher this is, and which starts no processes in any other way:
// what then becomes its child has come from a run. It belongs before the first run.
func (l *Launcher) Contain() { l.reaper.contain() }

// Containment says what keeps the processes of a run together: that of the run that
// was started last, or else of the next.
func (l *Launcher) Containment() Containment { return l.reaper.containment() }

// Leftover is a process that a run has left behind.
type Leftover struct {
	PID     int
	Command string
	Kept    bool // since its script may (descendants: keep)
}

// Left lists what runs that have ended left behind and what still lives, as far as
// the system can tell. It belongs after Close.
func (l *Launcher) Left() []Leftover { return l.reaper.left() }
