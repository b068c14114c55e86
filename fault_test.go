package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"scriptbridge/internal/testkit"
)

const nilFault = "this is a fault of scriptbridge itself: runtime error: invalid memory address or nil pointer dereference (please report it; --log.level=debug tells where it is)"

// living is a bridge at work in this process.
type living struct {
	*bridge
	file string
	url  string
	log  *testkit.Buffer
	done chan error
}

// newLiving starts a bridge with a configuration, in a folder of its own.
func newLiving(t testing.TB, text string, args ...string) *living {
	t.Helper()
	return newLivingIn(t, t.TempDir(), text, args...)
}

func newLivingIn(t testing.TB, dir, text string, args ...string) *living {
	t.Helper()
	l := &living{file: filepath.Join(dir, "scriptbridge.yml"), log: &testkit.Buffer{}, done: make(chan error, 1)}
	l.write(t, text)
	f, cmd, err := parseArgs(slices.Concat([]string{"--config.file=" + l.file, "--web.listen-address=127.0.0.1:0", "--config.auto-reload-interval=0", "--log.level=debug"}, args), io.Discard, io.Discard)
	if err != nil || cmd.Name != commandServe {
		t.Fatal(cmd.Name, err)
	}
	streams, err := newLogStreams(f, io.Discard, l.log)
	if err != nil {
		t.Fatal(err)
	}
	if l.bridge, err = newBridge(t.Context(), f, streams); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		err := l.run(ctx)
		l.close()
		streams.close()
		l.done <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-l.done; err != nil {
			t.Errorf("the bridge ended with %v", err)
		}
	})
	eventually(t, func() error {
		if _, at, _ := l.reloader.status(); at.IsZero() {
			return errors.New("the configuration is not in force")
		}
		m := listeningOn.FindStringSubmatch(l.log.String())
		if m == nil {
			return errors.New("the log does not say where it listens")
		}
		l.url = "http://" + m[1]
		return nil
	})
	return l
}

func (l *living) write(t testing.TB, text string) {
	t.Helper()
	if err := os.WriteFile(l.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// names are the scripts and receivers at work.
func (l *living) names() (names []string) {
	for _, v := range l.pool.Views() {
		names = append(names, v.Script.Name)
	}
	for _, v := range l.sources.receivers.Views() {
		names = append(names, v.Name)
	}
	return names
}

// A mistake of ours in whatever a reload does is a failed reload: told in the
// log, to who asked, on the page and by the gauge. What was at work goes on, and
// the next good file is taken.
func TestReloadFault(t *testing.T) {
	const before, after = "scripts: [{name: a, command: /bin/true}]\n", "scripts: [{name: b, command: /bin/true}]\n"
	l := newLiving(t, before)
	r := l.reloader
	metric := func(name string) string {
		t.Helper()
		page := httptest.NewRecorder()
		l.page.ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		m := regexp.MustCompile(`(?m)^` + name + ` (.*)$`).FindStringSubmatch(page.Body.String())
		if m == nil {
			t.Fatalf("the page has no %s", name)
		}
		return m[1]
	}
	uploads, page := r.uploads, r.page
	for _, c := range []struct {
		name, text string
		spoil      func()
		mend       func()
		msg        string
	}{
		{"is read", after + "upload: {coscale: {app_id: a, access_token_file: token}}\n", func() { r.uploads = nil }, func() { r.uploads = uploads }, "the configuration was not loaded; the old one stays in force"},
		{"is put into force", after, func() { r.page = nil }, func() { r.page = page }, "the configuration was put into force in part alone"},
	} {
		l.write(t, c.text)
		c.spoil()
		err := r.reload(l.over, true)
		c.mend()
		want := l.file + ": " + nilFault
		if err == nil || err.Error() != want {
			t.Errorf("%s: the reload gave %v\nwant %s", c.name, err, want)
		}
		if ok, _, err := r.status(); ok || err.Error() != want {
			t.Errorf("%s: the status is %t, %v", c.name, ok, err)
		}
		if got := l.names(); !slices.Equal(got, []string{"a"}) {
			t.Errorf("%s: at work are %v", c.name, got)
		}
		if got := metric("scriptbridge_config_last_reload_successful"); got != "0" {
			t.Errorf("%s: the gauge is %s", c.name, got)
		}
		eventually(t, func() error { // it is written behind the reload's back
			if log := l.log.String(); !strings.Contains(log, c.msg) || !strings.Contains(log, `level=debug `) || !strings.Contains(log, "reload.go") {
				return fmt.Errorf("%s: the log is\n%s", c.name, log)
			}
			return nil
		})
		for _, text := range []string{after, before} {
			l.write(t, text)
			if err := r.reload(l.over, true); err != nil {
				t.Errorf("%s: then a good file: %v", c.name, err)
			}
		}
		if got := metric("scriptbridge_config_last_reload_successful"); got != "1" {
			t.Errorf("%s: the gauge is %s after a good file", c.name, got)
		}
	}
}

// /-/ready names who is late.
func TestReadyNames(t *testing.T) {
	l := newLiving(t, "scripts: [{name: slow, command: /bin/sleep 60, dialect: nagios, timeout: 70s}]\nreceive: {statsd: {unixgram: nowhere/sock}}\n")
	get := func() string { return string(httpGet(t, l.url+"/-/ready")) }
	if got, want := get(), "scriptbridge is not ready; it waits for script slow, receiver statsd\n"; got != want {
		t.Errorf("it says %q, not %q", got, want)
	}
	l.write(t, "scripts: []\n")
	if err := l.reloader.reload(l.over, true); err != nil {
		t.Fatal(err)
	}
	if got, want := get(), "scriptbridge is ready\n"; got != want {
		t.Errorf("it says %q, not %q", got, want)
	}
}
