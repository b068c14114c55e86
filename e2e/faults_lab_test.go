package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"scriptbridge/internal/testkit"
)

// lab is a bridge under load that uploads to a peer, and what it has
// acknowledged. Its scripts and clients go on through every fault.
type lab struct {
	t       *testing.T
	dir     string
	storage string
	binary  string
	upload  *labUpload
	peer    labPeer
	address string // of the bridge, which keeps it over restarts
	stdout  *os.File
	env     []string

	bridge  *process
	bridges []*process // all that were started

	client http.Client
	stop   context.CancelFunc
	load   sync.WaitGroup

	mu     sync.Mutex
	points map[string]bool // acknowledged
	events map[string]bool
	failed map[string]int // requests that were not, by the answer
	// doubtful are those points and events that the fault may have cost.
	doubtful map[string]bool
	since    time.Time // what longestGap looks at
}

const (
	labScripts = 20
	labClients = 4
)

// labUpload is an upload that the faults are tried with.
type labUpload struct {
	name string
	row  string // what its rows of the table begin with
	peer func(t *testing.T) labPeer
	// config is its section, with the address of the peer.
	config string
}

// labPeer is the other end of it.
type labPeer interface {
	at() string
	misbehave(fault)
	away()
	back(*testing.T)
	// missing are those of some points and events that have not arrived, and repeated the
	// events that arrived more than once, where that is not the same as once.
	missing(wanted map[string]bool) []string
	repeated() []string
}

var (
	toCoScale = &labUpload{
		name: "coscale", peer: func(t *testing.T) labPeer { return newPeer(t) },
		config: `coscale: {url: "http://%s", app_id: shop, access_token_file: token, server: web-1, interval: 1s, name_suffix: ""}`,
	}
	toRemoteWrite = &labUpload{
		name: "remote_write", row: "remote write: ", peer: func(t *testing.T) labPeer { return newLabWritePeer(t) },
		config: `remote_write: [{url: "http://%s/api/v1/write", remote_timeout: 5s, external_labels: {instance: web-1}}]`,
	}
)

// withEach tries a fault with each upload.
func withEach(t *testing.T, try func(t *testing.T, to *labUpload)) {
	for _, to := range []*labUpload{toCoScale, toRemoteWrite} {
		t.Run(to.name, func(t *testing.T) { try(t, to) })
	}
}

// newLab makes a lab whose bridge is not started yet.
func newLab(t *testing.T, to *labUpload) *lab {
	t.Helper()
	if faults == "" {
		t.Skip("make faults runs it, or SCRIPTBRIDGE_FAULTS=short")
	}
	dir := t.TempDir()
	l := &lab{
		t: t, dir: dir, storage: filepath.Join(dir, "store"), binary: program, upload: to, peer: to.peer(t), address: testkit.FreeAddress(),
		points: make(map[string]bool), events: make(map[string]bool), failed: make(map[string]int), doubtful: make(map[string]bool),
		client: http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
	}
	secretFile(t, dir)
	write(t, dir, "s.sh", `#!/bin/sh
case $1 in
-c) echo '{"metrics": [{"id": 1, "name": "Beat", "unit": "", "datatype": "GAUGE"}], "events": [{"id": 1, "name": "Turn", "attributes": []}]}' ;;
-d) date +%s%N >>"$2"; echo 'M1 1'; echo "E1 0 0 \"$2 $(date +%s%N) `+strings.Repeat("x", 1000)+`\" \"{}\" S" ;;
esac
`)
	l.configure(l.peer.at())
	return l
}

// configure writes the bridge's configuration, with the address that it uploads
// to.
func (l *lab) configure(upload string) {
	var config strings.Builder
	config.WriteString("scripts:\n")
	for i := range labScripts {
		fmt.Fprintf(&config, "  - {name: s%d, command: ./turn%d.sh, interval: %v}\n", i, i, labInterval)
		write(l.t, l.dir, fmt.Sprintf("turn%d.sh", i), fmt.Sprintf("#!/bin/sh\nexec ./s.sh \"$1\" turns%d\n", i))
	}
	fmt.Fprintf(&config, `receive:
  coscale: {app_id: shop, access_tokens_file: token}
upload:
  %s
`, fmt.Sprintf(l.upload.config, upload))
	write(l.t, l.dir, "lab.yml", config.String())
}

// begin starts the bridge and, once it takes what they send, the clients.
func (l *lab) begin() {
	l.t.Helper()
	l.start()
	l.awaitMetric(`scriptbridge_receiver_up{receiver="coscale"}`, 1)
	l.since = time.Now()
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	for i := range labClients {
		l.load.Go(func() { l.push(ctx, i) })
	}
	l.t.Cleanup(func() {
		stop()
		l.load.Wait()
		l.end()
	})
}

// start starts the bridge, at the address it always has.
func (l *lab) start() {
	l.t.Helper()
	if err := l.try(); err != nil {
		l.t.Fatal(err)
	}
}

// try starts the bridge and waits until it listens, or has ended.
func (l *lab) try() error {
	p := &process{t: l.t, done: make(chan struct{})}
	p.cmd = exec.Command(l.binary, "--config.file=lab.yml", "--web.listen-address="+l.address, "--storage.path="+l.storage)
	p.cmd.Dir = l.dir
	p.cmd.Env = append(append(os.Environ(), "E2E_MARK="+l.dir), l.env...)
	p.cmd.Stderr, p.cmd.Stdout = p, nil // events go nowhere
	if l.stdout != nil {
		p.cmd.Stdout = l.stdout
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	l.bridge, l.bridges = p, append(l.bridges, p)
	for deadline := time.Now().Add(patience); ; {
		select {
		case <-p.done:
			return fmt.Errorf("the bridge ended: %v\n%s", p.err, p.text())
		case <-time.After(10 * time.Millisecond):
		}
		if strings.Contains(p.text(), `msg="Listening on"`) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the bridge does not listen:\n%s", p.text())
		}
	}
}

// end ends the bridge as a service manager does.
func (l *lab) end() { l.bridge.stop() }

// kill ends the bridge as a power cut does.
func (l *lab) kill() {
	l.bridge.cmd.Process.Kill()
	<-l.bridge.done
}

// log is all that its bridges have said so far.
func (l *lab) log() string {
	var text strings.Builder
	for _, p := range l.bridges {
		text.WriteString(p.text())
	}
	return text.String()
}

// outcome is what came of a fault.
type outcome struct {
	acknowledged int // points and events
	lost, twice  int
	late         time.Duration // how much later than due the latest turn was
}

// settle ends the load, waits until nothing waits any more, and compares. What
// is doubtful may be lost, nothing else.
func (l *lab) settle() outcome {
	l.t.Helper()
	o := outcome{late: l.longestGap() - labInterval}
	l.stop()
	l.load.Wait()
	l.mu.Lock()
	wanted := maps.Clone(l.points)
	maps.Copy(wanted, l.events)
	o.acknowledged = len(wanted)
	for key := range l.doubtful {
		delete(wanted, key)
	}
	l.mu.Unlock()
	missing := l.peer.missing(wanted)
	// After a minute without the API it is asked again once in a minute or so, and
	// then a minute of events has to go, one after the other, while scripts go on.
	for progress := time.Now(); len(missing) > 0 && time.Since(progress) < 2*patience; {
		<-time.After(50 * time.Millisecond)
		if now := l.peer.missing(wanted); len(now) < len(missing) {
			missing, progress = now, time.Now()
		}
	}
	if len(missing) > 0 {
		l.t.Errorf("%d acknowledged points and events have not arrived, such as %q; the log:\n%s", len(missing), missing[0], tail(l.log(), 4000))
	}
	if len(l.doubtful) > 0 { // these may still wait, too: their times are long past, unlike those of scripts
		eventually(l.t, "what waits to be no older than 1000 s", func() error {
			if age, ok := l.metric(l.figure("oldest_age_seconds")); !ok || age >= 1000 {
				return fmt.Errorf("it is %v (%v)", age, ok)
			}
			return nil
		})
	}
	o.lost = len(missing) + len(l.peer.missing(l.doubtful))
	for _, e := range l.peer.repeated() {
		o.twice++
		l.t.Errorf("it arrived more than once: %.100q", e)
	}
	return o
}

// labInterval is that of the lab's scripts.
const labInterval = time.Second

// longestGap is the longest time between two turns of one script, since the
// count began and until now.
func (l *lab) longestGap() (longest time.Duration) {
	now := time.Now()
	for i := range labScripts {
		text, _ := os.ReadFile(filepath.Join(l.dir, fmt.Sprintf("turns%d", i)))
		before := l.since
		for line := range strings.Lines(string(text)) {
			var nanoseconds int64
			if _, err := fmt.Sscan(line, &nanoseconds); err != nil {
				continue
			}
			at := time.Unix(0, nanoseconds)
			longest = max(longest, at.Sub(before))
			before = at
		}
		longest = max(longest, now.Sub(before))
	}
	return longest
}

// forgetTurns begins the count of longestGap anew.
func (l *lab) forgetTurns() {
	for i := range labScripts {
		os.Remove(filepath.Join(l.dir, fmt.Sprintf("turns%d", i)))
	}
	l.since = time.Now()
}

// mayLose says that all that was acknowledged so far may be lost: the fault took
// it away, and it is told.
func (l *lab) mayLose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.Copy(l.doubtful, l.points)
	maps.Copy(l.doubtful, l.events)
}

// onlyFailed fails the test where a request got another answer than these.
func (l *lab) onlyFailed(answers ...string) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for answer, n := range l.failed {
		if !slices.Contains(answers, answer) {
			l.t.Errorf("%d requests: %s", n, answer)
		}
	}
}

// metric is a series' value on the bridge's page, and whether it is there.
func (l *lab) metric(series string) (v float64, ok bool) {
	text, err := get("http://" + l.address + "/metrics")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(text) {
		if rest, found := strings.CutPrefix(line, series+" "); found {
			_, err := fmt.Sscan(rest, &v)
			return v, err == nil
		}
	}
	return 0, false
}

// figure is the name of a series of the upload.
func (l *lab) figure(of string) string {
	return fmt.Sprintf("scriptbridge_upload_%s{upload=%q}", of, l.upload.name)
}

// awaitMetric waits until a series has a value.
func (l *lab) awaitMetric(series string, want float64) {
	l.t.Helper()
	eventually(l.t, fmt.Sprintf("%s = %v", series, want), func() error {
		if v, ok := l.metric(series); !ok || v != want {
			return fmt.Errorf("it is %v (%v); the log:\n%s", v, ok, tail(l.log(), 2000))
		}
		return nil
	})
}

// awaitSent waits until the peer has taken something: until then an upload is up, too.
func (l *lab) awaitSent() {
	l.t.Helper()
	eventually(l.t, "something is sent", func() error {
		if sent, _ := l.metric(l.figure("sent_total")); sent == 0 {
			return errors.New("nothing has been sent")
		}
		return nil
	})
}

// during lets the load go on for a while.
func (l *lab) during(d time.Duration) {
	select {
	case <-l.bridge.done:
		l.t.Fatalf("the bridge has ended: %v\n%s", l.bridge.err, tail(l.bridge.text(), 4000))
	case <-time.After(d):
	}
}

// acknowledged is how many points were acknowledged so far.
func (l *lab) acknowledged() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.points)
}

// awaitLoad waits until more points have been acknowledged.
func (l *lab) awaitLoad(n int) {
	l.t.Helper()
	from := l.acknowledged()
	eventually(l.t, fmt.Sprintf("%d more points to be acknowledged", n), func() error {
		if now := l.acknowledged(); now < from+n {
			return fmt.Errorf("%d were; the log:\n%s", now-from, tail(l.log(), 2000))
		}
		return nil
	})
}

// tail is the end of a log, or the beginning of how a process died.
func tail(text string, n int) string {
	for _, death := range []string{"fatal error: ", "panic: ", "SIGSEGV: "} {
		if i := strings.Index(text, death); i >= 0 {
			return text[i:min(len(text), i+n)]
		}
	}
	if len(text) > n {
		return "…" + text[len(text)-n:]
	}
	return text
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// awaitFailures waits until so many requests more were not acknowledged.
func (l *lab) awaitFailures(n int) {
	l.t.Helper()
	failures := func() (n int) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, of := range l.failed {
			n += of
		}
		return n
	}
	from := failures()
	eventually(l.t, "requests that are not acknowledged", func() error {
		if now := failures(); now < from+n {
			return fmt.Errorf("%d of %d; the log:\n%s", now-from, n, tail(l.log(), 2000))
		}
		return nil
	})
}

// down waits until the upload says that it fails, and why, and sees that it goes
// on saying so.
func (l *lab) down(why string, d time.Duration) {
	l.t.Helper()
	l.awaitMetric(l.figure("up"), 0)
	for end := time.Now().Add(d); time.Now().Before(end); {
		l.during(200 * time.Millisecond)
		if v, ok := l.metric(l.figure("up")); !ok || v != 0 {
			l.t.Fatalf("it says that all is well (%v, %v):\n%s", v, ok, tail(l.log(), 2000))
		}
	}
	if why == "" {
		panic("what is an error line to say?")
	}
	if told := errorLines(l.log()); !strings.Contains(told, why) {
		l.t.Errorf("no error line has %q:\n%s", why, tail(told, 3000))
	}
}

// well waits until the upload says that all is well again. A pass that has much to
// catch up says so at its end.
func (l *lab) well() {
	l.t.Helper()
	sent := 0.0
	for progress := time.Now(); time.Since(progress) < patience; {
		if v, ok := l.metric(l.figure("up")); ok && v == 1 {
			return
		}
		if now, ok := l.metric(l.figure("sent_total")); ok && now > sent {
			sent, progress = now, time.Now()
		}
		l.during(100 * time.Millisecond)
	}
	l.t.Errorf("it says that something fails still; the log:\n%s", tail(l.log(), 2000))
}

func errorLines(log string) string {
	var b strings.Builder
	for line := range strings.Lines(log) {
		if strings.Contains(line, "level=error") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// nothingAside sees that nothing was refused for good.
func (l *lab) nothingAside() {
	l.t.Helper()
	if text, err := os.ReadFile(l.spool() + ".refused"); err == nil {
		l.t.Errorf("something was set aside:\n%s", tail(string(text), 1000))
	}
	if refused, ok := l.metric(l.figure("refused_total")); !ok || refused != 0 {
		l.t.Errorf("%v were refused for good (%v)", refused, ok)
	}
}
