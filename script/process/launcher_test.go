package process

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/internal/panics"
	"scriptbridge/internal/testkit"
	"scriptbridge/record"
	"scriptbridge/script/process/processtest"
)

// What a run is, on every system: what is particular to Unix is in launcher_unix_test.go.
func TestRunEverywhere(t *testing.T) {
	with := func(c Command, change func(*Command)) Command {
		change(&c)
		return c
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "a b"), 0o755); err != nil {
		t.Fatal(err)
	}
	l := testLauncher(t)
	for _, test := range []struct {
		name string
		c    Command
		want ending
	}{
		{"ok", act("echo", "a"), ending{"a\n", record.OK, 0, ""}},
		{"arguments", act("args", "a b", `c"d`, `e\`, "", `\\f\\"`, "*", "é"), ending{`["a b" "c\"d" "e\\" "" "\\\\f\\\\\"" "*" "é"]` + "\n", record.OK, 0, ""}},
		{"exit code", act("exit", "7"), ending{"", record.Error, 7, "exited with code 7"}},
		{"exit code 255", act("exit", "255"), ending{"", record.Error, 255, "exited with code 255"}},
		{"timeout", with(act("hang", "a"), func(c *Command) { c.Timeout = time.Second }),
			ending{"a\n", record.Timeout, -1, "was ended after its timeout of 1s"}},
		{"timeout, then exit 0", with(act("obey"), func(c *Command) { c.Timeout = time.Second }),
			ending{"ready\nbye\n", record.Timeout, -1, "was ended after its timeout of 1s"}},
		{"not to be asked", with(act("ignore", "a"), func(c *Command) { c.Timeout = time.Second }),
			ending{"a\n", record.Timeout, -1, "was ended after its timeout of 1s"}},
		{"no stdin", act("copy"), ending{"", record.OK, 0, ""}},
		{"empty stdin", with(act("copy"), func(c *Command) { c.Stdin = []byte{} }), ending{"", record.OK, 0, ""}},
		{"stdin", with(act("copy"), func(c *Command) { c.Stdin = []byte("fed back\n") }), ending{"fed back\n", record.OK, 0, ""}},
		{"unread stdin", with(act("echo", "a"), func(c *Command) { c.Stdin = bytes.Repeat([]byte("x"), 1<<20) }), ending{"a\n", record.OK, 0, ""}},
		{"working directory", with(act("where"), func(c *Command) { c.Dir = filepath.Join(dir, "a b") }),
			ending{filepath.Join(dir, "a b") + " <nil>\n", record.OK, 0, ""}},
		{"environment", with(act("env", "A"), func(c *Command) { c.Env = append(c.Env, "A=2") }), ending{"2\n", record.OK, 0, ""}},
		{"held output", act("hold"), ending{"held\n", record.OK, 0, ""}},
		{"exactly as much as it may", with(act("echo", "1234"), func(c *Command) { c.MaxOutput = 5 }), ending{"1234\n", record.OK, 0, ""}},
		{"too much", with(act("zeros"), func(c *Command) { c.MaxOutput = 5 }), ending{"\x00\x00\x00\x00\x00", record.Killed, -1,
			"wrote more than 5B on standard output (max_output): make it print less, or raise max_output"}},
		{"more than both streams may have", with(act("zeros"), func(c *Command) { c.MaxOutput, c.MaxWritten = 3, 1<<20 }), ending{"\x00\x00\x00", record.Limit, -1,
			"wrote more than its limit of 1MiB (limits: output): make it need less, or raise the limit"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := l.Run(t.Context(), test.c)
			if o.Result == record.Killed && test.want.Result == record.Limit { // which of the two bounds is seen first is open
				test.want = ending{"\x00\x00\x00", record.Killed, -1, "wrote more than 3B on standard output (max_output): make it print less, or raise max_output"}
			}
			got := endingOf(o)
			got.Stdout = strings.ReplaceAll(got.Stdout, "held\n\n", "held\n") // what is left may come to say something
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
			if o.Start.IsZero() || o.End.Before(o.Start) {
				t.Errorf("from %v to %v", o.Start, o.End)
			}
		})
	}
}

// What cannot be started says why.
func TestRunNotStarted(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.exe")
	l := testLauncher(t)
	_, err := os.Stat(missing)
	why := Bare(err).Error() // Windows and Wine have words of their own
	for _, test := range []struct {
		name string
		c    Command
		want string
	}{
		{"no file", Command{Args: []string{missing}}, "cannot be started: " + missing + ": " + why},
		{"nothing in PATH", Command{Args: []string{"missing"}, Env: []string{"PATH=" + t.TempDir()}}, ""},
		{"no folder", Command{Args: act("echo").Args, Dir: missing}, "cannot be started: working directory " + missing + ": " + why},
	} {
		o := l.Run(t.Context(), test.c)
		if test.want == "" {
			test.want = "cannot be started: missing: not found in PATH (" + strings.TrimPrefix(test.c.Env[0], "PATH=") + ")"
		}
		if got := endingOf(o); got != (ending{"", record.Error, -1, test.want}) {
			t.Errorf("%s: %+v, want %s", test.name, got, test.want)
		}
	}
}

func TestRunContextEverywhere(t *testing.T) {
	l := testLauncher(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	c := act("hang", "started")
	c.Stdout = func([]byte) { cancel(errors.New("its configuration changed")) }
	checkEnding(t, l.Run(ctx, c), ending{"", record.Killed, -1, "was ended before it was done: its configuration changed"})
	checkEnding(t, l.Run(ctx, c), ending{"", record.Killed, -1, "was not started: its configuration changed"})
}

func TestRunStderrEverywhere(t *testing.T) {
	var got []string
	c := act("stderr")
	c.Stderr = func(line []byte) { got = append(got, string(line)) }
	o := testLauncher(t).Run(t.Context(), c)
	checkEnding(t, o, ending{"", record.OK, 0, ""})
	if want := []string{"one", "two", "three"}; !slices.Equal(got, want) || o.StderrBytes != 14 {
		t.Errorf("lines %q, %d bytes", got, o.StderrBytes)
	}
}

func TestRunLargeStdinEverywhere(t *testing.T) {
	c := act("copy")
	c.Stdin = bytes.Repeat([]byte("0123456789abcde\n"), 1<<16)
	o := testLauncher(t).Run(t.Context(), c)
	if o.Err != nil || !bytes.Equal(o.Stdout, c.Stdin) {
		t.Errorf("%d of %d bytes came back, error %v", len(o.Stdout), len(c.Stdin), o.Err)
	}
}

// What a run has used is known.
func TestRunUsageEverywhere(t *testing.T) {
	o := testLauncher(t).Run(t.Context(), act("large", "200"))
	checkEnding(t, o, ending{"209715200\n", record.OK, 0, ""})
	if o.MaxRSS == 0 && testkit.Wine() { // it tells nothing of the memory of a process that has ended
		o.MaxRSS = 200 << 20
	}
	if o.MaxRSS < 200<<20 || o.MaxRSS > 1000<<20 || o.User+o.System <= 0 {
		t.Errorf("at most %d bytes, %v of processor time", o.MaxRSS, o.User+o.System)
	}
}

// A fault of ours in reading what a script writes ends that run alone.
func TestRunFaultEverywhere(t *testing.T) {
	c := act("hang", "x")
	c.Stdout = func([]byte) { panic("no such luck") }
	if o := testLauncher(t).Run(t.Context(), c); o.Result != record.Invalid || o.Err == nil || panics.StackOf(o.Err) == "" {
		t.Errorf("it ended with %s, %v", o.Result, o.Err)
	}
}

// Wrap finds and calls a command as a script's run does, and gives its exit code.
func TestWrapEverywhere(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, act   string
		args        []string
		stdout      string
		code        int64
		onlyWindows bool
	}{
		{"arguments", "args", []string{exe, "a b", `c"d`, `e\`}, `["a b" "c\"d" "e\\"]` + "\n", 0, false},
		{"exit code", "exit", []string{exe, "7"}, "", 7, false},
		{"an exit code of 32 bits", "exit", []string{exe, "0xC0000135"}, "", 0xC0000135, true},
		{"batch", "args", []string{processtest.WriteScript(t, "a b.cmd", "@%1 %2 x\r\n@exit /b 5\r\n", 0o755), exe, "a&b"}, `["a&b" "x"]` + "\n", 5, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.onlyWindows && runtime.GOOS != "windows" {
				t.Skip("of Windows alone")
			}
			t.Setenv(actVariable, test.act)
			var stdout bytes.Buffer
			code, err := Wrap(test.args, nil, &stdout, nil)
			if int64(code) != test.code || err != nil || stdout.String() != test.stdout {
				t.Errorf("%q, code %d, error %v", stdout.String(), code, err)
			}
		})
	}
	code, err := Wrap([]string{filepath.Join(t.TempDir(), "missing.exe")}, nil, nil, nil)
	if code != NotFound || err == nil {
		t.Errorf("a missing command: code %d, error %v", code, err)
	}
}
