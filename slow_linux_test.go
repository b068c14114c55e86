package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// slow makes whoever opens a file wait, as for a file system over the network
// that is away, until what it gives is closed: we hold a lease on it (fcntl(2),
// F_SETLEASE).
func slow(ts *testscript.TestScript, name string) *os.File {
	f, err := os.Open(ts.MkAbs(name))
	ts.Check(err)
	_, err = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK)
	ts.Check(err)
	return f
}

// awaitSlow waits until somebody waits for the file.
func awaitSlow(ts *testscript.TestScript, f *os.File) {
	poll(ts, "somebody to wait for "+f.Name(), func() (string, bool) {
		return ts.ReadFile("log"), waitedFor(ts, f)
	})
}

// waitedFor reports whether somebody waits for a file that is slow.
func waitedFor(ts *testscript.TestScript, f *os.File) bool {
	kind, err := unix.FcntlInt(f.Fd(), unix.F_GETLEASE, 0)
	ts.Check(err)
	return kind != unix.F_WRLCK
}

// slowAgain is f, or the file of the name where another one has taken its place: nobody
// would ever wait for f.
func slowAgain(ts *testscript.TestScript, name string, f *os.File) *os.File {
	was, err := f.Stat()
	ts.Check(err)
	is, err := os.Stat(ts.MkAbs(name))
	ts.Check(err)
	if os.SameFile(was, is) {
		return f
	}
	ts.Check(f.Close())
	return slow(ts, name)
}

func cmdSlow(ts *testscript.TestScript, neg bool, args []string) {
	b := bridgeOf(ts)
	switch {
	case len(args) == 2 && args[0] == "-awaited" && !neg:
		poll(ts, "somebody to wait for "+args[1], func() (string, bool) {
			b.slow[args[1]] = slowAgain(ts, args[1], b.slow[args[1]])
			return ts.ReadFile("log"), waitedFor(ts, b.slow[args[1]])
		})
	case len(args) != 1:
		ts.Fatalf("usage: [!] slow FILE, slow -awaited FILE")
	case neg:
		awaitSlow(ts, b.slow[args[0]])
		ts.Check(b.slow[args[0]].Close())
	default:
		b.slow[args[0]] = slow(ts, args[0])
	}
}

// cmdSlowFiles reloads once for each file, which is slow then. Meanwhile all
// must be answered.
func cmdSlowFiles(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: slowfiles STATSD-PORT FILE…")
	}
	for _, name := range args[1:] {
		f := slow(ts, name)
		reloads := strings.Count(ts.ReadFile("log"), "the configuration was reloaded")
		cmdHup(ts, false, nil)
		awaitSlow(ts, f)
		answersAll(ts, args[0], name)
		ts.Check(f.Close()) // and with it the lease
		poll(ts, "the reload to go on", func() (string, bool) {
			log := ts.ReadFile("log")
			return log, strings.Count(log, "the configuration was reloaded") > reloads
		})
	}
}

// cmdOddFiles reloads once for each file, in whose place stands a named pipe
// that nobody writes to. Meanwhile all must be answered, and the reload must
// come to its end, and tell of it.
func cmdOddFiles(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: oddfiles STATSD-PORT FILE…")
	}
	for _, name := range args[1:] {
		path := ts.MkAbs(name)
		ts.Check(os.Rename(path, path+".away"))
		ts.Check(syscall.Mkfifo(path, 0o600))
		told := regexp.MustCompile(regexp.QuoteMeta(name) + `(\\")?: is not a regular file`)
		count := func(log string) int { return len(told.FindAllString(log, -1)) }
		before := count(ts.ReadFile("log"))
		cmdHup(ts, false, nil)
		poll(ts, "the log to tell of "+name, func() (string, bool) {
			log := ts.ReadFile("log")
			return log, count(log) > before
		})
		answersAll(ts, args[0], name)
		ts.Check(os.Rename(path+".away", path))
		reloads := strings.Count(ts.ReadFile("log"), "the configuration was reloaded")
		cmdHup(ts, false, nil)
		poll(ts, "a reload with "+name, func() (string, bool) {
			log := ts.ReadFile("log")
			return log, strings.Count(log, "the configuration was reloaded") > reloads
		})
	}
}

// answersAll sees that pages, the API, a script's run and a packet are answered
// while something is the matter with a file.
func answersAll(ts *testscript.TestScript, statsd, file string) {
	client := &http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	get := func(path string) string {
		resp, err := client.Get(bridgeOf(ts).url + path)
		if err != nil {
			ts.Fatalf("while %s cannot be read: %v", file, err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		ts.Check(err)
		return string(body)
	}
	for _, path := range []string{"/", "/scripts/s", "/receivers/statsd", "/-/healthy", "/-/ready", "/api/v1/", "/discovery", "/probe?script=s"} {
		get(path)
	}
	c, err := net.Dial("udp", "127.0.0.1:"+ts.Getenv(statsd))
	ts.Check(err)
	defer c.Close()
	name := strings.NewReplacer(".", "_", "/", "_").Replace(fmt.Sprintf("while_%s_%d", file, time.Now().UnixNano()))
	fmt.Fprintf(c, "%s:1|c", name)
	poll(ts, "a packet to be on the page while "+file+" cannot be read", func() (string, bool) {
		page := get("/metrics")
		return ofSources(page), strings.Contains(page, "\n"+name+" 1\n")
	})
}
