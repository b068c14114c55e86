package script

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
	"scriptbridge/script/process"
)

// instrumentalDialect runs plugin scripts of Instrumental's instrument_server
// and instrumentald: a folder of them, run at :00 and :30, each given what it
// printed the last time and printing `NAME VALUE [TIME]`
// (spec/instrumental.md, 1).
var instrumentalDialect = Dialect{
	Name:        "instrumental",
	Prefix:      "instrumental",
	Interval:    30 * time.Second,
	Aligned:     true,
	Arguments:   true,
	Admit:       admitInstrumental,
	MakesFolder: true,
	Prepare:     prepareInstrumental,
}

const (
	// A run that took longer made the vendor's agent log [SLOW SCRIPT].
	instrumentalSlow    = time.Second
	instrumentalSlowLog = "a run took more than 1 s (the vendor's agent called it a slow script)"
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

// instrumentalOptions is `options` as it stands in the file.
type instrumentalOptions struct {
	Permissions    permissions `yaml:"permissions"`
	RawStatus      bool        `yaml:"raw_status"`
	LenientNumbers bool        `yaml:"lenient_numbers"`
}

func readInstrumentalOptions(given config.Options) (instrumentalOptions, error) {
	o := instrumentalOptions{Permissions: ownerOnly}
	err := given.Decode(&o)
	return o, err
}

// prepareInstrumental is the dialect's Prepare.
func prepareInstrumental(given config.Options) (New, error) {
	o, err := readInstrumentalOptions(given)
	if err != nil {
		return nil, err
	}
	return func(s *Script, m Memory) Runner {
		return &instrumentalRunner{
			script: s, memory: m, rawStatus: o.RawStatus,
			parser: instrumentalParser{
				prefix:     instrumentalPrefix(s.ProgramName()),
				lenient:    o.LenientNumbers,
				maxSamples: max(instrumentalMaxSamples, s.MaxSeries),
				metas:      make(map[string]*record.Meta),
			},
		}
	}, nil
}

// admitInstrumental is the dialect's Admit: the option permissions, applied to
// the folder that the script's file is in and to the file. Links are followed.
// Code that stands in the command has no file that others could change.
func admitInstrumental(s *Script, runAs *process.Account) error {
	o, err := readInstrumentalOptions(s.Options)
	if err != nil || o.Permissions == permissionsOff || s.File == "" {
		return err
	}
	remedy, fault := checkOwner(s.File, o.Permissions, runAs)
	if fault == nil {
		return nil
	}
	if _, less := checkOwner(s.File, notWritableByOthers, runAs); less == nil {
		remedy += fmt.Sprintf(", or options: {permissions: %s}", notWritableByOthers)
	}
	return fmt.Errorf("%w: %s", fault, remedy)
}

// instrumentalPrefix is what the names of a script's metrics begin with: its
// file's name without the part behind the last dot, every character but ASCII
// letters, digits, _, - and . made a _ (instrumentald's rule, under which a
// file without a dot keeps its whole name).
func instrumentalPrefix(file string) string {
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

// instrumentalRunner keeps what the last run of a script said and how it ended.
type instrumentalRunner struct {
	script    *Script
	memory    Memory
	rawStatus bool
	parser    instrumentalParser

	recalled bool // memory has been asked
	past     *instrumentalPast
}

// instrumentalPast is the last run of a script, as the next one is told of it.
// In a Memory it is a line of JSON, with the output behind it.
type instrumentalPast struct {
	File     string `json:"file"` // the script's own: another one's output is nothing to it
	End      int64  `json:"end"`  // Unix seconds
	ExitCode int    `json:"exit_code"`
	Signal   int    `json:"signal,omitempty"`

	output []byte
}

// Close does nothing: no process outlives its turn.
func (r *instrumentalRunner) Close() {}

// Run runs the script and remembers the run, however it ended: scripts that
// compute rates exit with 1 in their first run, by design, and need its output
// and its time in the second.
func (r *instrumentalRunner) Run(ctx context.Context, run Exec) *Result {
	t := new(Result)
	r.recall(t)
	o := run(ctx, r.invocation())
	t.Outcomes = []*process.Outcome{o}
	if o.Result != record.OK && (ctx.Err() != nil || o.Result == record.Error && o.ExitCode < 0) {
		return t // it was cut short by us, or never started: that is no run
	}
	t.Output = o.Stdout
	if o.End.Sub(o.Start) > instrumentalSlow {
		t.Warnings = append(t.Warnings, instrumentalSlowLog)
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
func (r *instrumentalRunner) invocation() Invocation {
	if r.past == nil {
		return Invocation{Args: []string{"0"}}
	}
	return Invocation{
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
func (p *instrumentalPast) status(raw bool) int {
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
func (r *instrumentalRunner) remember(o *process.Outcome, t *Result) {
	r.past = &instrumentalPast{File: r.script.File, End: o.End.Unix(), ExitCode: o.ExitCode, Signal: o.Signal, output: o.Stdout}
	if o.Signal == 0 && (o.Result == record.Timeout || o.Result == record.Killed) {
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

// recall asks the memory, once. It waits for the first turn, since by then the
// script's former Runner has ended.
func (r *instrumentalRunner) recall(t *Result) {
	if r.recalled {
		return
	}
	r.recalled = true
	data, err := r.memory.Load()
	if err == nil && data != nil {
		r.past, err = readInstrumentalPast(data, r.script.File)
	}
	if err != nil {
		t.Warnings = append(t.Warnings, fmt.Sprintf("the script starts without the output of its last run: %v", err))
	}
}

func readInstrumentalPast(data []byte, file string) (*instrumentalPast, error) {
	head, output, ok := bytes.Cut(data, []byte("\n"))
	p := new(instrumentalPast)
	if !ok || json.Unmarshal(head, p) != nil {
		return nil, errors.New("what was kept of it cannot be read")
	}
	if p.File != file {
		return nil, fmt.Errorf("what was kept is of %s", p.File)
	}
	p.output = output
	return p, nil
}
