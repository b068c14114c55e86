package e2e

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"scriptbridge/coscale/server"
	"scriptbridge/record"
)

// peer is the other end of an upload: this project's own half of CoScale's API,
// which notes what it was given and can be made to misbehave.
type peer struct {
	address string
	api     *server.Handler
	server  *http.Server
	served  sync.WaitGroup

	// fault, where there is one, is what answers instead of the API. It is given
	// the API for what it lets through.
	fault atomic.Pointer[fault]

	mu     sync.Mutex
	points map[string]int // how often each arrived
	events map[string]int
}

type fault func(w http.ResponseWriter, r *http.Request, api http.Handler)

func newPeer(t *testing.T) *peer {
	t.Helper()
	p := &peer{points: make(map[string]int), events: make(map[string]int)}
	api, err := server.NewHandler(server.HandlerOptions{
		AppID: "shop", Tokens: []string{"open-sesame"}, Folder: t.TempDir(), TTL: time.Hour,
		Source: &record.Source{Kind: record.Receiver, Name: "coscale"}, Sink: p,
	})
	if err != nil {
		t.Fatal(err)
	}
	p.api = api
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.address = l.Addr().String()
	p.serve(l)
	t.Cleanup(func() {
		p.server.Close()
		p.served.Wait()
		api.Close()
	})
	return p
}

func (p *peer) serve(l net.Listener) {
	p.server = &http.Server{Handler: p}
	server := p.server
	p.served.Go(func() { server.Serve(l) })
}

// away ends the peer; back begins it again at the same address.
func (p *peer) away() { p.server.Close() }

func (p *peer) back(t *testing.T) {
	t.Helper()
	var l net.Listener
	eventually(t, "the peer's address to be free", func() (err error) {
		l, err = net.Listen("tcp", p.address)
		return err
	})
	p.serve(l)
}

func (p *peer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f := p.fault.Load(); f != nil {
		(*f)(w, r, p.api)
		return
	}
	p.api.ServeHTTP(w, r)
}

// misbehave puts a fault in the API's place; nil: it is honest again.
func (p *peer) misbehave(f fault) {
	if f == nil {
		p.fault.Store(nil)
		return
	}
	p.fault.Store(&f)
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
	chmod(t, write(t, dir, "token", "open-sesame\n"), 0o600)
}

func refusedFile(storage string) string { return filepath.Join(storage, "uploads", "coscale.refused") }
