package process

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/internal/limits"
	"scriptbridge/internal/winjob"
	"scriptbridge/record"
	"scriptbridge/script/process/processtest"
)

func TestMain(m *testing.M) {
	if limits.Called(os.Args) { // a run of these tests has started us for a script
		fmt.Fprintln(os.Stderr, limits.Main())
		os.Exit(1)
	}
	if performed() {
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func testLauncher(t testing.TB) *Launcher {
	t.Helper()
	l := NewLauncher(processtest.Logger(t))
	t.Cleanup(l.Close)
	return l
}

// ending is the part of an Outcome that a test names in full.
type ending struct {
	Stdout   string
	Result   record.Result
	ExitCode int
	Err      string
}

func endingOf(o *Outcome) ending {
	e := ending{string(o.Stdout), o.Result, o.ExitCode, ""}
	if o.Err != nil {
		e.Err = o.Err.Error()
	}
	return e
}

func checkEnding(t *testing.T, o *Outcome, want ending) {
	t.Helper()
	if diff := cmp.Diff(want, endingOf(o)); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
}

// Where there is no sh, and for what must be the same everywhere, the program of these
// tests is the script: it acts as this variable says.
const actVariable = "SCRIPT_ACT"

// acts are what it can do.
var acts = map[string]func(){
	"message": func() {
		fmt.Fprint(messageFile(), "one\ntwo\n")
		fmt.Println("printed")
	},
}

// performed does what a script is to do, in a process that a test has started as one.
func performed() bool {
	act := acts[os.Getenv(actVariable)]
	if act != nil {
		act()
	}
	return act != nil
}

// act is a command whose script is an act.
func act(t testing.TB, name string, env ...string) Command {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Command{
		Args:    []string{exe},
		Env:     append(append(Environment(os.Environ(), nil, nil, nil), env...), actVariable+"="+name),
		Timeout: time.Minute, MaxOutput: 1 << 20,
	}
}

// messageFile is where a script writes its messages.
func messageFile() *os.File {
	number := "3"
	if runtime.GOOS == "windows" {
		number = os.Getenv(winjob.MessageVariable)
	}
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		fmt.Println(err)
	}
	return os.NewFile(uintptr(n), "messages")
}

func TestRunMessage(t *testing.T) {
	c := act(t, "message")
	var got []string
	c.Message = func(line []byte) error {
		got = append(got, strings.Clone(string(line)))
		return nil
	}
	checkEnding(t, testLauncher(t).Run(t.Context(), c), ending{"printed\n", record.OK, 0, ""})
	if want := []string{"one", "two"}; !slices.Equal(got, want) {
		t.Errorf("messages (-want +got):\n%s", cmp.Diff(want, got))
	}
}
