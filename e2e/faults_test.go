package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// faults says which form of these tests is asked for, if any: full, for make
// faults, or short, in which everything is tried for a moment.
var faults = os.Getenv("SCRIPTBRIDGE_FAULTS")

var full = faults == "full"

// long is a time of the long form, and what the short one makes of it.
func long(d time.Duration) time.Duration {
	if full {
		return d
	}
	return min(d, 3*time.Second)
}

func times(n int) int {
	if full {
		return n
	}
	return max(n/100, 3)
}

// report tells what came of a fault, as a row of a table.
func report(t *testing.T, fault string, o outcome, told string) {
	t.Helper()
	t.Logf("| %s | acknowledged %d | arrived %d | lost %d | events twice %d | longest time between two turns %.1f s | told: %s |",
		fault, o.points+o.events, o.points+o.events-o.lost, o.lost, o.twice, o.latest.Seconds(), told)
}

const (
	up     = `scriptbridge_upload_up{upload="coscale"}`
	queued = `scriptbridge_upload_queue_length{upload="coscale"}`
)

// TestFaultKill: killed at any moment, again and again, while the peer comes and
// goes, it has what it acknowledged.
func TestFaultKill(t *testing.T) {
	l := newLab(t)
	l.begin()
	kills := times(500)
	for i := range kills {
		l.during(time.Duration(50+37*i%400) * time.Millisecond)
		switch i % 5 {
		case 1:
			l.peer.misbehave(deaf)
		case 2:
			l.peer.misbehave(html(http.StatusBadGateway))
		case 3:
			l.peer.misbehave(nil)
		}
		l.kill()
		l.start()
	}
	l.peer.misbehave(nil)
	l.awaitLoad(20)
	report(t, fmt.Sprintf("kill -9, %d times", kills), l.settle(), "")
}

// TestFaultPeer: a peer that is not the API, or not well, for a minute: nothing
// is lost, nothing is set aside, and it is told.
func TestFaultPeer(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault fault
		down  bool // it must be told: up 0, and an error line
		told  string
	}{
		{"404 with a page", html(http.StatusNotFound), true, "404"},
		{"403 with a page", html(http.StatusForbidden), true, "403"},
		{"413 with a page", html(http.StatusRequestEntityTooLarge), true, "413"},
		{"400 with a page", html(http.StatusBadRequest), true, "400"},
		{"502 with a page", html(http.StatusBadGateway), true, "502"},
		{"200 with a page", html(http.StatusOK), true, "<html>"},
		{"200 with nothing", answering(http.StatusOK, "application/json", ""), true, ""},
		{"200 with other JSON", answering(http.StatusOK, "application/json", `{"status":"ok"}`), true, "status"},
		{"redirect to a login page", redirecting, true, "login.example.org"},
		{"404 in the API's own form, for everything", answering(http.StatusNotFound, "application/json", `{"msg":"There is no receiver here."}`), true, "There is no receiver here"},
		{"429 with Retry-After", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "slow down", http.StatusTooManyRequests)
		}, true, "429"},
		{"silence", silent, false, ""},
		{"answers that are cut", deaf, true, ""},
		{"answers after 2 s", slow(2 * time.Second), false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !full && c.name == "silence" {
				t.Skip("a request waits for a minute: make faults")
			}
			t.Parallel()
			l := newLab(t)
			l.begin()
			l.awaitLoad(10)
			l.awaitMetric(up, 1)
			l.peer.misbehave(c.fault)
			if c.down {
				l.awaitMetric(up, 0)
			}
			l.during(long(time.Minute))
			told := "—"
			if c.down {
				if v, _ := l.metric(up); v != 0 {
					t.Errorf("it says that the peer is well:\n%s", tail(l.log(), 2000))
				}
				told = "`up` 0"
				if !strings.Contains(errorLines(l.log()), c.told) {
					t.Errorf("no error line has %q:\n%s", c.told, tail(l.log(), 3000))
				}
			}
			if text, err := os.ReadFile(refusedFile(l.storage)); err == nil {
				t.Errorf("something was set aside:\n%s", tail(string(text), 1000))
			}
			l.peer.misbehave(nil)
			o := l.settle()
			if refused, _ := l.metric(`scriptbridge_upload_refused_total{upload="coscale"}`); refused != 0 {
				t.Errorf("%v were refused for good", refused)
			}
			report(t, "peer: "+c.name, o, told)
		})
	}
	t.Run("gone", func(t *testing.T) {
		t.Parallel()
		l := newLab(t)
		l.begin()
		l.awaitLoad(10)
		l.peer.away()
		l.awaitMetric(up, 0)
		l.during(long(time.Minute))
		l.peer.back(t)
		report(t, "peer: gone", l.settle(), "`up` 0")
	})
}

func errorLines(log string) string {
	var b strings.Builder
	for line := range strings.Lines(log) {
		if strings.Contains(line, "level=error") || strings.Contains(line, "level=warn") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// TestFaultChain: a bridge between two, restarted again and again.
func TestFaultChain(t *testing.T) {
	lower := newLab(t)
	lower.start()
	t.Cleanup(lower.end)
	upper := newLab(t)
	upper.peer.server.Close()
	upper.peer = lower.peer // where all must arrive at last
	address := upper.peer.address
	upper.peer.address = lower.address
	upper.configure("")
	upper.peer.address = address
	upper.begin()
	restarts := times(500)
	if full {
		restarts = 50
	}
	for i := range restarts {
		upper.during(time.Duration(100+41*i%300) * time.Millisecond)
		if i%2 == 0 {
			lower.end()
		} else {
			lower.kill()
		}
		lower.start()
	}
	upper.awaitLoad(20)
	o := upper.settle()
	for _, l := range []*lab{upper, lower} {
		if text, err := os.ReadFile(refusedFile(l.storage)); err == nil {
			t.Errorf("something was set aside:\n%s", tail(string(text), 1000))
		}
	}
	report(t, fmt.Sprintf("the lower of two bridges restarted, %d times", restarts), o, "")
}

// TestFaultOutputs: 20 scripts, and nobody reads what the bridge writes.
func TestFaultOutputs(t *testing.T) {
	l := newLab(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	fillPipe(t, w)
	l.stdout = w
	l.begin()
	l.awaitLoad(10)
	l.forgetTurns()
	l.during(long(time.Minute))
	l.awaitLoad(10)
	o := l.settle()
	if limit := 2 * time.Second; o.latest > limit { // an interval, and a second
		t.Errorf("two turns of a script lie %v apart", o.latest)
	}
	told := "—"
	if v, _ := l.metric(`scriptbridge_log_dropped_total{stream="events"}`); v > 0 {
		told = "`scriptbridge_log_dropped_total`, an error line"
	} else if full {
		t.Error("no line was dropped")
	}
	report(t, "standard output that nobody reads", o, told)
}

// fillPipe leaves no room for another byte.
func fillPipe(t *testing.T, w *os.File) {
	t.Helper()
	w.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	block := make([]byte, 4096)
	for {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

// TestFaultDisk: a full disk is a 503, and nothing that was acknowledged before
// or after is lost.
func TestFaultDisk(t *testing.T) {
	l := newLab(t)
	l.smallDisk("4m")
	l.peer.away()
	l.begin()
	l.awaitLoad(10)
	filler := filepath.Join(l.storage, "filler")
	fill(t, filler)
	l.awaitFailures(10)
	l.during(long(20 * time.Second))
	page, err := get("http://" + l.address + "/metrics")
	if err != nil || !strings.Contains(page, `coscale_beat{script="s0"}`) {
		t.Errorf("the page while the disk is full: %v\n%s", err, tail(page, 1000))
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	l.peer.back(t)
	l.awaitLoad(20)
	report(t, "a full disk", l.settle(), "503, an error line")
}

// fill takes all the room that a disk has.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 1024); ; {
		if _, err := f.Write(block); err != nil {
			return
		}
	}
}

// awaitFailures waits until so many requests more were not acknowledged.
func (l *lab) awaitFailures(n int64) {
	l.t.Helper()
	from := l.failed.Load()
	eventually(l.t, "requests that are not acknowledged", func() error {
		if now := l.failed.Load(); now < from+n {
			return fmt.Errorf("%d of %d; the log:\n%s", now-from, n, tail(l.log(), 2000))
		}
		return nil
	})
}

// TestFaultReadOnly: a start on a read-only disk fails with the reason, and a
// later one finds all that waits.
func TestFaultReadOnly(t *testing.T) {
	l := newLab(t)
	l.smallDisk("16m")
	l.peer.away()
	l.begin()
	l.awaitLoad(20)
	l.kill()
	remount := func(flags uintptr) {
		t.Helper()
		if err := syscall.Mount("tmpfs", l.storage, "tmpfs", syscall.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	remount(syscall.MS_RDONLY)
	if err := l.try(); err == nil || !strings.Contains(err.Error(), "read-only file system") {
		t.Errorf("started on a read-only disk: %v", err)
	}
	remount(0)
	l.start()
	l.peer.back(t)
	l.awaitLoad(20)
	report(t, "a read-only disk at a start", l.settle(), "the start fails with the reason")
}

// TestFaultClock: the wall clock is set while the bridge runs; no turn is
// skipped for it, and nothing is lost.
func TestFaultClock(t *testing.T) {
	l := newLab(t)
	l.binary = clockProgram(t)
	offset := write(t, l.dir, "offset", "0")
	l.env = []string{"SCRIPTBRIDGE_TEST_CLOCK=" + offset}
	l.begin()
	l.awaitLoad(10)
	l.forgetTurns()
	for _, step := range []time.Duration{6 * time.Hour, 0, -6 * time.Hour, 400 * 24 * time.Hour, 0} {
		set := write(t, l.dir, "offset.new", fmt.Sprint(int64(step/time.Second)))
		if err := os.Rename(set, offset); err != nil {
			t.Fatal(err)
		}
		l.bridge.signal(syscall.SIGHUP)
		l.awaitLoad(5)
		l.during(long(10 * time.Second))
	}
	o := l.settle()
	if o.latest > 4*time.Second {
		t.Errorf("two turns of a script lie %v apart", o.latest)
	}
	report(t, "the clock set by +6 h, back, −6 h, +400 d, back", o, "")
}
