package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/rogpeppe/go-internal/testscript"

	"scriptbridge/internal/sdnotify"
	"scriptbridge/internal/testkit"
)

// cmdManager opens a socket as a service manager does, for the bridges that are
// started from now on. The file notified has what they tell it, a message in
// each line.
func cmdManager(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: manager PATH|@NAME")
	}
	name := args[0]
	if name[0] != '@' {
		name = ts.MkAbs(name)
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	ts.Check(err)
	notified, err := os.OpenFile(ts.MkAbs("notified"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	ts.Check(err)
	ts.Setenv("NOTIFY_SOCKET", name)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buf := make([]byte, 8<<10)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			fmt.Fprintln(notified, strings.ReplaceAll(string(buf[:n]), "\n", " "))
		}
	}()
	ts.Defer(func() {
		conn.Close()
		<-ended
		notified.Close()
	})
}

// The watchdog is told that the bridge is alive only where it does what it is for.
func TestServiceAlive(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no datagram sockets of a path, by which a service manager is told")
	}
	name := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", name)
	t.Setenv("WATCHDOG_USEC", "3000000")
	var text strings.Builder
	s := newService(t.Context(), log.NewLogfmtLogger(&text))
	s.status = func() string { return "fine" }
	for _, c := range []struct {
		works func() error
		want  string
	}{
		{func() error { return nil }, sdnotify.Watchdog},
		{func() error { return errors.New("no page") }, ""},
		{func() error { return nil }, sdnotify.Watchdog},
		{func() error { panic("no way") }, ""},
		{func() error { return nil }, sdnotify.Watchdog},
	} {
		s.works = c.works
		if got := s.alive(); got != c.want {
			t.Errorf("the watchdog is told %q, not %q", got, c.want)
		}
	}
	want := `level=error msg="the bridge does not work; the watchdog is not told that it is alive, and will restart it" err="no page"
level=info msg="the bridge works again"
level=error msg="the bridge does not work; the watchdog is not told that it is alive, and will restart it" err="this is a fault of scriptbridge itself: no way (please report it; --log.level=debug tells where it is)"
level=info msg="the bridge works again"
`
	if got := regexp.MustCompile(` stack="goroutine .*?"\n`).ReplaceAllString(text.String(), "\n"); got != want {
		t.Errorf("the log says:\n%s\nnot:\n%s", got, want)
	}
	// At the end nothing is told that would contradict it.
	s.stop()
	s.ready()
	s.notify(sdnotify.Watchdog, "well")
	if got := testkit.Datagram(t, manager); got != "STOPPING=1\nSTATUS=stopping" {
		t.Errorf("it was told %q", got)
	}
	if err := manager.SetReadDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if n, err := manager.Read(make([]byte, 10)); err == nil {
		t.Errorf("it was told %d bytes more", n)
	}
}

// A bridge works when scripts run that are due, and the page can be made.
func TestBridgeWorks(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "scriptbridge.yml")
	write(t, file, "scripts:\n  - command: 'true'\n", 0o600)
	f, _, err := parseArgs([]string{"--config.file=" + file, "--web.listen-address=127.0.0.1:0"}, os.Stdout, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	var out, text strings.Builder
	streams, err := newLogStreams(f, &out, &text)
	if err != nil {
		t.Fatal(err)
	}
	defer streams.close()
	b, err := newBridge(t.Context(), f, streams)
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	whole, err := b.handler()
	if err != nil {
		t.Fatal(err)
	}
	broken := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	for _, c := range []struct {
		handler http.Handler
		want    string
	}{
		{whole, "<nil>"},
		{broken, "the metrics page answers with status 500"},
		{http.NotFoundHandler(), "the metrics page answers with status 404"},
	} {
		if got := fmt.Sprint(b.works(c.handler)); got != c.want {
			t.Errorf("the bridge works: %s, not %s", got, c.want)
		}
	}
	if got, want := b.status(), "0 scripts, 0 failing"; got != want {
		t.Errorf("the status is %q, not %q", got, want)
	}
}
