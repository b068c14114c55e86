package process

import (
	"errors"
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

// has notes that a main process has started.
func (l *Launcher) has(p *process) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running[p] = true
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
