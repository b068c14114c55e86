package process

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"time"

	"github.com/alecthomas/units"

	"scriptbridge/internal/cgroup"
	"scriptbridge/internal/limits"
	"scriptbridge/internal/texts"
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
	// LastStderr is the last line of it with anything on it; filled in likewise.
	LastStderr string
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
	// least what it says, and 0 when it is not known.
	User, System time.Duration
	MaxRSS       int64
	// StdoutBytes and StderrBytes were written; Stderr's lines went to the
	// command's own hook.
	StdoutBytes, StderrBytes int64
}

// take takes over what came of the streams, and why the run was not left to end
// by itself.
func (o *Outcome) take(s *streams, c *Command, stopped *stop) {
	o.Stdout, o.StdoutBytes = texts.FromConsole(texts.FromUTF16(s.stdout.data)), s.stdout.bytes
	o.StdoutBytes += s.printed.bytes
	o.StderrBytes = s.stderr.bytes
	if stopped != nil {
		o.ExitCode, o.Signal = -1, 0 // even where it had one: it is our doing
		if stopped.result == record.Timeout && o.Limit != "" {
			return // it is the limit that the script could not do with
		}
	} else if s.stdout.over() || s.written.over() { // the last of it came after its end
		stopped = tooMuch(c, s)
	} else if s.messages.err != nil { // likewise
		stopped = s.messages.stop()
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
	atOnce bool   // it is not asked to end: meanwhile it would do more of the same
}

func expired(c *Command) *stop {
	return &stop{result: record.Timeout, err: fmt.Errorf("was ended after its timeout of %v", c.Timeout)}
}

func cutShort(ctx context.Context) *stop {
	return &stop{result: record.Killed, err: fmt.Errorf("was ended before it was done: %w", context.Cause(ctx))}
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
	return &stop{result: record.Limit, err: fmt.Errorf("%s (limits: %s): make it need less, or raise the limit", what, name), limit: name}
}

// exit is how a main process ended, and what it has cost.
type exit struct {
	code         int            // -1 where a signal ended it
	signal       syscall.Signal // 0: none
	user, system time.Duration
	maxRSS       int64 // the largest resident size in bytes; 0 when it is unknown
}

// account takes over how the process ended and what it cost, without what the
// helper had cost that it was before.
func (o *Outcome) account(e *exit, helper limits.Usage) {
	o.Result, o.Err = verdict(e)
	if e == nil {
		return
	}
	o.ExitCode, o.Signal = e.code, int(e.signal)
	o.User, o.System = max(0, e.user-helper.User), max(0, e.system-helper.System)
	o.MaxRSS = e.maxRSS
}

// reached finds the limit that the run has reached, as far as the kernel tells: what
// it forbids by a limit of one process, only the script sees. grouped is what the
// cgroup of the run ran into.
func (o *Outcome) reached(l *limits.Settings, grouped string) {
	var stopped *stop
	switch {
	case grouped == cgroup.Memory:
		stopped = tooLarge(l)
	case grouped == cgroup.Processes:
		stopped = tooMany(l)
	case l.OutOfTime(o.Signal, o.ExitCode, o.User+o.System):
		stopped = outOfTime(l)
	default:
		return
	}
	o.Result, o.Err, o.Limit = stopped.result, stopped.err, stopped.limit
}

func outOfTime(l *limits.Settings) *stop {
	return atLimit("cpu", fmt.Sprintf("used up its limit of %v of CPU time", l.CPU))
}

func tooLarge(l *limits.Settings) *stop {
	stopped := atLimit("memory", fmt.Sprintf("needed more than its limit of %v of memory", units.Base2Bytes(l.Memory)))
	stopped.atOnce = true
	return stopped
}

func tooMany(l *limits.Settings) *stop {
	what := "processes and threads"
	if runtime.GOOS == "windows" {
		what = "processes" // threads are not counted there
	}
	stopped := atLimit("processes", fmt.Sprintf("had as many %s as its limit of %d allows, and wanted more", what, l.Processes))
	stopped.atOnce = true
	return stopped
}

// accountGroup takes over what all processes of the run have used, where the system
// counts that.
func (o *Outcome) accountGroup(used cgroup.Usage) {
	if used.User+used.System > 0 {
		o.User, o.System = used.User, used.System
	}
	if used.Peak > 0 {
		o.MaxRSS = used.Peak
	}
}

// verdict judges a process that was left to end by itself.
func verdict(e *exit) (record.Result, error) {
	switch {
	case e == nil:
		return record.Error, errors.New("its end was not seen: something else in this process waited for it")
	case e.signal == syscall.SIGKILL:
		return record.Killed, fmt.Errorf("was killed by signal %v (by the kernel for want of memory, or by somebody)", e.signal)
	case e.signal != 0:
		return record.Killed, fmt.Errorf("was killed by signal %v", e.signal)
	case e.code != 0:
		return record.Error, fmt.Errorf("exited with code %d", uint32(e.code)) // Windows has codes of 32 bits
	}
	return record.OK, nil
}
