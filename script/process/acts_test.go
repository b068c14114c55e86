package process

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"

	"scriptbridge/internal/limits"
	"scriptbridge/internal/winjob"
	"scriptbridge/record"
	"scriptbridge/script/process/processtest"
)

func TestMain(m *testing.M) {
	if winjob.Called(os.Args) {
		if winjob.Main(os.Args) != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
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
var acts = map[string]func(args []string){
	"args":  func(args []string) { fmt.Printf("%q\n", args) },
	"blank": func([]string) {},
	"scatter": func([]string) { // leaves something in each way that there is, and ends
		for i := range detachments {
			spawn("hang", i)
		}
		fmt.Println("left", len(detachments))
	},
	"bridge": func(args []string) { // has runs that do not end, and says what they print
		l := NewLauncher(log.NewNopLogger())
		for _, c := range leavers(args[0]) {
			c.Timeout = time.Hour
			c.Stdout = func(line []byte) { fmt.Printf("%s\n", line) }
			go l.Run(context.Background(), c)
		}
		hang()
	},
	"copy": func([]string) { _, _ = io.Copy(os.Stdout, os.Stdin) },
	"daemon": func([]string) { // leaves something that does not hold its output open
		os.Stdout, _ = os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		os.Stderr = os.Stdout
		spawn("hang", 2)
	},
	"echo": func(args []string) { fmt.Println(strings.Join(args, " ")) },
	"env":  func(args []string) { fmt.Println(os.Getenv(args[0])) },
	"exit": func(args []string) {
		code, _ := strconv.ParseInt(args[0], 0, 64)
		exitWith(uint32(code))
	},
	"fork": func([]string) { // leaves something that does the same, and something that hangs
		spawn("tree", 0)
		spawn("hang", 1)
		fmt.Println("forked")
		hang()
	},
	"hang": func(args []string) {
		fmt.Println(strings.Join(args, " "))
		hang()
	},
	"hold": func([]string) { // leaves something that holds its output open
		spawn("hang", 0)
		fmt.Println("held")
	},
	"ignore": func(args []string) {
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, os.Interrupt, syscall.SIGTERM) // CTRL_BREAK ends who only ignores it
		fmt.Println(strings.Join(args, " "))
		hang()
	},
	"large": func(args []string) {
		size, _ := strconv.Atoi(args[0])
		heap := make([]byte, size<<20)
		for i := range len(heap) / 4096 {
			heap[i*4096] = 1
		}
		fmt.Println(len(heap))
		if len(args) > 1 {
			hang()
		}
		runtime.KeepAlive(heap)
	},
	"many": func([]string) { // has more and more processes
		for {
			spawn("hang", 0)
		}
	},
	"message": func([]string) {
		fmt.Fprint(messageFile(), "one\ntwo\n")
		fmt.Println("printed")
	},
	"obey": func([]string) {
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
		fmt.Println("ready")
		<-signals
		fmt.Println("bye")
	},
	"spin": func([]string) {
		for {
			spun++
		}
	},
	"stderr": func(args []string) { fmt.Fprint(os.Stderr, "one\ntwo\r\nthree") },
	"tree": func([]string) { // three generations, of which the first two end
		spawn("hang", 0)
		spawn("scatter", 1)
	},
	"where": func([]string) {
		dir, err := os.Getwd()
		fmt.Println(dir, err)
	},
	"zeros": func([]string) {
		zeros := make([]byte, 64<<10)
		for {
			if _, err := os.Stdout.Write(zeros); err != nil {
				return
			}
		}
	},
}

var spun int

func hang() { <-time.After(time.Hour) }

// spawn has this program start itself to do something else, detached in one of the
// ways that there are.
func spawn(act string, how int) {
	exe, err := os.Executable()
	if err == nil {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), actVariable+"="+act)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.SysProcAttr = detachments[how%len(detachments)]
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		<-time.After(10 * time.Millisecond)
	}
}

// performed does what a script is to do, in a process that a test has started as one.
func performed() bool {
	act := acts[os.Getenv(actVariable)]
	if act != nil {
		act(os.Args[1:])
	}
	return act != nil
}

// act is a command whose script is an act.
func act(name string, args ...string) Command {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return Command{
		Args:    append([]string{exe}, args...),
		Env:     append(Environment(os.Environ(), nil, nil, nil), actVariable+"="+name),
		Timeout: time.Minute, MaxOutput: 1 << 20,
	}
}

// leavers are scripts that leave something behind, or have to be ended, each of which
// prints a line. batch is one that cmd.exe runs.
func leavers(batch string) (all []Command) {
	for _, name := range []string{"hold", "scatter", "tree", "fork", "ignore", "hang", "obey"} {
		all = append(all, act(name, name))
	}
	for _, how := range []string{"start", "wait"} {
		c := act("hang", how)
		c.Args = []string{batch, c.Args[0], how}
		all = append(all, c)
	}
	return all
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
	c := act("message")
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
