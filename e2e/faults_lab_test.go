package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// lab is a bridge under load that uploads to a peer, and what it has
// acknowledged. Its scripts and clients go on through every fault.
type lab struct {
	t       *testing.T
	dir     string
	storage string
	binary  string
	peer    *peer
	address string // of the bridge, which keeps it over restarts
	stdout  *os.File
	env     []string
	flags   []string

	bridge  *process
	bridges []*process // all that were started

	client http.Client
	stop   context.CancelFunc
	load   sync.WaitGroup

	mu     sync.Mutex
	points map[string]bool // acknowledged
	events map[string]bool
	failed atomic.Int64 // requests that were not acknowledged
}

const (
	labScripts = 20
	labClients = 4
)

// newLab makes a lab whose bridge is not started yet.
func newLab(t *testing.T) *lab {
	t.Helper()
	if faults == "" {
		t.Skip("make faults runs it, or SCRIPTBRIDGE_FAULTS=short")
	}
	dir := t.TempDir()
	l := &lab{
		t: t, dir: dir, storage: filepath.Join(dir, "store"), binary: program, peer: newPeer(t), address: freeAddress(t),
		points: make(map[string]bool), events: make(map[string]bool),
		client: http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
	}
	secretFile(t, dir)
	write(t, dir, "s.sh", `#!/bin/sh
case $1 in
-c) echo '{"metrics": [{"id": 1, "name": "Beat", "unit": "", "datatype": "GAUGE"}], "events": [{"id": 1, "name": "Turn", "attributes": []}]}' ;;
-d) date +%s.%N >>"$2"; echo 'M1 1'; echo "E1 0 0 \"$2 $(date +%s%N) `+strings.Repeat("x", 1000)+`\" \"{}\" S" ;;
esac
`)
	l.configure("")
	return l
}

// configure writes the bridge's configuration, with more at its end.
func (l *lab) configure(more string) {
	var config strings.Builder
	config.WriteString("scripts:\n")
	for i := range labScripts {
		fmt.Fprintf(&config, "  - {name: s%d, command: ./turn%d.sh, interval: 1s}\n", i, i)
		write(l.t, l.dir, fmt.Sprintf("turn%d.sh", i), fmt.Sprintf("#!/bin/sh\nexec ./s.sh \"$1\" turns%d\n", i))
	}
	fmt.Fprintf(&config, `receive:
  coscale: {app_id: shop, access_tokens_file: token}
upload:
  coscale: {url: "http://%s", app_id: shop, access_token_file: token, server: web-1, interval: 1s, name_suffix: ""}
%s`, l.peer.address, more)
	write(l.t, l.dir, "lab.yml", config.String())
}

// begin starts the bridge and the clients.
func (l *lab) begin() {
	l.t.Helper()
	l.start()
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
	args := append([]string{"--config.file=lab.yml", "--web.listen-address=" + l.address, "--storage.path=" + l.storage}, l.flags...)
	p := &process{t: l.t, cmd: exec.Command(l.binary, args...), done: make(chan struct{})}
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

// push is one client: it sends points, and now and then an event, one after the
// other, each again and again until it is acknowledged. A point's time is its
// own, so that none takes the place of another.
func (l *lab) push(ctx context.Context, client int) {
	c := &apiClient{lab: l, metric: fmt.Sprintf("load %d", client)}
	at := time.Now().Unix() - 20_000
	for n := 1; ctx.Err() == nil; n++ {
		value, when := float64(n), at+int64(n)
		l.repeat(ctx, func() error { return c.point(ctx, value, when) })
		if ctx.Err() != nil {
			return
		}
		l.mu.Lock()
		l.points[pointKey(c.metric, value, when)] = true
		l.mu.Unlock()
		if n%20 == 0 {
			text := fmt.Sprintf("event %d of client %d", n, client)
			l.repeat(ctx, func() error { return c.event(ctx, text, when) })
			if ctx.Err() != nil {
				return
			}
			l.mu.Lock()
			l.events[text] = true
			l.mu.Unlock()
		}
		pause(ctx, 5*time.Millisecond)
	}
}

// repeat tries until there is no error.
func (l *lab) repeat(ctx context.Context, send func() error) {
	for send() != nil && ctx.Err() == nil {
		l.failed.Add(1)
		pause(ctx, 50*time.Millisecond)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// apiClient is a client of CoScale's API, such as the vendor's own: it logs in,
// makes what it needs, and takes a 200 for an acknowledgement.
type apiClient struct {
	*lab
	metric             string
	token              string
	metricID, category int64
}

// errAgain asks for another try.
var errAgain = errors.New("not acknowledged")

func (c *apiClient) ask(ctx context.Context, path string, form url.Values, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.address+"/api/v1/app/shop/"+path, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("HTTPAuthorization", c.token)
	resp, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusConflict:
	case http.StatusUnauthorized:
		c.token = ""
		return errAgain
	case http.StatusNotFound: // its ids are of a folder that is gone
		c.metricID, c.category = 0, 0
		return errAgain
	default:
		return errAgain
	}
	return json.Unmarshal(body, into)
}

// ready logs in and makes the metric and the category.
func (c *apiClient) ready(ctx context.Context) error {
	if c.token == "" {
		var answer struct{ Token string }
		if err := c.ask(ctx, "login/", url.Values{"accessToken": {"open-sesame"}}, &answer); err != nil {
			return err
		}
		c.token = answer.Token
	}
	if c.metricID == 0 {
		var answer struct{ ID int64 }
		if err := c.ask(ctx, "metrics/", url.Values{"name": {c.metric}, "description": {""}, "dataType": {"DOUBLE"},
			"period": {"60"}, "unit": {""}, "subject": {"APPLICATION"}, "source": {"CLI"}}, &answer); err != nil {
			return err
		}
		c.metricID = answer.ID
	}
	if c.category == 0 {
		var answer struct{ ID int64 }
		if err := c.ask(ctx, "events/", url.Values{"name": {"Lab"}, "description": {""}, "attributeDescriptions": {"[]"}, "source": {"CLI"}, "icon": {""}, "type": {""}}, &answer); err != nil {
			return err
		}
		c.category = answer.ID
	}
	return nil
}

func (c *apiClient) point(ctx context.Context, value float64, at int64) error {
	if err := c.ready(ctx); err != nil {
		return err
	}
	data := fmt.Sprintf(`[{"m":%d,"s":"a","d":[[%d,%v]]}]`, c.metricID, at, value)
	var answer struct{ Msg string }
	if err := c.ask(ctx, "data/", url.Values{"data": {data}}, &answer); err != nil {
		return err
	}
	if !strings.HasPrefix(answer.Msg, "1 point") {
		c.metricID = 0
		return errAgain
	}
	return nil
}

func (c *apiClient) event(ctx context.Context, text string, at int64) error {
	if err := c.ready(ctx); err != nil {
		return err
	}
	var answer json.RawMessage
	return c.ask(ctx, fmt.Sprintf("events/%d/data/", c.category), url.Values{"message": {text}, "timestamp": {fmt.Sprint(at)},
		"stopTime": {fmt.Sprint(at + 1)}, "subject": {"a"}, "attribute": {"{}"}}, &answer)
}

// outcome is what came of a fault.
type outcome struct {
	points, events int // acknowledged
	lost, twice    int
	failed         int64 // requests that were not acknowledged
	latest         time.Duration
}

// settle ends the load, waits until nothing waits any more, and compares.
func (l *lab) settle() outcome {
	l.t.Helper()
	l.stop()
	l.load.Wait()
	l.mu.Lock()
	points, events := maps.Clone(l.points), maps.Clone(l.events)
	l.mu.Unlock()
	missing := func() (n int, example string) {
		l.peer.mu.Lock()
		defer l.peer.mu.Unlock()
		for p := range points {
			if l.peer.points[p] == 0 {
				n, example = n+1, p
			}
		}
		for e := range events {
			if l.peer.events[e] == 0 {
				n, example = n+1, e
			}
		}
		return n, example
	}
	o := outcome{points: len(points), events: len(events), failed: l.failed.Load()}
	var example string
	for deadline := time.Now().Add(2 * patience); ; {
		if o.lost, example = missing(); o.lost == 0 || time.Now().After(deadline) {
			break
		}
		<-time.After(50 * time.Millisecond)
	}
	if o.lost > 0 {
		l.t.Errorf("%d acknowledged points and events have not arrived, such as %q; the log:\n%s", o.lost, example, tail(l.log(), 4000))
	}
	l.peer.mu.Lock()
	for e := range events {
		if l.peer.events[e] > 1 {
			o.twice++
		}
	}
	l.peer.mu.Unlock()
	if o.twice > 0 {
		l.t.Errorf("%d events arrived more than once", o.twice)
	}
	o.latest = l.longestGap()
	return o
}

// longestGap is the longest time between two turns of one script.
func (l *lab) longestGap() (longest time.Duration) {
	for i := range labScripts {
		text, _ := os.ReadFile(filepath.Join(l.dir, fmt.Sprintf("turns%d", i)))
		before := 0.0
		for line := range strings.Lines(string(text)) {
			var at float64
			if _, err := fmt.Sscan(line, &at); err != nil {
				continue
			}
			if before > 0 {
				longest = max(longest, time.Duration((at-before)*float64(time.Second)))
			}
			before = at
		}
	}
	return longest
}

// forgetTurns begins the count of longestGap anew.
func (l *lab) forgetTurns() {
	for i := range labScripts {
		os.Remove(filepath.Join(l.dir, fmt.Sprintf("turns%d", i)))
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

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// smallDisk mounts a disk of so many bytes for the lab's storage folder.
func (l *lab) smallDisk(size string) {
	l.t.Helper()
	if err := os.Mkdir(l.storage, 0o700); err != nil {
		l.t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", l.storage, "tmpfs", 0, "mode=700,size="+size); err != nil {
		if errors.Is(err, syscall.EPERM) && os.Getenv("SCRIPTBRIDGE_E2E") != "required" {
			l.t.Skip("only root may mount a disk")
		}
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { syscall.Unmount(l.storage, syscall.MNT_DETACH) })
}
