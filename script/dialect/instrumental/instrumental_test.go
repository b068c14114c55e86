package instrumental

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/config"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/dialecttest"
	"scriptbridge/script/process"
)

// stage stands in for a script's processes, one outcome a run.
type stage struct {
	t      *testing.T
	script *dialect.Script
	memory *slate
	runner dialect.Runner
}

// slate is a Memory in memory.
type slate struct {
	data []byte
	err  error
}

func (s *slate) Load() ([]byte, error) { return s.data, s.err }

func (s *slate) Save(data []byte) error {
	if s.err == nil {
		s.data = data
	}
	return s.err
}

func newStage(t *testing.T, options map[string]string) *stage {
	t.Helper()
	given, err := config.OptionsFrom(options)
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{
		t:      t,
		script: &dialect.Script{Script: &config.Script{Name: "app", Settings: config.Settings{Options: given}}, File: "/scripts/app.sh"},
		memory: &slate{},
	}
	s.restart()
	return s
}

// restart makes a new Runner, as a new process would.
func (s *stage) restart() {
	s.t.Helper()
	newRunner, err := Dialect{}.Prepare(s.script.Options)
	if err != nil {
		s.t.Fatal(err)
	}
	s.runner = newRunner(s.script, s.memory)
}

// run runs the script, which comes to o and must be called so.
func (s *stage) run(o *process.Outcome, args, stdin string) *dialect.Result {
	s.t.Helper()
	return s.runIn(s.t.Context(), o, args, stdin)
}

func (s *stage) runIn(ctx context.Context, o *process.Outcome, args, stdin string) *dialect.Result {
	s.t.Helper()
	return s.runner.Run(ctx, func(_ context.Context, in dialect.Invocation) *process.Outcome {
		if got := strings.Join(in.Args, " "); got != args {
			s.t.Errorf("called with %q, want %q", got, args)
		}
		if string(in.Stdin) != stdin {
			s.t.Errorf("given %q, want %q", in.Stdin, stdin)
		}
		if in.Timeout != 0 {
			s.t.Errorf("timeout %s", in.Timeout)
		}
		return o
	})
}

// ran is a process that began at a second of the epoch and took a tenth.
func ran(second int64, code int, text string) *process.Outcome {
	o := &process.Outcome{Result: record.OK, ExitCode: code, Stdout: []byte(text), Start: time.Unix(second, 0), End: time.Unix(second, 1e8)}
	if code != 0 {
		o.Result, o.Err = record.Error, fmt.Errorf("exited with code %d", code)
	}
	return o
}

// ended is one that did not exit by itself.
func ended(second int64, result record.Result, signal int, text string) *process.Outcome {
	o := ran(second, 0, text)
	o.Result, o.ExitCode, o.Signal, o.Err = result, -1, signal, errors.New("ended")
	return o
}

// Scripts that compute rates exit with 1 in their first run, by design.
func TestInstrumentalTwoRounds(t *testing.T) {
	s := newStage(t, nil)
	turn := s.run(ran(1000, 1, "raw 5\n"), "0", "")
	if turn.Complete || len(turn.Samples) != 0 || turn.Err != nil || len(turn.Outcomes) != 1 || string(turn.Output) != "raw 5\n" {
		t.Errorf("first turn %+v", turn)
	}
	turn = s.run(ran(1030, 0, "raw 8\nrate 0.1\nodd\n"), "1000 1", "raw 5")
	if !turn.Complete || len(turn.Samples) != 2 || turn.Failure != "" || len(turn.Warnings) != 0 {
		t.Errorf("second turn %+v", turn)
	}
	if got := dialecttest.Reasons(turn.Err); got != "no_value:3" {
		t.Errorf("refused %q", got)
	}
	s.run(ran(1060, 0, ""), "1030 0", "raw 8\nrate 0.1\nodd")
	turn = s.run(ran(1090, 1, "raw 9\n"), "1060 0", "")
	if turn.Complete {
		t.Error("an empty last output is none, and the script fails again")
	}
	s.run(ran(1120, 0, ""), "1090 1", "raw 9")
}

// A run of which no line can be used is none to be believed; one that prints
// nothing has nothing to show.
func TestInstrumentalInvalid(t *testing.T) {
	s := newStage(t, nil)
	turn := s.run(ran(1000, 0, "\nmysql: not found\nhelp\n"), "0", "")
	want := `no line of the output can be used; the first that cannot: the value of "mysql:", "not", is not a decimal number ` +
		`(options: {lenient_numbers: true} reads it as the vendor's agent did)`
	err, refused := record.WithoutLines(turn.Err), len(record.LineErrors(turn.Err))
	if turn.Complete || err == nil || err.Error() != want || refused != 2 {
		t.Errorf("complete %t, %v, %d refused", turn.Complete, err, refused)
	}
	for _, silent := range []string{"", "\r\n \n"} {
		turn := newStage(t, nil).run(ran(1000, 0, silent), "0", "")
		if !turn.Complete || turn.Err != nil {
			t.Errorf("%q: heard %t, %v", silent, turn.Complete, turn.Err)
		}
	}
}

func TestInstrumentalStatus(t *testing.T) {
	for _, c := range []struct {
		o          *process.Outcome
		plain, raw string
	}{
		{ran(1000, 0, ""), "0", "0"},
		{ran(1000, 1, ""), "1", "256"},
		{ran(1000, 3, ""), "3", "768"},
		{ended(1000, record.Killed, 9, ""), "137", "9"},
		{ended(1000, record.Killed, 11, ""), "139", "11"},
		{ended(1000, record.Timeout, 0, ""), "137", "9"},
		{ended(1000, record.Killed, 0, ""), "137", "9"}, // too much output
	} {
		s := newStage(t, nil)
		s.run(c.o, "0", "")
		s.run(ran(1030, 0, ""), "1000 "+c.plain, "")
		s = newStage(t, map[string]string{"raw_status": "true"})
		s.run(c.o, "0", "")
		s.run(ran(1030, 0, ""), "1000 "+c.raw, "")
	}
}

// Of what it printed a script gets all but one line end, LF, CRLF or CR as Ruby's
// chomp has it, however it ended.
func TestInstrumentalStdin(t *testing.T) {
	s := newStage(t, nil)
	s.run(ended(1000, record.Timeout, 0, "half a li"), "0", "")
	s.run(ran(1030, 0, "a 1\n\n"), "1000 137", "half a li")
	s.run(ran(1060, 0, "a 1\r\n"), "1030 0", "a 1\n")
	s.run(ran(1090, 0, "\n"), "1060 0", "a 1")
	s.run(ran(1120, 0, "\xff\x00"), "1090 0", "")
	s.run(ran(1150, 0, "a 1\n\r"), "1120 0", "\xff\x00")
	s.run(ran(1180, 0, "\r\n\r\n"), "1150 0", "a 1\n")
	s.run(ran(1210, 0, ""), "1180 0", "\r\n")
}

// What never ran, or was cut short by a reload or the end, is no run.
func TestInstrumentalNoRun(t *testing.T) {
	s := newStage(t, nil)
	s.run(ran(1000, 2, "a 1\n"), "0", "")
	refused := &process.Outcome{Result: record.Error, ExitCode: -1, Err: errors.New("has mode 0755")}
	if turn := s.run(refused, "1000 2", "a 1"); turn.Complete || turn.Output != nil {
		t.Errorf("turn %+v", turn)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.runIn(ctx, ended(1060, record.Killed, 0, "a"), "1000 2", "a 1")
	// One that was through counts, whatever happened meanwhile.
	s.runIn(ctx, ran(1090, 0, "b 1"), "1000 2", "a 1")
	s.run(ran(1120, 0, ""), "1090 0", "b 1")
}

func TestInstrumentalSlow(t *testing.T) {
	s := newStage(t, nil)
	for took, want := range map[time.Duration][]string{time.Second: nil, time.Second + time.Millisecond: {slowWarning}} {
		o := ran(1000, 0, "")
		o.End = o.Start.Add(took)
		turn := s.runner.Run(t.Context(), func(context.Context, dialect.Invocation) *process.Outcome { return o })
		if diff := cmp.Diff(want, turn.Warnings); diff != "" {
			t.Errorf("%s: warnings (-want +got):\n%s", took, diff)
		}
	}
}

func TestInstrumentalRestart(t *testing.T) {
	s := newStage(t, nil)
	s.run(ended(1000, record.Killed, 11, "a 1\n\xff\n"), "0", "")
	s.restart()
	s.run(ran(1030, 3, "b 2\n"), "1000 139", "a 1\n\xff")
	s.restart()
	s.run(ran(1060, 0, ""), "1030 3", "b 2")

	// What is no memory of this script, or cannot be had, costs itself alone.
	begins := func(data string, fault error, warning string) {
		t.Helper()
		s.memory = &slate{data: []byte(data), err: fault}
		s.restart()
		turn := s.run(ran(1090, 0, "c 3\n"), "0", "")
		if len(turn.Samples) != 1 || len(turn.Warnings) == 0 || turn.Warnings[0] != warning {
			t.Errorf("warnings %q, want %q", turn.Warnings, warning)
		}
		if again := s.run(ran(1120, 0, ""), "1090 0", "c 3"); fault == nil && len(again.Warnings) != 0 {
			t.Errorf("warnings %q in the next turn", again.Warnings)
		}
	}
	anew := "the script starts without the output of its last run: "
	begins("garbage", nil, anew+"what was kept of it cannot be read")
	begins("{}}\n", nil, anew+"what was kept of it cannot be read")
	begins(`{"file":"/scripts/other.sh","end":1000,"exit_code":0}`+"\n", nil, anew+"what was kept is of /scripts/other.sh")
	begins("", errors.New("the disk is full"), anew+"the disk is full")
	turn := s.run(ran(1150, 0, ""), "1120 0", "")
	if want := []string{"what the next run is to be given would not survive a restart: the disk is full"}; !cmp.Equal(want, turn.Warnings) {
		t.Errorf("warnings %q, want %q", turn.Warnings, want)
	}
}

func TestInstrumentalOptions(t *testing.T) {
	for options, want := range map[string]string{
		"permissions: loose":     `options.permissions "loose": write owner-only, not-writable-by-others or off`,
		"raw_status: 1":          "options.raw_status",
		"lenient: true":          "options.lenient is not known",
		"lenient_numbers: maybe": "options.lenient_numbers",
	} {
		key, value, _ := strings.Cut(options, ": ")
		given, err := config.OptionsFrom(map[string]string{key: value})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (Dialect{}).Prepare(given); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", options, err, want)
		}
	}
}
