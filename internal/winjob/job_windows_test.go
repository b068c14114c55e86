package winjob

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/windows"
)

// TestMain lets a test start this program as its script.
func TestMain(m *testing.M) {
	if Called(os.Args) {
		if Main(os.Args) != nil {
			os.Exit(1)
		}
		return
	}
	if act := acts[os.Getenv("ACT")]; act != nil {
		act()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// acts are what started processes do.
var acts = map[string]func(){
	"message": func() {
		n, err := strconv.ParseUint(os.Getenv(MessageVariable), 10, 64)
		if err != nil {
			fmt.Println(err)
		}
		fmt.Fprintln(os.NewFile(uintptr(n), "messages"), "a message")
		fmt.Println("printed")
		fmt.Fprintln(os.Stderr, "told")
	},
	"handle": func() { // whether it has inherited a handle
		n, _ := strconv.ParseUint(os.Getenv("HANDLE"), 10, 64)
		kind, err := windows.GetFileType(windows.Handle(n))
		fmt.Println(kind == windows.FILE_TYPE_PIPE, err != nil)
	},
	"attach": func() { // takes the console of its parent, as programs with windows do that print
		_, _, _ = kernel32.NewProc("FreeConsole").Call()
		ok, _, _ := attachConsole.Call(uintptr(^uint32(0)))
		fmt.Println(ok != 0)
		_, _ = io.Copy(io.Discard, os.Stdin)
	},
	"exit": func() {
		n, _ := strconv.ParseUint(os.Getenv("CODE"), 0, 32)
		windows.ExitProcess(uint32(n))
	},
}

// run runs an act to its end, in a job of its own.
func run(t *testing.T, act string, env ...string) (stdout, stderr, message string, e *Exit) {
	t.Helper()
	job, err := New(Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer job.Close()
	var ours, theirs [4]*os.File
	if theirs[0], err = os.Open(os.DevNull); err != nil {
		t.Fatal(err)
	}
	for i := 1; i < 4; i++ {
		if ours[i], theirs[i], err = os.Pipe(); err != nil {
			t.Fatal(err)
		}
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := job.Start(&Program{Path: exe, CommandLine: "act", Env: append(append(os.Environ(), env...), "ACT="+act), Files: theirs})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, f := range theirs {
		f.Close()
	}
	var texts [4]string
	for i := 1; i < 4; i++ {
		text, _ := io.ReadAll(ours[i])
		texts[i] = strings.ReplaceAll(string(text), "\r", "")
	}
	if e, err = p.Wait(); err != nil {
		t.Fatal(err)
	}
	return texts[1], texts[2], texts[3], e
}

func TestStartMessage(t *testing.T) {
	stdout, stderr, message, e := run(t, "message", MessageVariable+"=7", strings.ToLower(MessageVariable)+"=8")
	if stdout != "printed\n" || stderr != "told\n" || message != "a message\n" || e.Code != 0 {
		t.Errorf("%q, %q, %q, exit code %d", stdout, stderr, message, e.Code)
	}
}

// A process has no handle but those that it is to have, also not one that anybody
// might inherit.
func TestStartInherits(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if err := windows.SetHandleInformation(windows.Handle(w.Fd()), windows.HANDLE_FLAG_INHERIT, windows.HANDLE_FLAG_INHERIT); err != nil {
		t.Fatal(err)
	}
	if stdout, _, _, _ := run(t, "handle", "HANDLE="+strconv.FormatUint(uint64(w.Fd()), 10)); stdout != "false true\n" {
		t.Errorf("it says of a handle of ours: %s", stdout)
	}
}

// Exit codes have 32 bits and no sign.
func TestExitCode(t *testing.T) {
	for _, code := range []uint32{0, 1, 259, 0xC0000135, 0xFFFFFFFF} {
		if _, _, _, e := run(t, "exit", "CODE="+strconv.FormatUint(uint64(code), 10)); e.Code != code {
			t.Errorf("exit code %d, want %d", e.Code, code)
		}
	}
}

// A script that has taken our own console is not asked to end: we would be asked, too.
func TestAskInOurConsole(t *testing.T) {
	_, _, _ = kernel32.NewProc("FreeConsole").Call()
	if ok, _, err := kernel32.NewProc("AllocConsole").Call(); ok == 0 {
		t.Skipf("there is no console to be had: %v", err)
	}
	t.Cleanup(func() { _, _, _ = kernel32.NewProc("FreeConsole").Call() })
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, os.Interrupt)
	defer signal.Stop(asked)
	job, err := New(Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer job.Close()
	in, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer feed.Close()
	out, printed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := job.Start(&Program{Path: exe, CommandLine: "act", Env: append(os.Environ(), "ACT=attach"), Files: [4]*os.File{in, printed, printed}})
	printed.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "true\n" {
		t.Fatalf("it has not taken our console: %q, %v", line, err)
	}
	if err := p.Ask(10 * time.Second); !errors.Is(err, errNotAsked) {
		t.Errorf("asked: %v", err)
	}
	select {
	case s := <-asked:
		t.Errorf("we were asked: %v", s)
	default:
	}
}
