// Package instrumental is the dialect of plugin scripts for Instrumental's
// agents, instrument_server and instrumentald: instrumental.go runs one,
// parse.go reads its output, permissions_*.go refuse what those agents refused
// to run; recognize.go tells the dialect.
package instrumental

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"scriptbridge/config"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
	"scriptbridge/script/process"
)

// Dialect runs plugin scripts of Instrumental's instrument_server
// and instrumentald: a folder of them, run at :00 and :30, each given what it
// printed the last time and printing `NAME VALUE [TIME]`.
type Dialect struct{}

// Name is the dialect's.
func (Dialect) Name() string { return "instrumental" }

// Traits are those of instrument_server.
func (Dialect) Traits() dialect.Traits {
	return dialect.Traits{
		Prefix: "instrumental", Interval: 30 * time.Second, Aligned: true, Arguments: true,
		Home: homeFolder, MakesFolder: true,
		Options: options{},
	}
}

const (
	// homeFolder is the folder in the home that instrument_server ran.
	homeFolder = ".instrumental_scripts"
	// A run that took longer made the vendor's agent log [SLOW SCRIPT].
	slowAfter   = time.Second
	slowWarning = "a run took more than 1 s (the vendor's agent called it a slow script)"
)

// permissions says who else may have rights on a script and its folder.
type permissions string

const (
	ownerOnly           permissions = "owner-only"             // mode 0700, as the vendor's agent had it
	notWritableByOthers permissions = "not-writable-by-others" // what a git checkout gives
	permissionsOff      permissions = "off"
)

// UnmarshalText reads the option.
func (p *permissions) UnmarshalText(text []byte) error {
	switch *p = permissions(text); *p {
	case ownerOnly, notWritableByOthers, permissionsOff:
		return nil
	}
	return fmt.Errorf("write %s, %s or %s", ownerOnly, notWritableByOthers, permissionsOff)
}

// options is `options` as it stands in the file.
type options struct {
	Permissions    permissions `yaml:"permissions" default:"owner-only" words:"owner-only not-writable-by-others off" doc:"which modes and owners a script and its folder may have"`
	RawStatus      bool        `yaml:"raw_status" default:"false" doc:"give the script the raw wait status of its last run instead of the exit code"`
	LenientNumbers bool        `yaml:"lenient_numbers" default:"false" doc:"read numbers as Ruby's 'to_f' does"`
}

func readOptions(given config.Options) (options, error) {
	var o options
	err := given.Decode(&o)
	return o, err
}

// Prepare reads the options.
func (Dialect) Prepare(given config.Options) (dialect.New, error) {
	o, err := readOptions(given)
	if err != nil {
		return nil, err
	}
	return func(s *dialect.Script, m dialect.Memory) dialect.Runner {
		return &runner{
			script: s, memory: m, rawStatus: o.RawStatus,
			parser: parser{
				prefix:     prefixOf(s.ProgramName()),
				lenient:    o.LenientNumbers,
				maxSamples: max(maxSamples, s.MaxSeries),
				known:      make(map[string]*metric),
			},
		}
	}, nil
}

// CheckPermissions asks what the option permissions says: it is applied to
// the folder that the script's file is in and to the file. Links are followed.
// Code that stands in the command has no file that others could change.
func (Dialect) CheckPermissions(s *dialect.Script, guard *process.Guard) error {
	o, err := readOptions(s.Options)
	if err != nil || o.Permissions == permissionsOff || s.File == "" {
		return err
	}
	remedy, fault := checkOwner(s.File, o.Permissions, guard.RunAs)
	if fault == nil {
		return nil
	}
	if _, less := checkOwner(s.File, notWritableByOthers, guard.RunAs); less == nil {
		remedy += fmt.Sprintf(", or options: {permissions: %s}", notWritableByOthers)
	}
	return fmt.Errorf("%w: %s", fault, remedy)
}

// prefixOf is what the names of a script's metrics begin with: its
// file's name without the part behind the last dot, every character but ASCII
// letters, digits, _, - and . made a _ (instrumentald's rule, under which a
// file without a dot keeps its whole name).
func prefixOf(file string) string {
	file = filepath.Base(file)
	if dot := strings.LastIndexByte(file, '.'); dot > 0 {
		file = file[:dot]
	}
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '_', r == '-', r == '.':
			return r
		}
		return '_'
	}, file)
}

// runner keeps what the last run of a script said and how it ended.
type runner struct {
	script    *dialect.Script
	memory    dialect.Memory
	rawStatus bool
	parser    parser

	recalled bool // memory has been asked
	past     *past
}

// past is the last run of a script, as the next one is told of it.
// In a Memory it is a line of JSON, with the output behind it.
type past struct {
	File     string `json:"file"` // the script's own: another one's output is nothing to it
	End      int64  `json:"end"`  // Unix seconds
	ExitCode int    `json:"exit_code"`
	Signal   int    `json:"signal,omitempty"`

	output []byte
}

// Close does nothing: no process outlives its run.
func (r *runner) Close() {}

// Run runs the script and remembers the run, however it ended: scripts that
// compute rates exit with 1 in their first run, by design, and need its output
// and its time in the second.
func (r *runner) Run(ctx context.Context, run dialect.Exec) *dialect.Result {
	t := new(dialect.Result)
	r.recall(t)
	o := run(ctx, r.invocation())
	t.Outcomes = []*process.Outcome{o}
	if o.Result != record.OK && (ctx.Err() != nil || o.Result == record.Error && o.ExitCode < 0) {
		return t // it was cut short by us, or never started: that is no run
	}
	t.Output = o.Stdout
	if o.End.Sub(o.Start) > slowAfter {
		t.Warnings = append(t.Warnings, slowWarning)
	}
	r.remember(o, t)
	if o.Result != record.OK {
		return t // not exported, and that is no fault of the lines
	}
	var warnings []string
	t.Samples, warnings, t.Err = r.parser.parse(o.Stdout)
	t.Warnings = append(t.Warnings, warnings...)
	if refused := record.LineErrors(t.Err); len(t.Samples) == 0 && len(refused) > 0 {
		t.Err = errors.Join(fmt.Errorf("no line of the output can be used; the first that cannot: %s", refused[0].Error()), t.Err)
		return t
	}
	t.Complete = true
	return t
}

// invocation tells the script of its last run: the Unix second at which it
// ended (0: there was none), how it ended (left out then), and on standard
// input what it printed, without one line end.
func (r *runner) invocation() dialect.Invocation {
	if r.past == nil {
		return dialect.Invocation{Args: []string{"0"}}
	}
	return dialect.Invocation{
		Args:  []string{strconv.FormatInt(r.past.End, 10), strconv.Itoa(r.past.status(r.rawStatus))},
		Stdin: chomp(r.past.output),
	}
}

// chomp drops one line end, as Ruby's does, which the vendor's agents used: a
// script that prints CRLF gets no CR at the end of its last line.
func chomp(text []byte) []byte {
	if rest, ok := bytes.CutSuffix(text, []byte("\n")); ok {
		text = rest
	}
	return bytes.TrimSuffix(text, []byte("\r"))
}

// status is the second argument: the exit code, 128 and the signal's number
// for a run that a signal ended, as shells have it; or, raw, what wait(2)
// gives, as the vendor's agent had it.
func (p *past) status(raw bool) int {
	switch {
	case raw && p.Signal > 0:
		return p.Signal
	case raw:
		return p.ExitCode << 8
	case p.Signal > 0:
		return 128 + p.Signal
	default:
		return p.ExitCode
	}
}

// remember keeps the run for the next one.
func (r *runner) remember(o *process.Outcome, t *dialect.Result) {
	r.past = &past{File: r.script.File, End: o.End.Unix(), ExitCode: o.ExitCode, Signal: o.Signal, output: o.Stdout}
	if o.Signal == 0 && o.ExitCode < 0 && (o.Result == record.Timeout || o.Result == record.Killed || o.Result == record.Limit) {
		r.past.Signal = int(syscall.SIGKILL) // it was us
	}
	head, err := json.Marshal(r.past)
	if err == nil {
		head = append(head, '\n')
		err = r.memory.Save(append(head, o.Stdout...))
	}
	if err != nil {
		t.Warnings = append(t.Warnings, fmt.Sprintf("what the next run is to be given would not survive a restart: %v", err))
	}
}

// recall asks the memory, once. It waits for the first run, since by then the
// script's former Runner has ended.
func (r *runner) recall(t *dialect.Result) {
	if r.recalled {
		return
	}
	r.recalled = true
	data, err := r.memory.Load()
	if err == nil && data != nil {
		r.past, err = readPast(data, r.script.File)
	}
	if err != nil {
		t.Warnings = append(t.Warnings, fmt.Sprintf("the script starts without the output of its last run: %v", err))
	}
}

func readPast(data []byte, file string) (*past, error) {
	head, output, ok := bytes.Cut(data, []byte("\n"))
	p := new(past)
	if !ok || json.Unmarshal(head, p) != nil {
		return nil, errors.New("what was kept of it cannot be read")
	}
	if p.File != file {
		return nil, fmt.Errorf("what was kept is of %s", p.File)
	}
	p.output = output
	return p, nil
}
