// Package script runs other people's monitoring scripts and makes record
// batches of what they print. script.go holds the dialect table and the words
// Script, Dialect and Runner; pool.go the schedule and the verdict on each
// run; package process runs the processes. Each dialect is one file.
package script

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"scriptbridge/config"
	"scriptbridge/record"
	"scriptbridge/script/process"
)

// Dialect is one way in which a script speaks: one file and one line in the
// table below.
type Dialect struct {
	Name string
	// Prefix goes in front of the names of its series where the
	// configuration gives none.
	Prefix string
	// Interval and Timeout hold for a script when neither it nor the
	// configuration says anything. A Timeout of 0 is the script's interval.
	Interval, Timeout time.Duration
	// Aligned puts the turns at multiples of the interval since the epoch, by
	// the wall clock, the first one included.
	Aligned bool
	// Admit, if not nil, says before each process why the script's file must
	// not be run as runAs (nil: as ourselves), beyond what holds for every
	// program. Check asks it too.
	Admit func(s *Script, runAs *process.Account) error
	// MakesFolder says that a folder of discover that is missing is made, for
	// its owner alone, as the dialect's own runner did.
	MakesFolder bool
	// Verbatim says that names, types and labels are those of a Prometheus
	// exposition, which stand on the page as they are.
	Verbatim bool
	// Arguments says that a run's own arguments are put behind the command.
	Arguments bool
	// Files, if not nil, are what the dialect's scripts need on disk. The pool
	// unpacks them once, into a folder of its own (see Invocation.Program).
	Files fs.FS
	// Locate, for a dialect whose scripts are named by options instead of a
	// command, gives the program that runs one, its own file ("" when it is
	// not found) and the folder it runs in where none is configured.
	Locate func(*config.Script) (command []string, file, dir string)
	// Doubts, if not nil, are what may keep a script of a dialect with Locate
	// from working although its program is sound; see Suspicions.
	Doubts func(*config.Script) []string
	// Sees, if not nil, tells what a script that is kept alive is given besides
	// its options and its file, and gives a digest of that, which may be slow:
	// the script begins anew when it has changed. "" stands for unknown, which
	// changes nothing. Scripts of the same what have the same digest.
	Sees func(*config.Script) (what string, digest func() string)
	// Discover, if not nil, gives the scripts that the configuration of an
	// agent names (discover: {agent_config: …}). The error joins all that is
	// wrong with it; warnings are of what costs no script.
	Discover func(*config.Discover) (scripts []*config.Script, warnings []string, err error)
	// Prepare reads options strictly and gives what makes the script's
	// Runner. It touches nothing outside; its error is one of the
	// configuration and names the option.
	Prepare func(config.Options) (New, error)
}

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

// dialects is the table. A new dialect is one line here, one file and one
// scenario. It is a function because a dialect's file may use the table's
// words in turn.
func dialects() []Dialect {
	return []Dialect{
		coscaleDialect,
		instrumentalDialect,
		nagiosDialect,
		prometheusDialect,
		scalyrDialect,
	}
}

func findDialect(name string) (Dialect, error) {
	var known []string
	for _, d := range dialects() {
		if d.Name == name {
			return d, nil
		}
		known = append(known, d.Name)
	}
	hint := ""
	if like := config.Nearest(name, known); like != "" {
		hint = fmt.Sprintf("did you mean %q? ", like)
	}
	return Dialect{}, fmt.Errorf("dialect %q is not known (%sknown: %s)", name, hint, strings.Join(known, ", "))
}

// Script is one script, configured or discovered, with everything settled
// that the configuration can settle.
type Script struct {
	// Script is the configuration's; its zero values are filled in from
	// `global` and the dialect, but for Interval and Timeout, which stay 0
	// where the configuration is silent, so that a script may declare them.
	*config.Script
	Dialect Dialect
	// FallbackInterval and FallbackTimeout hold when neither the
	// configuration nor the script says anything.
	FallbackInterval, FallbackTimeout time.Duration
	File                              string // the script's own file; empty when it is not found
	Dir                               string // the working directory
	Source                            *record.Source

	newRunner New
	kept      bool // its Runner is a Keeper
	// version is that of File, of a script that is kept alive and so does not
	// see by itself that the file has changed.
	version fileVersion
	seen    string // of Dialect.Sees
}

// Runner is what a dialect keeps of one script between its turns: a
// declaration, the output fed back, a child kept alive. The pool never calls
// it twice at once.
type Runner interface {
	// Turn runs the script once, by means of run, and says what came of it.
	// It returns soon after ctx has ended.
	Run(ctx context.Context, run Exec) *Result
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
	// most) is given to Message: one at a time, none after the RunFunc has
	// returned. Message must not keep the line; an error ends the process.
	Message func(line []byte) error
}

// Result is what came of one turn. Its slices are kept for a while and shared:
// nobody changes them any more.
type Result struct {
	// Outcomes are the processes of the turn, in order. The last one decides
	// the exit code and the duration; all count for CPU, memory and bytes.
	Outcomes []*process.Outcome
	// Result is the dialect's verdict where the processes' own is OK, such as
	// record.Invalid; empty for none.
	Failure record.Result
	// Disabled says of the last Turn of a Keeper that the script itself wants
	// not to run; Err is why. That is no failure, and it is not started again
	// before a reload makes it anew.
	Disabled bool
	// Answered says that the last process's exit code, whatever it is, is the
	// script's answer and no failure.
	ExitCodeIsValue bool
	// Err says why the turn failed, or which lines could not be read (joined
	// record.LineErrors); it does not repeat an Outcome's Err.
	Err error
	// Heard says that the script gave its complete present state: the batch
	// is Whole. Without it the last values stay until they are too old.
	Complete bool
	Declared *record.Declared // nil: as before
	Samples  []record.Sample
	Events   []record.Event
	// Interval and Timeout are what the script declares of itself; 0: nothing.
	Interval, Timeout time.Duration
	// MaxAge is how long values live after their last mention, where the
	// configuration does not say; 0: twice the interval plus the timeout.
	MaxAge time.Duration
	// RetryAfter asks for the next turn sooner than the schedule would.
	RetryAfter time.Duration
	// Warnings are logged once, until their text changes.
	Warnings []string
	// Log are lines of the script's for the log, at level info. The dialect
	// gives them when there is news, and bounds their number and length.
	Log []string
	// Output is the part that Samples were read from, for people; Line in a
	// sample counts in it. The pool cuts it.
	Output []byte
}
