package dialect

import (
	"context"
	"time"

	"github.com/go-kit/log/level"

	"scriptbridge/record"
	"scriptbridge/script/process"
)

// New makes the Runner of a script, which may keep a little in memory
// from one start of the bridge to the next.
type New func(*Script, Memory) Runner

// Memory keeps a few bytes of one script, over restarts where there is a
// storage folder. Its methods are not called twice at once.
type Memory interface {
	// Load gives what was saved last; nil when there is nothing.
	Load() ([]byte, error)
	// Save replaces it; when it returns nil, the bytes are safe.
	Save([]byte) error
}

// Forgetful is the Memory of a bridge without a storage folder.
type Forgetful struct{}

// Load gives nothing.
func (Forgetful) Load() ([]byte, error) { return nil, nil }

// Save forgets it.
func (Forgetful) Save([]byte) error { return nil }

// Runner is what a dialect keeps of one script between its runs: a
// declaration, the output fed back, a child kept alive. The pool never calls
// it twice at once.
type Runner interface {
	// Run runs the script once, by means of exec, and says what came of it.
	// It returns soon after ctx has ended.
	Run(ctx context.Context, exec Exec) *Result
	// Close ends whatever the Runner keeps alive.
	Close()
}

// Exec starts one process of the script and waits for its end: args are
// appended to the script's command line. A zero timeout means the script's
// own. It never returns nil.
type Exec func(ctx context.Context, invocation Invocation) *process.Outcome

// Invocation is what a dialect decides about one process; all the rest
// (directory, environment, user, limits) is the script's.
type Invocation struct {
	Args    []string // appended to the script's command line
	Stdin   []byte   // nil: /dev/null
	Timeout time.Duration
	// Program, if not empty, is one of Dialect.Files: its path on disk goes in
	// front of Args.
	Program string
	// Message, if not nil, makes the process one that lives for as long as it
	// likes: Timeout does not hold, standard output is lines for the log, and
	// the process has a pipe as descriptor 3, each line of which (4 MiB at
	// most) is given to Message: one at a time, none after the Exec has
	// returned. Message must not keep the line; an error ends the process.
	Message func(line []byte) error
}

// Result is the result of one run. What its slices hold is immutable once it is
// returned: the status page and the judge share them.
type Result struct {
	// Outcomes are the processes of the run, in order. The last one decides
	// the exit code and the duration; all count for CPU, memory and bytes.
	Outcomes []*process.Outcome
	// Failure is what the dialect finds wrong where the processes' own result
	// is OK, such as record.Invalid; empty for nothing.
	Failure record.Result
	// Disabled says of the last Result of a Keeper that the script itself wants
	// not to run; Err is why. That is no failure, and it is not started again
	// before a reload makes it anew.
	Disabled bool
	// ExitCodeIsValue says that a non-zero exit code of the last process is a
	// value (a state of Nagios), not a failure.
	ExitCodeIsValue bool
	// Answer is what a script says that reports a state; nil for others.
	Answer *Answer
	// Err says why the run failed, or which lines could not be read (joined
	// record.LineErrors); it does not repeat an Outcome's Err.
	Err error
	// Complete says that the script gave its complete present state, and so
	// does the batch. Without it the last values stay until they are too old.
	Complete bool
	Declared *record.Declared // nil: as before
	Samples  []record.Sample
	Events   []record.Event
	// Interval and Timeout are what the script declares of itself; 0: nothing.
	Interval, Timeout time.Duration
	// MaxAge is how long values live after their last mention, where the
	// configuration does not say; 0: twice the interval plus the timeout.
	MaxAge time.Duration
	// RetryAfter asks for the next run sooner than the schedule would.
	RetryAfter time.Duration
	// Warnings are logged once, until their text changes.
	Warnings []string
	// Log are lines of the script's for the log, at level info. The dialect
	// gives them when there is news, and bounds their number and length.
	Log []string
	// Output is the part that Samples were read from, for people; Line in a
	// sample counts in it. The pool cuts it.
	Output []byte
	// Files are those that Output was read from, where it was.
	Files record.Files
}

// Answer is a state in the words of the monitoring system that a script was
// written for (OK, WARNING, CRITICAL, UNKNOWN), with a line of text.
type Answer struct{ State, Text string }

// Keeper is a Runner whose script stays alive and speaks when it likes. The
// pool prefers Keep to Run, starts again what has ended, and never calls two
// of its methods at once.
type Keeper interface {
	Runner
	// Keep starts the script by means of exec, an Invocation with a Message,
	// and hands a Result to session whenever it has spoken. It returns when the
	// script has ended, with the Result that tells why; soon after ctx has
	// ended.
	Keep(ctx context.Context, exec Exec, session Session) *Result
	// Inspect starts the script, has it look at its configuration, and ends it
	// before it measures anything. The error is all that is wrong.
	Inspect(ctx context.Context, exec Exec) error
}

// Session is what a kept script tells while it lives. Its functions must not be
// called twice at once, nor after Keep has returned.
type Session struct {
	Put func(*Result)
	// Log takes what the script itself logs; it is limited as standard error
	// is.
	Log func(at level.Value, text string, keyvals ...any)
}

// Instant is an Outcome, at one time, of a process that goes on.
func Instant(end time.Time, took time.Duration) *process.Outcome {
	return &process.Outcome{Result: record.OK, Start: end.Add(-took), End: end}
}

// What is shown of what a script says; a dialect need not give more.
const (
	OutputShown = 64 << 10 // bytes of Result.Output
	LogLine     = 2 << 10  // bytes of a line in the log
)
