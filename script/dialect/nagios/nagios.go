// Package nagios is the dialect of plugins for Nagios, Icinga, Naemon and
// Centreon: nagios.go runs one, parse.go reads its output, item.go and value.go
// the performance data in it, unit.go their units; recognize.go tells the
// dialect.
package nagios

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"time"

	"scriptbridge/config"
	"scriptbridge/internal/texts"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/lines"
	"scriptbridge/script/process"
)

// Dialect runs plugins of Nagios, Icinga, Naemon and Centreon:
// the exit code is a state, the output a line for people with performance data
// behind a stroke (Monitoring Plugins Development Guidelines).
type Dialect struct{}

// Name is the dialect's.
func (Dialect) Name() string { return "nagios" }

// Traits has Nagios's own service_check_timeout.
func (Dialect) Traits() dialect.Traits {
	return dialect.Traits{Prefix: "nagios", Interval: time.Minute, Timeout: time.Minute}
}

// states are the states by their exit codes.
var states = []string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}

// maxLog bounds the lines of long output that one change of state puts
// into the log.
const maxLog = 50

// Prepare takes no options.
func (Dialect) Prepare(given config.Options) (dialect.New, error) {
	if err := given.Decode(new(struct{})); err != nil {
		return nil, err
	}
	return func(s *dialect.Script, _ dialect.Memory) dialect.Runner {
		return &runner{script: s, units: newUnits(), state: -1}
	}, nil
}

// runner keeps what a plugin answered last.
type runner struct {
	script *dialect.Script
	units  *unitTable
	state  int // -1: it has not answered yet
}

// Close does nothing: no process outlives its run.
func (r *runner) Close() {}

// Run runs the command as it is. The codes 0 to 3 are the plugin's answer;
// with any other end there is none.
func (r *runner) Run(ctx context.Context, run dialect.Exec) *dialect.Result {
	o := run(ctx, dialect.Invocation{})
	t := &dialect.Result{Outcomes: []*process.Outcome{o}, Output: o.Stdout}
	ended := o.Result == record.OK || o.Result == record.Error && o.ExitCode > 0
	if !ended {
		return t // the outcome's own error says it all
	}
	if t.Err = failure(o); t.Err != nil {
		return t
	}
	said, err := parse(r.units, o.ExitCode, o.Stdout, r.script.MaxSeries)
	t.ExitCodeIsValue, t.Complete, t.Samples, t.Err = true, true, said.samples, err
	t.Answer = &dialect.Answer{State: states[o.ExitCode], Text: texts.Shorten(said.text, maxText)}
	if said.blank {
		t.Warnings = []string{"it prints nothing on standard output, so that nothing but its exit code is known (a plugin prints at least one line)"}
	}
	if o.ExitCode != r.state {
		r.state = o.ExitCode
		t.Log = said.log()
	}
	return t
}

// failure says why a process that ended by itself did not answer; nil
// when it did.
func failure(o *process.Outcome) error {
	if line := missingLibrary(o); line != "" {
		return fmt.Errorf("a library that it needs is missing: %s (install the package that has it)", line)
	}
	said := ""
	if line := lastLine(o.Stderr); line != "" {
		said = ": " + line
	}
	switch code := o.ExitCode; {
	case code < len(states):
		return nil
	case code == 126:
		return fmt.Errorf("with 126 a shell says that a program is there but cannot be executed%s", said)
	case code == 127:
		return fmt.Errorf("with 127 a shell says that a program is not found%s", said)
	case code > 128 && code <= 128+64:
		return fmt.Errorf("with %d a shell says that a program was ended by signal %d (%v)%s", code, code-128, syscall.Signal(code-128), said)
	default:
		return fmt.Errorf("%d is no state of a plugin (0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN)%s", code, said)
	}
}

var (
	// What the system's loaders write: glibc's, musl's and Apple's. Only
	// these count in the plugin's own output, and only where they stand
	// alone, as from a wrapper that runs `plugin 2>&1`.
	loaderError = regexp.MustCompile(`^\S+: error while loading shared libraries: |^Error loading shared library |^dyld(\[\d+\])?: Library not loaded: `)
	// What interpreters write. They end with 1 or 2, as if they were in the
	// state to say so, and print nothing.
	moduleError = regexp.MustCompile(`^(ModuleNotFoundError|ImportError): |^Can't locate \S+ in @INC |cannot load such file -- \S+ \(LoadError\)`)
)

// missingLibrary gives the line that tells that the plugin did not find a
// library or a module; empty when there is none.
func missingLibrary(o *process.Outcome) string {
	for line := range strings.Lines(string(o.Stderr)) {
		if loaderError.MatchString(line) || moduleError.MatchString(line) && lines.IsEmpty(o.Stdout) {
			return texts.Shorten(strings.TrimSpace(line), maxText)
		}
	}
	first, _, _ := strings.Cut(string(o.Stdout[:min(len(o.Stdout), process.MaxLine)]), "\n")
	if loaderError.MatchString(first) {
		return texts.Shorten(strings.TrimSpace(first), maxText)
	}
	if uint32(o.ExitCode) == 0xC0000135 { // STATUS_DLL_NOT_FOUND: negative where an int has 32 bits
		return "Windows found no DLL of some name"
	}
	return ""
}

// lastLine is the last line of text with anything on it, cut for a message.
func lastLine(text []byte) string {
	trimmed := strings.TrimSpace(string(text))
	return texts.Shorten(trimmed[strings.LastIndexByte(trimmed, '\n')+1:], maxText)
}

// log is the text for the log: the state with the first line, then the long
// output.
func (s *answer) log() []string {
	lines := []string{"the state is " + states[s.state] + ": " + s.text}
	if s.text == "" {
		lines[0] = "the state is " + states[s.state]
	}
	lines = append(lines, s.long...)
	if s.moreLong > 0 {
		lines = append(lines, fmt.Sprintf("(%d more lines)", s.moreLong))
	}
	return lines
}
