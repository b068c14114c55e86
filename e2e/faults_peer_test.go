package e2e

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"scriptbridge/coscale/server"
	"scriptbridge/record"
)

// peerFaults are the ways in which a peer is not the API, or not well. Each
// lasts for the time that is given, a minute where none is.
type peerFault struct {
	name  string
	fault fault  // nil: there is no peer
	told  string // what an error line has; empty: it is not known to be a fault
	lasts time.Duration
	// written is what an error line of remote write has; no: there it is not tried, or no
	// fault that passes.
	written string
}

const no = "no"

var peerFaults = []peerFault{
	{name: "404 with a page", written: "404", fault: html(http.StatusNotFound), told: "404"},
	{name: "403 with a page", written: "403", fault: html(http.StatusForbidden), told: "403"},
	{name: "413 with a page", written: no, fault: html(http.StatusRequestEntityTooLarge), told: "413"},
	{name: "400 with a page", written: no, fault: html(http.StatusBadRequest), told: "400"},
	{name: "502 with a page", written: "502", fault: html(http.StatusBadGateway), told: "502"},
	{name: "200 with a page", written: "HTML page", fault: html(http.StatusOK), told: "<html>"},
	{name: "200 with nothing", written: "does not say how much it has written", fault: answering(http.StatusOK, "application/json", ""), told: "empty"},
	{name: "200 with other JSON", written: no, fault: answering(http.StatusOK, "application/json", `{"status":"ok"}`), told: "status"},
	{name: "a redirect to a login page", written: "redirects to a page", fault: redirecting, told: "login.example.org"},
	{
		name: "404 in the API's own form, for everything", written: no, told: "There is no receiver here",
		fault: answering(http.StatusNotFound, "application/json", `{"msg":"There is no receiver here."}`),
	},
	{name: "429 with Retry-After", told: "429", written: "429", fault: func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "slow down", http.StatusTooManyRequests)
	}},
	{name: "connections that are cut after the work is done", written: "connection reset", fault: deaf, told: "connection reset"},
	{name: "no answer", fault: silent, told: "Client.Timeout exceeded", written: "deadline exceeded", lasts: 2 * time.Minute},
	{name: "answers after 2 s", fault: slow(2 * time.Second)},
	{name: "gone", written: "connection refused", told: "connection refused"},
}

// TestFaultPeer: a peer that is not the API, or not well, for a minute: nothing
// is lost, nothing is set aside, and it is told.
func TestFaultPeer(t *testing.T) {
	for _, c := range peerFaults {
		for _, to := range []*labUpload{toCoScale, toRemoteWrite} {
			if to == toCoScale || c.written != no {
				t.Run(to.row+c.name, func(t *testing.T) {
					t.Parallel()
					c.try(t, to)
				})
			}
		}
	}
}

func (c *peerFault) try(t *testing.T, to *labUpload) {
	t.Helper()
	l := newLab(t, to)
	lasts, why := c.lasts, c.told
	if to == toRemoteWrite {
		why, lasts = c.written, min(lasts, time.Minute) // a request takes 5 s here, not a minute
	}
	if lasts == 0 {
		lasts = time.Minute
	} else if !full {
		t.Skip("it lasts for longer than the short form: make faults")
	}
	l.begin()
	l.awaitLoad(10)
	l.awaitSent()
	if c.fault != nil {
		l.peer.misbehave(c.fault)
	} else {
		l.peer.away()
	}
	told := "—"
	if lasts > time.Minute { // which is a request's time
		l.during(time.Minute)
	}
	if why != "" {
		l.down(why, long(lasts))
		told = toldDown
	} else {
		l.during(long(lasts))
	}
	l.awaitLoad(10)
	if c.fault != nil {
		l.peer.misbehave(nil)
	} else {
		l.peer.back(t)
	}
	o := l.settle()
	l.well()
	l.nothingAside()
	l.onlyFailed()
	report(t, to.peerRow(c.name), seconds(long(lasts)), o, told)
}

// front is where a peer is reached: it can go away, and be made to misbehave.
type front struct {
	address string
	api     http.Handler
	server  *http.Server
	served  sync.WaitGroup

	// fault, where there is one, is what answers instead of the API. It is given
	// the API for what it lets through.
	fault atomic.Pointer[fault]
}

type fault func(w http.ResponseWriter, r *http.Request, api http.Handler)

// open begins to serve at an address of its own, until the test ends.
func (f *front) open(t testing.TB, api http.Handler) {
	t.Helper()
	f.api = api
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.address = l.Addr().String()
	f.serve(l)
	t.Cleanup(func() {
		f.server.Close()
		f.served.Wait()
	})
}

func (f *front) serve(l net.Listener) {
	f.server = &http.Server{Handler: f}
	server := f.server
	f.served.Go(func() { server.Serve(l) })
}

// away ends the peer; back begins it again at the same address.
func (f *front) away() { f.server.Close() }

func (f *front) back(t *testing.T) {
	t.Helper()
	var l net.Listener
	eventually(t, "the peer's address to be free", func() (err error) {
		l, err = net.Listen("tcp", f.address)
		return err
	})
	f.serve(l)
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if fault := f.fault.Load(); fault != nil {
		(*fault)(w, r, f.api)
		return
	}
	f.api.ServeHTTP(w, r)
}

func (f *front) at() string { return f.address }

// misbehave puts a fault in the API's place; nil: it is honest again.
func (f *front) misbehave(fault fault) {
	if fault == nil {
		f.fault.Store(nil)
		return
	}
	f.fault.Store(&fault)
}

// peer is the other end of CoScale's upload: this project's own half of the API, which
// notes what it was given.
type peer struct {
	front
	mu     sync.Mutex
	points map[string]int // how often each arrived
	events map[string]int
}

func newPeer(t *testing.T) *peer {
	t.Helper()
	p := &peer{points: make(map[string]int), events: make(map[string]int)}
	api, err := server.NewHandler(server.HandlerOptions{
		AppID: "shop", Tokens: []string{"open-sesame-open-sesame"}, Folder: t.TempDir(), TTL: time.Hour,
		Source: &record.Source{Kind: record.Receiver, Name: "coscale"}, Sink: p,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { api.Close() }) // when nobody is served any more
	p.open(t, api)
	return p
}

// Put is the record.Sink of the API's half.
func (p *peer) Put(b *record.Batch) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range b.Samples {
		p.points[pointKey(s.Name, s.Value, s.Time.Unix())]++
	}
	for _, e := range b.Events {
		p.events[e.Message]++
	}
	return nil
}

// missing are those of some points and events that have not arrived.
func (p *peer) missing(wanted map[string]bool) (missing []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key := range wanted {
		if p.points[key]+p.events[key] == 0 {
			missing = append(missing, key)
		}
	}
	return missing
}

// repeated are the events that arrived more than once; a point that does is no
// other point for it.
func (p *peer) repeated() (repeated []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for e, n := range p.events {
		if n > 1 {
			repeated = append(repeated, e)
		}
	}
	return repeated
}

func pointKey(metric string, value float64, at int64) string {
	return fmt.Sprintf("%s %v %d", metric, value, at)
}

// answering gives a page as a proxy or a login form gives it.
func answering(status int, contentType, body string) fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

const proxyPage = "<html><head><title>%d</title></head><body><h1>%s</h1><hr>nginx</body></html>"

func html(status int) fault {
	return answering(status, "text/html", fmt.Sprintf(proxyPage, status, http.StatusText(status)))
}

// redirecting sends everybody to a login page.
func redirecting(w http.ResponseWriter, r *http.Request, _ http.Handler) {
	http.Redirect(w, r, "https://login.example.org/?back="+r.URL.Path, http.StatusFound)
}

// silent takes a request and never answers.
func silent(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() }

// deaf does what it is asked, and breaks the connection instead of answering.
func deaf(w http.ResponseWriter, r *http.Request, api http.Handler) {
	api.ServeHTTP(discarded{w}, r)
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
}

// discarded is an answer that nobody gets.
type discarded struct{ http.ResponseWriter }

func (discarded) Header() http.Header         { return make(http.Header) }
func (discarded) Write(b []byte) (int, error) { return len(b), nil }
func (discarded) WriteHeader(int)             {}

// holding takes requests, and answers honestly once it is opened.
func holding(open <-chan struct{}) fault {
	return func(w http.ResponseWriter, r *http.Request, api http.Handler) {
		select {
		case <-open:
			api.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}
}

// slow answers honestly after a while.
func slow(d time.Duration) fault {
	return func(w http.ResponseWriter, r *http.Request, api http.Handler) {
		select {
		case <-time.After(d):
			api.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}
}

// secretFile writes the token that all in a lab share.
func secretFile(t *testing.T, dir string) {
	t.Helper()
	chmod(t, write(t, dir, "token", "open-sesame-open-sesame\n"), 0o600)
}
