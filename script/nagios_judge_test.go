package script

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"scriptbridge/config"
	"scriptbridge/record"
	"scriptbridge/script/dialect"
	"scriptbridge/script/dialect/all"
	"scriptbridge/script/dialect/dialecttest"
	"scriptbridge/script/dialect/nagios"
	"scriptbridge/script/process"
)

// nagiosVerdict runs a plugin once, which comes to o, and judges it.
func nagiosVerdict(t *testing.T, o *process.Outcome) (*dialect.Result, *record.Batch, *Verdict) {
	t.Helper()
	newRunner, err := nagios.Dialect{}.Prepare(config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &Script{
		Script:  dialect.Script{Script: &config.Script{}, FallbackInterval: time.Minute, FallbackTimeout: time.Minute},
		dialect: nagios.Dialect{}, table: all.Dialects,
	}
	turn := newRunner(&s.Script, dialect.Forgetful{}).Run(t.Context(), func(_ context.Context, in dialect.Invocation) *process.Outcome {
		if len(in.Args) != 0 || in.Stdin != nil || in.Timeout != 0 {
			t.Errorf("the command is not run as it is: %+v", in)
		}
		return o
	})
	b, v := newJudge(s).judge(turn, new(record.Source), 0)
	return turn, b, v
}

func TestNagiosAnswers(t *testing.T) {
	for code, state := range []string{"OK", "WARNING", "CRITICAL", "UNKNOWN"} {
		turn, b, v := nagiosVerdict(t, dialecttest.Exits(code, "X "+state+" | a=1 b=1,5\n", "a word on stderr\n"))
		if v.Result != record.OK || v.ExitCode != code || v.Err != nil || v.Refused != 1 {
			t.Errorf("%d is judged %+v", code, v)
		}
		if !b.Complete || b.Run.Result != record.OK || b.Run.ExitCode != code || len(b.Samples) != 3 || b.Samples[0].Value != float64(code) {
			t.Errorf("%d makes the batch %+v", code, b)
		}
		if got := b.Samples[1].Labels[0].Value; got != state {
			t.Errorf("%d is the state %s", code, got)
		}
		if got, want := v.Answer, (&dialect.Answer{State: state, Text: "X " + state}); got == nil || *got != *want {
			t.Errorf("%d is the answer %+v, want %+v", code, got, want)
		}
		if len(turn.Warnings) != 0 || string(turn.Output) != "X "+state+" | a=1 b=1,5\n" {
			t.Errorf("turn %+v", turn)
		}
	}
}

func TestNagiosFailures(t *testing.T) {
	const loader = "/usr/lib/nagios/plugins/check_x: error while loading shared libraries: libfoo.so.1: cannot open shared object file: No such file or directory"
	missing := "a library that it needs is missing: %s (install the package that has it)"
	var noLibrary uint32 = 0xC0000135 // a variable, since as a constant it overflows an int of 32 bits
	for _, tt := range []struct {
		name           string
		code           int
		stdout, stderr string
		result         record.Result
		want           string
	}{
		{"library", 127, "", loader + "\n", record.Error, "exited with code 127; " + fmt.Sprintf(missing, loader)},
		{"library in a wrapper", 3, "UNKNOWN\n", "starting\n" + loader + "\n", record.Error, "exited with code 3; " + fmt.Sprintf(missing, loader)},
		{"library on stdout", 0, loader + "\n", "", record.Invalid, fmt.Sprintf(missing, loader)},
		{"musl", 127, "", "Error loading shared library libfoo.so.1: No such file or directory (needed by ./check_x)\n", record.Error,
			"exited with code 127; " + fmt.Sprintf(missing, "Error loading shared library libfoo.so.1: No such file or directory (needed by ./check_x)")},
		{"perl", 2, "", "Can't locate Monitoring/Plugin.pm in @INC (you may need to install the Monitoring::Plugin module) at x.pl line 3.\nBEGIN failed--compilation aborted at x.pl line 3.\n", record.Error,
			"exited with code 2; " + fmt.Sprintf(missing, "Can't locate Monitoring/Plugin.pm in @INC (you may need to install the Monitoring::Plugin module) at x.pl line 3.")},
		{"python", 1, "\n", "Traceback (most recent call last):\n  File \"x.py\", line 1, in <module>\nModuleNotFoundError: No module named 'nagiosplugin'\n", record.Error,
			"exited with code 1; " + fmt.Sprintf(missing, "ModuleNotFoundError: No module named 'nagiosplugin'")},
		{"windows", int(noLibrary), "", "", record.Error, fmt.Sprintf("exited with code %d; "+missing, int(noLibrary), "Windows found no DLL of some name")},
		{"not found", 127, "", "x.sh: 2: check_y: not found\n", record.Error,
			"exited with code 127; with 127 a shell says that a program is not found: x.sh: 2: check_y: not found"},
		{"not executable", 126, "", "x.sh: 2: ./check_y: Permission denied\n\n", record.Error,
			"exited with code 126; with 126 a shell says that a program is there but cannot be executed: x.sh: 2: ./check_y: Permission denied"},
		{"signal", 139, "", "", record.Error, "exited with code 139; with 139 a shell says that a program was ended by signal 11 (segmentation fault)"},
		{"other", 4, "OK | a=1\n", "", record.Error, "exited with code 4; 4 is no state of a plugin (0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN)"},
		{"perl dies", 255, "", "died at x.pl line 3.\n", record.Error,
			"exited with code 255; 255 is no state of a plugin (0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN): died at x.pl line 3."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.code < 0 {
				t.Skip("there is no such code where a word has 32 bits, nor a Windows that we build for")
			}
			_, b, v := nagiosVerdict(t, dialecttest.Exits(tt.code, tt.stdout, tt.stderr))
			if v.Result != tt.result || v.ExitCode != tt.code || v.Err == nil || v.Err.Error() != tt.want {
				t.Errorf("judged %s: %v\nwant %s: %s", v.Result, v.Err, tt.result, tt.want)
			}
			if b.Complete || len(b.Samples) != 0 {
				t.Errorf("batch %+v", b)
			}
		})
	}
}

// What was not left to end by itself did not answer, whatever it printed.
func TestNagiosCutShort(t *testing.T) {
	for _, o := range []*process.Outcome{
		{Result: record.Timeout, ExitCode: -1, Stdout: []byte("OK | a=1\n"), Err: errors.New("timeout")},
		{Result: record.Killed, ExitCode: -1, Err: errors.New("signal")},
		{Result: record.Killed, ExitCode: 0, Stdout: []byte("OK | a=1\n"), Err: errors.New("too much output")},
		{Result: record.Error, ExitCode: -1, Err: errors.New("no such file")},
	} {
		turn, b, v := nagiosVerdict(t, o)
		if turn.ExitCodeIsValue || turn.Complete || v.Result != o.Result || v.Err != o.Err || len(b.Samples) != 0 {
			t.Errorf("%v is judged %+v, batch %+v", o.Err, v, b)
		}
	}
}

// Words that only look like the loader's are the plugin's own.
func TestNagiosNoLibraryMissing(t *testing.T) {
	for _, tt := range []struct{ stdout, stderr string }{
		{"LOG CRITICAL: x: error while loading shared libraries: found 3 times\n", ""},
		{"OK\n", "ImportError: optional\n"},
		{"WARNING: Error loading shared library\n", ""},
	} {
		if _, _, v := nagiosVerdict(t, dialecttest.Exits(2, tt.stdout, tt.stderr)); v.Result != record.OK {
			t.Errorf("%+v is judged %+v", tt, v)
		}
	}
}
