//go:build unix

package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/internal/panics"
	"scriptbridge/record"
)

// shell is a command for /bin/sh with room for everything.
func shell(text string) Command {
	return Command{
		Args:      []string{"/bin/sh", "-c", text},
		Env:       Environment(os.Environ(), nil, nil, nil),
		Timeout:   time.Minute,
		MaxOutput: 1 << 20,
	}
}

func TestRunVerdicts(t *testing.T) {
	with := func(c Command, change func(*Command)) Command {
		change(&c)
		return c
	}
	tests := []struct {
		name string
		c    Command
		want ending
	}{
		{"ok", shell("echo a; echo b"), ending{"a\nb\n", record.OK, 0, ""}},
		{"exit code", shell("echo a; exit 7"), ending{"a\n", record.Error, 7, "exited with code 7"}},
		{"exit code 255", shell("exit 255"), ending{"", record.Error, 255, "exited with code 255"}},
		{"signal", shell("kill -SEGV $$"), ending{"", record.Killed, -1, "was killed by signal segmentation fault"}},
		{"killed", shell("kill -KILL $$"), ending{"", record.Killed, -1,
			"was killed by signal killed (by the kernel for want of memory, or by somebody)"}},
		{"timeout", with(shell("echo a; sleep 600"), func(c *Command) { c.Timeout = time.Second }),
			ending{"a\n", record.Timeout, -1, "was ended after its timeout of 1s"}},
		{"timeout, then exit 0", with(shell("trap 'echo bye; exit 0' TERM; echo a; while :; do sleep 0.05; done"),
			func(c *Command) { c.Timeout = time.Second }),
			ending{"a\nbye\n", record.Timeout, -1, "was ended after its timeout of 1s"}},
		{"stopped", with(shell("echo a; kill -STOP $$"), func(c *Command) { c.Timeout = time.Second }),
			ending{"a\n", record.Timeout, -1, "was ended after its timeout of 1s"}},
		{"no stdin", shell("cat; echo end"), ending{"end\n", record.OK, 0, ""}},
		{"empty stdin", with(shell("cat; echo end"), func(c *Command) { c.Stdin = []byte{} }), ending{"end\n", record.OK, 0, ""}},
		{"stdin", with(shell("cat"), func(c *Command) { c.Stdin = []byte("fed back\n") }), ending{"fed back\n", record.OK, 0, ""}},
		{"working directory", with(shell("pwd"), func(c *Command) { c.Dir = "/" }), ending{"/\n", record.OK, 0, ""}},
		{"environment", with(shell("echo $A"), func(c *Command) { c.Env = []string{"A=1", "A=2"} }), ending{"2\n", record.OK, 0, ""}},
		{"no terminal", shell("(: </dev/tty) 2>/dev/null || echo none"), ending{"none\n", record.OK, 0, ""}},
		{"exactly as much as it may", with(shell("printf 12345"), func(c *Command) { c.MaxOutput = 5 }), ending{"12345", record.OK, 0, ""}},
		{"a byte more", with(shell("printf 123456"), func(c *Command) { c.MaxOutput = 5 }), ending{"12345", record.Killed, -1,
			"wrote more than 5B on standard output (max_output): make it print less, or raise max_output"}},
	}
	l := testLauncher(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := l.Run(t.Context(), test.c)
			if test.name == "a byte more" { // whether it exits before it is ended is open
				o.ExitCode = -1
			}
			checkEnding(t, o, test.want)
			if o.Start.IsZero() || o.End.Before(o.Start) {
				t.Errorf("from %v to %v", o.Start, o.End)
			}
			if o.StdoutBytes < int64(len(o.Stdout)) {
				t.Errorf("counted %d bytes of %d", o.StdoutBytes, len(o.Stdout))
			}
		})
	}
}

func TestRunEndedByContext(t *testing.T) {
	l := testLauncher(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	c := shell("echo started >&2; sleep 600")
	c.Stderr = func(line []byte) {
		if string(line) == "started" {
			cancel(errors.New("its configuration changed"))
		}
	}
	checkEnding(t, l.Run(ctx, c), ending{"", record.Killed, -1, "was ended before it was done: its configuration changed"})
	checkEnding(t, l.Run(ctx, c), ending{"", record.Killed, -1, "was not started: its configuration changed"})
}

func TestRunIgnoresTERM(t *testing.T) {
	l := testLauncher(t)
	c := shell("trap '' TERM; echo a; while :; do sleep 600; done")
	c.Timeout = time.Second
	o := l.Run(t.Context(), c)
	checkEnding(t, o, ending{"a\n", record.Timeout, -1, "was ended after its timeout of 1s"})
	if d := o.End.Sub(o.Start); d < c.Timeout+termTime || d > c.Timeout+termTime+10*time.Second {
		t.Errorf("it lived for %v; want the timeout and %v", d, termTime)
	}
}

// A script that does not read its input neither hangs nor fails.
func TestRunUnreadStdin(t *testing.T) {
	l := testLauncher(t)
	for _, text := range []string{"echo a", "exec <&-; echo a", "head -c 3 >/dev/null; echo a"} {
		c := shell(text)
		c.Stdin = bytes.Repeat([]byte("x"), 1<<20)
		checkEnding(t, l.Run(t.Context(), c), ending{"a\n", record.OK, 0, ""})
	}
}

func TestRunLargeStdin(t *testing.T) {
	l := testLauncher(t)
	c := shell("cat")
	c.Stdin = bytes.Repeat([]byte("0123456789abcde\n"), 1<<16)
	c.MaxOutput = 1 << 20
	o := l.Run(t.Context(), c)
	if o.Err != nil || !bytes.Equal(o.Stdout, c.Stdin) {
		t.Errorf("%d of %d bytes came back, error %v", len(o.Stdout), len(c.Stdin), o.Err)
	}
}

func TestRunStderr(t *testing.T) {
	l := testLauncher(t)
	var got []string
	c := shell("echo one >&2; echo out; printf 'two\\r\\nthree' >&2")
	c.Stderr = func(line []byte) { got = append(got, string(line)) }
	o := l.Run(t.Context(), c)
	checkEnding(t, o, ending{"out\n", record.OK, 0, ""})
	if diff := cmp.Diff([]string{"one", "two", "three"}, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if o.StdoutBytes != 4 || o.StderrBytes != 14 {
		t.Errorf("counted %d and %d bytes, want 4 and 14", o.StdoutBytes, o.StderrBytes)
	}
}

// Standard error may be endless: it is counted, and nothing grows or stalls.
func TestRunEndlessStderr(t *testing.T) {
	l := testLauncher(t)
	for _, hook := range []func([]byte){nil, func([]byte) {}} {
		c := shell("head -c 33554432 /dev/zero >&2; echo end")
		c.Stderr = hook
		var o *Outcome
		grown := allocated(func() { o = l.Run(t.Context(), c) })
		checkEnding(t, o, ending{"end\n", record.OK, 0, ""})
		if o.StderrBytes != 1<<25 {
			t.Errorf("counted %d bytes, want %d", o.StderrBytes, 1<<25)
		}
		if grown > 1<<20 {
			t.Errorf("allocated %d bytes", grown)
		}
	}
}

// Too much output ends the run, and memory is bounded by max_output.
func TestRunTooMuchOutput(t *testing.T) {
	l := testLauncher(t)
	c := shell("exec cat /dev/zero")
	c.MaxOutput = 16 << 20
	var o *Outcome
	grown := allocated(func() { o = l.Run(t.Context(), c) })
	if want := "wrote more than 16MiB on standard output (max_output): make it print less, or raise max_output"; o.Err == nil ||
		o.Result != record.Killed || o.Err.Error() != want || o.ExitCode != -1 {
		t.Errorf("result %s, code %d, error %v; want killed, -1, %s", o.Result, o.ExitCode, o.Err, want)
	}
	if len(o.Stdout) != 16<<20 || o.StdoutBytes <= 16<<20 {
		t.Errorf("kept %d of %d bytes, want %d", len(o.Stdout), o.StdoutBytes, 16<<20)
	}
	if grown > 6*16<<20 { // all that growing gave back to the collector is in it
		t.Errorf("allocated %d bytes", grown)
	}
	grown = allocated(func() { o = l.Run(t.Context(), shell("echo a")) })
	if grown > 64<<10 {
		t.Errorf("a short run allocated %d bytes", grown)
	}
}

func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestRunUsage(t *testing.T) {
	l := testLauncher(t)
	o := l.Run(t.Context(), shell("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"))
	if o.Err != nil || o.User <= 0 || o.User > o.End.Sub(o.Start) {
		t.Errorf("user time %v in %v, error %v", o.User, o.End.Sub(o.Start), o.Err)
	}
	// A shell has a few hundred KiB; what this process has must not be taken
	// for it.
	if runtime.GOOS == "linux" && (o.MaxRSS < 100<<10 || o.MaxRSS > 10<<20) {
		t.Errorf("max RSS %d of a small shell", o.MaxRSS)
	}
	perl, err := exec.LookPath("perl")
	if err != nil {
		t.Skip("no perl, which would need memory")
	}
	o = l.Run(t.Context(), Command{Args: []string{perl, "-e", `my $x = "x" x (300 << 20); print length $x`}, MaxOutput: 100})
	checkEnding(t, o, ending{"314572800", record.OK, 0, ""})
	if o.MaxRSS < 300<<20 || o.MaxRSS > 1000<<20 {
		t.Errorf("max RSS %d; want a bit more than %d", o.MaxRSS, 300<<20)
	}
}

// A background child that holds the output open delays the end by no more
// than drainTime; one that does not, not at all.
func TestRunOutputHeldOpen(t *testing.T) {
	const much = 10 * time.Second // for a slow machine; what holds the output does so for longer
	tests := []struct {
		name, text  string
		least, most time.Duration
		want        string
	}{
		{"held", "sleep 600 & echo a", drainTime, much, "a\n"},
		{"held by another session", "setsid sleep 600 & echo a", drainTime, much, "a\n"},
		{"not held", "sleep 600 >/dev/null 2>&1 & echo a", 0, drainTime, "a\n"},
		{"for a while", "(sleep 0.3; echo b) & echo a", 300 * time.Millisecond, much, "a\nb\n"},
	}
	l := testLauncher(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			start := time.Now()
			o := l.Run(t.Context(), shell(test.text))
			d := time.Since(start)
			checkEnding(t, o, ending{test.want, record.OK, 0, ""})
			if d < test.least || d >= test.most {
				t.Errorf("took %v; want %v to %v", d, test.least, test.most)
			}
		})
	}
}

// What a kept run leaves behind may hold the output open for ever; nobody
// waits for it.
func TestRunKeptOutputHeldOpen(t *testing.T) {
	l := testLauncher(t)
	c := shell("sleep 600 & echo $!")
	c.Keep = true
	o := l.Run(t.Context(), c)
	daemon, err := strconv.Atoi(strings.TrimSpace(string(o.Stdout)))
	if err != nil {
		t.Fatalf("printed %q, error %v", o.Stdout, o.Err)
	}
	if err := syscall.Kill(daemon, syscall.SIGKILL); err != nil {
		t.Errorf("the kept process: %v", err)
	}
	for deadline := time.Now().Add(10 * time.Second); syscall.Kill(daemon, 0) == nil; l.Close() {
		if time.Now().After(deadline) {
			t.Fatal("the killed process is not reaped")
		}
	}
}

func BenchmarkRun(b *testing.B) {
	l := testLauncher(b)
	for _, test := range []struct {
		name string
		c    Command
	}{
		{"true", Command{Args: []string{"/bin/true"}, MaxOutput: 1 << 20}},
		{"echo", shell("echo M1 1")},
		{"1MiB", shell("head -c 1048576 /dev/zero")},
	} {
		b.Run(test.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if o := l.Run(b.Context(), test.c); o.Err != nil {
					b.Fatal(o.Err)
				}
			}
		})
		b.Run(test.name+"/plain", func(b *testing.B) { // what os/exec alone takes
			b.ReportAllocs()
			for b.Loop() {
				cmd := exec.Command(test.c.Args[0], test.c.Args[1:]...)
				var stderr strings.Builder
				cmd.Stderr = &stderr
				if _, err := cmd.Output(); err != nil {
					b.Fatal(fmt.Errorf("%w: %s", err, stderr.String()))
				}
			}
		})
	}
}

// A fault of ours in reading what a script writes ends that run alone.
func TestRunFault(t *testing.T) {
	const want = "this is a fault of scriptbridge itself: no such luck (please report it; --log.level=debug tells where it is)"
	l := testLauncher(t)
	for _, c := range []struct {
		name, text string
		hook       func(c *Command)
	}{
		{"a message", "echo x >&3; sleep 600", func(c *Command) { c.Message = func([]byte) error { panic("no such luck") } }},
		{"standard output", "echo x; sleep 600", func(c *Command) { c.Stdout = func([]byte) { panic("no such luck") } }},
		{"standard error", "echo x >&2; sleep 600", func(c *Command) { c.Stderr = func([]byte) { panic("no such luck") } }},
	} {
		t.Run(c.name, func(t *testing.T) {
			command := shell(c.text)
			c.hook(&command)
			o := l.Run(t.Context(), command)
			if o.Result != record.Invalid || o.Err == nil || o.Err.Error() != want || panics.StackOf(o.Err) == "" {
				t.Errorf("it ended with %s, %v", o.Result, o.Err)
			}
		})
	}
	checkEnding(t, l.Run(t.Context(), shell("echo well")), ending{"well\n", record.OK, 0, ""})
}
