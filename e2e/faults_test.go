package e2e

import (
	"fmt"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"
)

// faults says which form of these tests is asked for, if any: full, for make
// faults, or short, in which everything is tried for a moment.
var faults = os.Getenv("SCRIPTBRIDGE_FAULTS")

var full = faults == "full"

// long is a time of the full form, and what the short one makes of it.
func long(d time.Duration) time.Duration {
	if full {
		return d
	}
	return min(d, 2*time.Second)
}

// times is a number of the full form, and what the short one makes of it.
func times(n int) int {
	if full {
		return n
	}
	return max(n/100, 4)
}

// TestFaultKill: killed at any moment, again and again, while the peer comes and
// goes, it has what it acknowledged.
func TestFaultKill(t *testing.T) { withEach(t, faultOfKills) }

func faultOfKills(t *testing.T, to *labUpload) {
	l := newLab(t, to)
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
	o := l.settle()
	l.nothingAside()
	l.onlyFailed(noAnswer, "503")
	report(t, to.row+faultKill, fmt.Sprintf("%d times", kills), o, "—")
}

// TestFaultChain: a bridge between two, restarted again and again.
func TestFaultChain(t *testing.T) {
	lower := newLab(t, toCoScale)
	lower.start()
	t.Cleanup(lower.end)
	upper := newLab(t, toCoScale)
	upper.peer.away()
	upper.peer = lower.peer // where all must arrive at last
	upper.configure(lower.address)
	upper.begin()
	restarts := min(times(500), 50)
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
	upper.nothingAside()
	lower.nothingAside()
	upper.onlyFailed()
	report(t, faultChain, fmt.Sprintf("%d times", restarts), o, "—")
}

// TestFaultOutputs: 20 scripts, and nobody reads what the bridge writes.
func TestFaultOutputs(t *testing.T) {
	l := newLab(t, toCoScale)
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
	blocked := long(time.Minute)
	l.during(blocked)
	if full { // a short time's lines fit the buffer
		dropped, _ := l.metric(`scriptbridge_log_dropped_total{stream="events"}`)
		suppressed, _ := l.metric(`scriptbridge_log_suppressed_total{stream="events"}`)
		if dropped+suppressed == 0 { // as many as each source may have can fit, too
			t.Error("no line was left out")
		}
	}
	l.awaitLoad(10)
	o := l.settle()
	l.onlyFailed()
	if o.late > time.Second {
		t.Errorf("a turn was late by %v", o.late)
	}
	report(t, faultOutputs, seconds(blocked), o, fmt.Sprintf("`scriptbridge_log_dropped_total`, `scriptbridge_log_suppressed_total`; the latest turn of %d scripts was %.1f s late", labScripts, o.late.Seconds()))
}

// fillPipe leaves no room for another byte.
func fillPipe(t *testing.T, w *os.File) {
	t.Helper()
	if err := w.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 4096); ; {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

// TestFaultClock: the wall clock is set while the bridge runs; no turn is
// skipped for it, and nothing is lost.
func TestFaultClock(t *testing.T) {
	binary := clockProgram(t)
	withEach(t, func(t *testing.T, to *labUpload) { faultOfClock(t, to, binary) })
}

func faultOfClock(t *testing.T, to *labUpload, binary string) {
	l := newLab(t, to)
	l.binary = binary
	offset := write(t, l.dir, "offset", "0")
	l.env = []string{"SCRIPTBRIDGE_TEST_CLOCK=" + offset}
	l.begin()
	l.awaitLoad(10)
	l.forgetTurns()
	each := long(10 * time.Second)
	for _, step := range []time.Duration{6 * time.Hour, 0, -6 * time.Hour, 400 * 24 * time.Hour, 0} {
		set := write(t, l.dir, "offset.new", fmt.Sprint(int64(step/time.Second)))
		if err := os.Rename(set, offset); err != nil {
			t.Fatal(err)
		}
		l.bridge.signal(syscall.SIGHUP)
		l.awaitLoad(5)
		l.during(each)
	}
	o := l.settle()
	l.onlyFailed("401") // sessions end in 400 days
	if o.late > 3*time.Second {
		t.Errorf("a turn was late by %v", o.late)
	}
	report(t, to.row+faultClock, seconds(each)+" each", o, fmt.Sprintf("the latest turn of %d scripts was %.1f s late", labScripts, o.late.Seconds()))
}
