// Package process starts processes and sees to it that none outlives its run:
// it is the only package with os/exec.
//
// launcher.go runs one command to its end: start_unix.go or process_windows.go
// starts it with what it inherits (inherit.go), streams.go reads what it prints
// (utf16.go), kill.go ends it, and reaper_*.go what it leaves behind; on Linux
// marks_linux.go has what that is known by, leftover_linux.go what does not go
// easily, and proc_linux.go what is read of other processes. wrap*.go runs a
// command for the command wrap.
//
// The rest tells, without running anything, whether a program can and may be
// run: find.go, program_unix.go, interpreter_unix.go, with
// remedies by remedy_unix.go.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/alecthomas/units"
	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"scriptbridge/internal/cgroup"
	"scriptbridge/internal/limits"
	"scriptbridge/record"
)

// Outcome is how one process ended and what it cost.
type Outcome struct {
	Args []string
	// Stdout is all that it wrote, up to the script's max_output. After too
	// much output or a timeout it holds what had come by then.
	Stdout []byte
	// Stderr is the beginning of its standard error, whole lines of some
	// 4 KiB. Only the pool fills it in, by way of Command.Stderr.
	Stderr []byte
	// Result is OK exactly when it exited with 0.
	Result   record.Result
	ExitCode int   // -1 when it did not exit by itself
	Signal   int   // what it died of where that was not our doing; 0: nothing
	Err      error // nil exactly when Result is OK; a sentence for people
	// Limit is the key under limits that was reached, where Result is record.Limit.
	Limit string
	Start time.Time
	End   time.Time // when the main process had ended
	// User, System and MaxRSS (bytes) are the kernel's accounting of the
	// process and of those of its children that it waited for. MaxRSS is at
	// least what it says, and 0 when the kernel does not know it (see maxRSS
	// and watchPeak).
	User, System time.Duration
	MaxRSS       int64
	// StdoutBytes and StderrBytes were written; Stderr's lines went to the
	// command's own hook.
	StdoutBytes, StderrBytes int64
}

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
	// Message, if not nil, gives the process a pipe as descriptor 3 and is
	// called for each whole line of it, on the terms of Stderr; a line of more
	// than maxMessage bytes, or an error that it returns, ends the run.
	Message func(line []byte) error
	Keep    bool // leave what the run leaves behind alone
	// Stderr is called for each line, without its end and cut at 4 KiB;
	// never twice at once and never after Run has returned; it must not keep
	// the line. May be nil.
	Stderr func(line []byte)
}

// Deadlines for ending a run's processes: see "leaves nothing behind" in
// docs/architecture.md. A run takes at most
// its timeout and their sum, unless the kernel cannot end its main process.
const (
	termTime  = 2 * time.Second // from the polite request to end to SIGKILL
	drainTime = time.Second     // output is read so much longer than the main process lives
	sweepTime = 2 * time.Second // what SIGKILL does not end within it is given up
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
	dead    bool              // by kill
	running map[*process]bool // main processes that may not have ended
	runs    sync.WaitGroup    // calls of run that may have started one
}

// NewLauncher makes a launcher. On Linux the whole program becomes a child
// subreaper: descendants that lose their parent become our children.
func NewLauncher(logger log.Logger) *Launcher {
	return &Launcher{logger: logger, reaper: newReaper(logger), running: make(map[*process]bool)}
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
	s, err := newStreams(&c)
	if err != nil {
		return fail(record.Error, fmt.Errorf("cannot be started: %w", err))
	}
	p, err := l.start(&c, s.theirs)
	s.begin(err == nil)
	if err != nil {
		return fail(record.Error, err)
	}
	l.has(p)

	ended := make(chan time.Time, 1)
	over := make(chan struct{})
	go func() {
		p.wait()
		ended <- time.Now()
		close(over)
	}()
	peak := make(chan int64, 1)
	go func() { peak <- watchPeak(p.cmd.Process.Pid, over) }()
	stopped := l.supervise(ctx, &c, p, s, ended, o)
	if o.End.IsZero() { // not even SIGKILL ended it
		s.cut()
		go func() {
			<-ended
			l.reaped(p)
			p.finish(true)
		}()
		o.End = time.Now()
	} else {
		s.drain(drainTime)
		l.reaped(p)
		state, used := p.finish(!c.Keep || stopped != nil)
		s.cut()
		o.account(state, p.helper)
		o.MaxRSS = max(o.MaxRSS, <-peak)
		o.accountGroup(used, p.helper)
		o.reached(&c.Limits)
	}
	o.take(s, &c, stopped)
	return o
}

// take takes over what came of the streams, and why the run was not left to end
// by itself.
func (o *Outcome) take(s *streams, c *Command, stopped *stop) {
	o.Stdout, o.StdoutBytes = fromUTF16(s.stdout.data), s.stdout.bytes
	o.StdoutBytes += s.printed.bytes
	o.StderrBytes = s.stderr.bytes
	if stopped != nil {
		o.ExitCode, o.Signal = -1, 0 // even where it had one: it is our doing
	} else if s.stdout.over() || s.written.over() { // the last of it came after its end
		stopped = tooMuch(c, s)
	} else if s.messages.err != nil { // likewise
		stopped = &stop{result: record.Invalid, err: s.messages.err}
	}
	if stopped != nil {
		o.Result, o.Err, o.Limit = stopped.result, stopped.err, stopped.limit
	}
}

// stop is why a run was not left to end by itself.
type stop struct {
	result record.Result
	err    error
	limit  string // which one was reached, where result is record.Limit
}

func tooMuch(c *Command, s *streams) *stop {
	if s.written.over() {
		return atLimit("output", fmt.Sprintf("wrote more than its limit of %v", units.Base2Bytes(c.MaxWritten)))
	}
	return &stop{result: record.Killed, err: fmt.Errorf("wrote more than %v on standard output (max_output): "+
		"make it print less, or raise max_output", units.Base2Bytes(c.MaxOutput))}
}

// atLimit is the verdict on a run that has reached a limit of the configuration.
func atLimit(name, what string) *stop {
	return &stop{record.Limit, fmt.Errorf("%s (limits: %s): make it need less, or raise the limit", what, name), name}
}

// supervise waits until the main process has ended, sets o.End to when it did,
// and ends it where it may not go on; it then says why. o.End stays zero when
// the process survives even SIGKILL and ctx has ended: then there is nobody
// left who could wait for it. While ctx goes on, so does the waiting: the next
// run must not add a second such process.
func (l *Launcher) supervise(ctx context.Context, c *Command, p *process,
	s *streams, ended <-chan time.Time, o *Outcome) *stop {
	var expired <-chan time.Time
	if c.Timeout > 0 {
		timer := time.NewTimer(c.Timeout)
		defer timer.Stop()
		expired = timer.C
	}
	var why *stop
	select {
	case o.End = <-ended:
		return nil
	case <-expired:
		why = &stop{result: record.Timeout, err: fmt.Errorf("was ended after its timeout of %v", c.Timeout)}
	case <-ctx.Done():
		why = &stop{result: record.Killed, err: fmt.Errorf("was ended before it was done: %w", context.Cause(ctx))}
	case <-s.stdout.full:
		why = tooMuch(c, s)
	case <-s.written.full:
		why = tooMuch(c, s)
	case <-s.messages.broken:
		why = &stop{result: record.Invalid, err: s.messages.err}
	}
	for _, end := range []func(){p.terminate, p.kill} {
		end()
		select {
		case o.End = <-ended:
			return why
		case <-time.After(termTime):
		}
	}
	level.Error(l.logger).Log("msg", "a process does not end though it was killed; perhaps it waits for a dead disk or file server",
		"command", strings.Join(c.Args, " "), "pid", p.cmd.Process.Pid)
	select {
	case o.End = <-ended:
	case <-ctx.Done():
	}
	return why
}

// account takes over how the process ended and what it cost, without what the
// helper had cost that it was before.
func (o *Outcome) account(state *os.ProcessState, helper limits.Usage) {
	o.Result, o.Err = verdict(state)
	if state == nil {
		return
	}
	o.ExitCode = state.ExitCode()
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		o.Signal = int(status.Signal())
	}
	o.User, o.System = max(0, state.UserTime()-helper.User), max(0, state.SystemTime()-helper.System)
	o.MaxRSS = maxRSS(state, helper.MaxRSS)
}

// reached finds the limit that ended a process where the kernel tells. What a limit
// of memory, processes or files forbids, only the script sees.
func (o *Outcome) reached(l *limits.Settings) {
	if l.OutOfTime(o.Signal, o.ExitCode, o.User+o.System) {
		stopped := atLimit("cpu", fmt.Sprintf("used up its limit of %v of CPU time", l.CPU))
		o.Result, o.Err, o.Limit = stopped.result, stopped.err, stopped.limit
	}
}

// accountGroup takes over what all processes of the run have used, where the system
// counts that.
func (o *Outcome) accountGroup(used cgroup.Usage, helper limits.Usage) {
	if used.User+used.System > 0 {
		o.User, o.System = max(0, used.User-helper.User), max(0, used.System-helper.System)
	}
	if used.Peak > helper.MaxRSS {
		o.MaxRSS = used.Peak
	}
}

// watchPeak looks at a running process until over is closed, less and less
// often, and gives the largest resident size in bytes that the kernel noted
// for it; 0 when there was no time to look. It is what is known of a process
// that was smaller than the bridge (see maxRSS).
func watchPeak(pid int, over <-chan struct{}) (peak int64) {
	for pause := time.Millisecond; ; pause = min(2*pause, time.Second) {
		timer := time.NewTimer(pause)
		select {
		case <-over:
			timer.Stop()
			return peak
		case <-timer.C:
			peak = max(peak, peakOf(pid))
		}
	}
}

// verdict judges a process that was left to end by itself.
func verdict(state *os.ProcessState) (record.Result, error) {
	if state == nil {
		return record.Error, errors.New("its end was not seen: something else in this process waited for it")
	}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		err := fmt.Errorf("was killed by signal %v", status.Signal())
		if status.Signal() == syscall.SIGKILL {
			err = fmt.Errorf("%w (by the kernel for want of memory, or by somebody)", err)
		}
		return record.Killed, err
	}
	if code := state.ExitCode(); code != 0 {
		return record.Error, fmt.Errorf("exited with code %d", code)
	}
	return record.OK, nil
}

// newCmd gives the exec.Cmd of c for a program, its arguments and its ends of
// the streams.
func newCmd(c *Command, path string, args []string, f files) *exec.Cmd {
	cmd := &exec.Cmd{Path: path, Args: args, Dir: c.Dir, Env: slices.Clip(c.Env)}
	if f[0] != nil { // a nil *os.File in the interface would not be nil
		cmd.Stdin = f[0]
	}
	cmd.Stdout, cmd.Stderr = f[1], f[2]
	if f[3] != nil {
		cmd.ExtraFiles = []*os.File{f[3]}
	}
	return cmd
}

// LastEnv gives the value of name in env, where a later entry wins.
func LastEnv(env []string, name string) string {
	for _, e := range slices.Backward(env) {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
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
