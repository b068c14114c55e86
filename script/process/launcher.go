// Package process starts processes and sees to it that none outlives its run:
// it is the only package with os/exec.
//
// launcher.go runs one command to its end: start_unix.go or start_windows.go
// starts it with what it inherits and with its limits (inherit*.go), follow_*.go waits for
// what it prints and for its end, streams.go
// takes what it prints, kill.go ends it, outcome.go has how it ended, and reaper_*.go what it leaves behind; on Linux
// marks_linux.go has what that is known by, leftover_linux.go what does not go
// easily, and proc_linux.go what is read of other processes. wrap*.go runs a
// command for the command wrap.
//
// The rest tells, without running anything, whether a program can and may be
// run, and with which remedy: find.go, program_unix.go, interpreter_unix.go.
package process

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"scriptbridge/internal/limits"
	"scriptbridge/record"
)

// Command is one process to run, with nothing left to resolve.
type Command struct {
	Args      []string
	Dir       string
	Env       []string // complete; the launcher adds its mark
	Account   *Account // nil: as ourselves
	Group     *uint32  // its primary group; nil: that of the account
	Limits    limits.Settings
	Stdin     []byte        // nil: /dev/null
	Timeout   time.Duration // 0: none
	MaxOutput int64         // bytes of standard output; one more ends the run
	// MaxWritten bounds standard output and error together, as limits.output does;
	// 0: it does not.
	MaxWritten int64
	// Stdout, if not nil, is called for each line of standard output, as
	// Stderr is, and none of it is kept.
	Stdout func(line []byte)
	// Message, if not nil, gives the process a pipe as descriptor 3, on Windows as
	// the handle that winjob.MessageVariable tells it, and is called for each whole
	// line of it, on the terms of Stderr; a line of more than maxMessage bytes, or an
	// error that it returns, ends the run.
	Message func(line []byte) error
	Keep    bool // leave what the run leaves behind alone
	// Owner is whose runs with Keep are counted together: see mostKept.
	Owner string
	// Stderr is called for each line, without its end and cut at 4 KiB;
	// never twice at once and never after Run has returned; it must not keep
	// the line. May be nil.
	Stderr func(line []byte)
}

// Deadlines for ending a run's processes: see "leaves nothing behind" in
// docs/architecture.md. A run takes at most
// its timeout and their sum, unless the kernel cannot end its main process, or what it
// leaves are so many that they take longer to die.
const (
	termTime  = 2 * time.Second // from the polite request to end to SIGKILL
	drainTime = time.Second     // output is read so much longer than the main process lives
	sweepTime = 2 * time.Second // what SIGKILL does not end within it, when nothing else has come of it either, is given up
)

// runMark is the environment variable that tells whose run a process belongs
// to.
const runMark = "SCRIPTBRIDGE_RUN"

// Launcher starts processes and sees to it that none outlives its run. It is
// the only part of the program that has child processes. Its methods may be
// called from many goroutines.
type Launcher struct {
	logger log.Logger
	reaper *reaper // of what leaves its process group; each system's own

	mu      sync.Mutex
	null    *os.File              // standard input of all that have none; nil: not opened yet
	dead    bool                  // by kill
	running map[*process]bool     // main processes that may not have ended
	kept    map[string][]*process // runs with Keep by owner, whose processes may live on
	runs    sync.WaitGroup        // calls of run that may have started one
}

// NewLauncher makes a launcher. On Linux the whole program becomes a child
// subreaper: descendants that lose their parent become our children.
func NewLauncher(logger log.Logger) *Launcher {
	return &Launcher{logger: logger, reaper: newReaper(logger), running: make(map[*process]bool), kept: make(map[string][]*process)}
}

// Close kills and reaps whatever ended runs left behind and is still ours;
// what runs with Keep left goes on. It belongs after the last run has returned.
func (l *Launcher) Close() { l.reaper.close() }

// Run runs c to its end and never returns nil. It comes back soon after ctx
// has ended; context.Cause(ctx) is then the reason given.
func (l *Launcher) Run(ctx context.Context, c Command) *Outcome {
	o := &Outcome{Args: c.Args, ExitCode: -1, Start: time.Now()}
	fail := func(result record.Result, err error) *Outcome {
		o.Result, o.Err, o.End = result, err, time.Now()
		return o
	}
	if ctx.Err() != nil {
		return fail(record.Killed, fmt.Errorf("was not started: %w", context.Cause(ctx)))
	}
	if !l.begin() {
		return fail(record.Killed, fmt.Errorf("was not started: %w", errDead))
	}
	defer l.runs.Done()
	if err := l.mayKeep(&c); err != nil {
		return fail(record.Error, fmt.Errorf("was not started: %w", err))
	}
	s, err := newStreams(&c)
	if err != nil {
		return fail(record.Error, fmt.Errorf("cannot be started: %w", err))
	}
	given := s.theirs
	if given[0] == nil {
		given[0], err = l.nothing()
	}
	var p *process
	if err == nil {
		p, err = l.start(&c, given)
	}
	s.begin(err == nil)
	if err != nil {
		return fail(record.Error, err)
	}
	l.has(p, &c)

	stopped := l.supervise(ctx, &c, p, s, o)
	if o.End.IsZero() { // not even SIGKILL ended it
		s.cut()
		go func() {
			p.wait()
			l.reaped(p)
			p.finish(true)
		}()
		o.End = time.Now()
	} else {
		l.reaped(p)
		ended, used := p.finish(!c.Keep || stopped != nil)
		s.cut()
		peak := o.MaxRSS // seen while it ran
		o.account(ended, p.helper)
		o.MaxRSS = max(o.MaxRSS, peak)
		o.accountGroup(used)
		o.reached(&c.Limits, used.Reached)
	}
	o.take(s, &c, stopped)
	return o
}

// nothing gives the null device, for standard input. It stays open.
func (l *Launcher) nothing() (*os.File, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.null != nil {
		return l.null, nil
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, fmt.Errorf("cannot be started: %w", err)
	}
	l.null = null
	return null, nil
}

// supervise follows a run until its main process has ended and its output is at its
// end, sets o.End to when the process had ended, and ends it where it may not go on;
// it then says why. o.End stays zero when the process survives even SIGKILL and ctx has
// ended: then there is nobody left who could wait for it. While ctx goes on, so does the
// waiting: the next run must not add a second such process.
func (l *Launcher) supervise(ctx context.Context, c *Command, p *process, s *streams, o *Outcome) *stop {
	f := newFollower(ctx, c, p, s)
	defer f.close()
	why := f.run(ctx)
	if why != nil && !f.endProcess(why) {
		level.Error(l.logger).Log("msg", "a process does not end though it was killed; perhaps it waits for a dead disk or file server",
			"command", strings.Join(c.Args, " "), "pid", p.pid)
		f.awaitEnd(ctx, 0)
	}
	if !f.end.IsZero() {
		f.drain()
	}
	o.End, o.MaxRSS = f.end, f.peak
	return why
}

// endProcess asks the main process to end, and then makes it, and reports whether it
// has.
func (f *follower) endProcess(why *stop) bool {
	for _, end := range []func(){f.p.terminate, f.p.kill} {
		if why.atOnce {
			end = f.p.kill
		}
		end()
		if f.awaitEnd(context.Background(), termTime) {
			return true
		}
	}
	return false
}

// LastEnv gives the value of name in env, where a later entry wins.
func LastEnv(env []string, name string) string {
	for _, e := range slices.Backward(env) {
		if of := nameOf(e); SameVariable(of, name) && len(e) > len(of) {
			return e[len(of)+1:]
		}
	}
	return ""
}

// Account is whom a script runs as.
type Account struct {
	Name, Home, Shell string
	UID, GID          uint32
	Groups            []uint32 // supplementary ones
}

// Env gives the variables that a login would set.
func (a *Account) Env() []string {
	env := []string{"HOME=" + a.Home, "USER=" + a.Name, "LOGNAME=" + a.Name}
	if a.Shell != "" {
		env = append(env, "SHELL="+a.Shell)
	}
	return env
}
