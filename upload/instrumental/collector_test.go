package instrumental

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"scriptbridge/internal/testkit"
)

// peer is a collector of our own: it answers the two lines of the greeting and
// nothing else.
type peer struct {
	listener net.Listener
	token    string

	mu          sync.Mutex
	hello       string
	lines       []string
	breakAt     int // after so many lines in a connection it breaks off; 0: never
	breaks      int // how often it does; 0: always
	connections int
	served      sync.WaitGroup
}

func newPeer(t *testing.T, config *tls.Config) *peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if config != nil {
		l = tls.NewListener(l, config)
	}
	p := &peer{listener: l, token: "0123456789abcdef"}
	p.served.Go(p.serve)
	t.Cleanup(func() { l.Close(); p.served.Wait() })
	return p
}

func (p *peer) serve() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.served.Go(func() { p.talk(conn) })
	}
}

func (p *peer) talk(conn net.Conn) {
	defer conn.Close()
	p.mu.Lock()
	p.connections++
	p.mu.Unlock()
	in := bufio.NewScanner(conn)
	for i := 0; in.Scan(); i++ {
		line := in.Text()
		p.mu.Lock()
		switch {
		case i == 0:
			p.hello = line
			fmt.Fprint(conn, "ok\n")
		case i == 1 && line != "authenticate "+p.token:
			fmt.Fprint(conn, "gtfo\n")
			p.mu.Unlock()
			return
		case i == 1:
			fmt.Fprint(conn, "o")
			fmt.Fprint(conn, "k\n")
		default:
			p.lines = append(p.lines, line)
			if p.breakAt > 0 && i-1 >= p.breakAt {
				if p.breaks--; p.breaks == 0 {
					p.breakAt = 0
				}
				p.mu.Unlock()
				if c, ok := conn.(*net.TCPConn); ok {
					_ = c.SetLinger(0) // as a process that dies: a reset, not an end
				}
				return
			}
		}
		p.mu.Unlock()
	}
}

func (p *peer) got() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.lines...)
}

func (p *peer) collector() *collectorClient {
	return &collectorClient{
		Address: p.listener.Addr().String(), Host: "web 01", Version: "1.2",
		Key: func() (string, error) { return "0123456789abcdef", nil },
	}
}

// Send is SendText of lines.
func (c *collectorClient) Send(ctx context.Context, lines []string) error {
	return c.SendText(ctx, func(write func([]byte) error) error {
		for _, l := range lines {
			if err := write([]byte(l + "\n")); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestSend(t *testing.T) {
	p := newPeer(t, nil)
	lines := []string{"gauge web.load 1 1500000000 1", "notice 1500000000 0 x"}
	if err := p.collector().Send(context.Background(), lines); err != nil {
		t.Fatal(err)
	}
	// Send returned after the peer had ended the connection: it has them all.
	if got := p.got(); strings.Join(got, "\n") != strings.Join(lines, "\n") {
		t.Errorf("it has %q", got)
	}
	if !strings.HasPrefix(p.hello, "hello version go/scriptbridge/1.2 hostname web_01 pid ") {
		t.Errorf("it was greeted with %q", p.hello)
	}
}

func TestSendOverTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS() // for its certificate alone
	defer server.Close()
	p := newPeer(t, &tls.Config{Certificates: server.TLS.Certificates})
	c := p.collector()
	c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if err := c.Send(context.Background(), nil); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate of nobody gave %v", err)
	}
	c.TLS.RootCAs = x509.NewCertPool()
	c.TLS.RootCAs.AddCert(server.Certificate())
	if err := c.Send(context.Background(), []string{"gauge a 1 2 1"}); err != nil {
		t.Fatal(err)
	}
	if got := p.got(); len(got) != 1 {
		t.Errorf("it has %q", got)
	}
}

func TestSendRefused(t *testing.T) {
	p := newPeer(t, nil)
	c := p.collector()
	c.Key = func() (string, error) { return "secret-and-wrong", nil }
	err := c.Send(context.Background(), []string{"gauge a 1 2 1"})
	var refused *refusedError
	if !errors.As(err, &refused) || *refused != (refusedError{"authenticate", "gtfo"}) || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
	c.Key = func() (string, error) { return "two words", nil }
	if err := c.Send(context.Background(), nil); err == nil || strings.Contains(err.Error(), "two words") {
		t.Errorf("got %v", err)
	}
	if got := p.got(); len(got) != 0 {
		t.Errorf("it has %q", got)
	}
}

// TestSendBroken: whoever breaks off may not have read what was sent.
func TestSendBroken(t *testing.T) {
	p := newPeer(t, nil)
	p.breakAt = 1
	lines := make([]string, 10_000)
	for i := range lines {
		lines[i] = fmt.Sprintf("gauge web.load %d 1500000000 1", i)
	}
	if err := p.collector().Send(context.Background(), lines); err == nil {
		t.Error("a connection that was reset is a success")
	}
}

// TestSendBelieves: lines are said when the collector has answered the greeting
// in its own words and has ended the connection after us, and in no other case.
func TestSendBelieves(t *testing.T) {
	const kept = "the collector may not have had the lines, all are kept: "
	say := func(text string) func(net.Conn, <-chan struct{}) {
		return func(conn net.Conn, _ <-chan struct{}) { fmt.Fprint(conn, text); _, _ = io.Copy(io.Discard, conn) }
	}
	half := func(text string) func(net.Conn, <-chan struct{}) {
		return func(conn net.Conn, _ <-chan struct{}) {
			fmt.Fprint(conn, text)
			conn.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, conn) // else the connection is reset
		}
	}
	for name, c := range map[string]struct {
		talk func(conn net.Conn, over <-chan struct{})
		want string
	}{
		"reads nothing":        {func(conn net.Conn, over <-chan struct{}) { fmt.Fprint(conn, "ok\nok\n"); <-over }, kept + "it has not ended the connection 50ms after us"},
		"never ends":           {func(conn net.Conn, over <-chan struct{}) { say("ok\nok\n")(conn, nil); <-over }, kept + "it has not ended the connection 50ms after us"},
		"goes on with ok":      {say("ok\nok\n" + strings.Repeat("ok\n", mostAnswers)), kept + "it goes on saying ok"},
		"some more ok":         {say("ok\r\nok\nok\nok\n"), ""},
		"says an error":        {say("ok\nok\nerror: rate limit\n"), kept + `it said "error: rate limit"`},
		"says something large": {say("ok\nok\n" + strings.Repeat("x", 8192)), kept + `it said "` + strings.Repeat("x", 100) + `"`},
		"half a word":          {say("ok\nok\no"), kept + `it broke off after "o": EOF`},
		"half an ok":           {half("ok\no"), `waiting for the collector's answer to authenticate: it broke off after "o": EOF`},
		"OK":                   {say("OK\n"), `the collector answered "OK" to hello`},
		"ok and a blank":       {say("ok \n"), `the collector answered "ok " to hello`},
		"ok and two CR":        {say("ok\r\r\n"), `the collector answered "ok\r" to hello`},
		"a web server":         {say("HTTP/1.1 400 Bad Request\r\n\r\n"), `the collector answered "HTTP/1.1 400 Bad Request" to hello`},
		"the key, repeated":    {say("ok\nunknown key S3cr+et/tok== here\n"), `the collector answered "unknown key <secret> here" to authenticate`},
		"the key in a URL":     {say("ok\nsee ?key=S3cr%2bet%2Ftok%3d%3D\n"), `the collector answered "see ?key=<secret>" to authenticate`},
		"the key, late":        {say("ok\nok\nthat was S3cr+et/tok==\n"), kept + `it said "that was <secret>"`},
		"half a line of it":    {half("ok\nS3cr+et/tok=="), `waiting for the collector's answer to authenticate: it broke off after "<secret>": EOF`},
		"an endless word":      {say(strings.Repeat("ok", 4096)), `the collector answered "` + strings.Repeat("ok", 50) + `" to hello`},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			over := make(chan struct{})
			defer close(over)
			go func() {
				conn, err := l.Accept()
				if err == nil {
					c.talk(conn, over)
					conn.Close()
				}
			}()
			collector := &collectorClient{Address: l.Addr().String(), Key: func() (string, error) { return "S3cr+et/tok==", nil }, endTimeout: 50 * time.Millisecond}
			if c.want == "" {
				collector.endTimeout = 0
			}
			err = collector.Send(t.Context(), []string{"gauge a 1 2 1"})
			if got := fmt.Sprint(err); got != c.want && (err != nil || c.want != "") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestSendEndedEarly: an end that was made before ours is no answer to it, and so
// the lines are kept, whenever it comes to be seen.
func TestSendEndedEarly(t *testing.T) {
	line := func(in *bufio.Scanner, n int) {
		for range n {
			in.Scan()
		}
	}
	for name, talk := range map[string]func(conn *net.TCPConn, in *bufio.Scanner){
		"with the greeting": func(conn *net.TCPConn, _ *bufio.Scanner) { fmt.Fprint(conn, "ok\nok\n"); conn.CloseWrite() },
		"before the lines": func(conn *net.TCPConn, in *bufio.Scanner) {
			line(in, 2)
			fmt.Fprint(conn, "ok\nok\n")
			conn.CloseWrite()
		},
		"amid the lines": func(conn *net.TCPConn, in *bufio.Scanner) {
			line(in, 2)
			fmt.Fprint(conn, "ok\nok\n")
			line(in, 1)
			conn.CloseWrite()
		},
		"after the lines": func(conn *net.TCPConn, in *bufio.Scanner) {
			line(in, 2)
			fmt.Fprint(conn, "ok\nok\n")
			line(in, 3)
			conn.CloseWrite()
		},
		"and says ok once more": func(conn *net.TCPConn, in *bufio.Scanner) {
			line(in, 2)
			fmt.Fprint(conn, "ok\nok\nok\n")
			line(in, 1)
			conn.CloseWrite()
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			for range 5 {
				over := make(chan struct{})
				go func() {
					conn, err := l.Accept()
					if err == nil {
						talk(conn.(*net.TCPConn), bufio.NewScanner(conn))
						<-over
						conn.Close()
					}
				}()
				collector := &collectorClient{Address: l.Addr().String(), Key: func() (string, error) { return "k", nil }}
				err := collector.Send(t.Context(), []string{"gauge a 1 2 1", "gauge a 2 3 1", "gauge a 3 4 1"})
				close(over)
				if got := fmt.Sprint(err); got != "the collector may not have had the lines, all are kept: it ended the connection before all was said" {
					t.Fatalf("got %v", err)
				}
			}
		})
	}
}

// TestSendReset: TLS's own end counts only where no reset of the connection
// follows, which says that something was not read.
func TestSendReset(t *testing.T) {
	if testkit.Wine() {
		t.Skip("Wine 8 ends a connection in order before it resets it")
	}
	for _, linger := range []int{0, -1} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		other, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if err := other.(*net.TCPConn).SetLinger(linger); err != nil {
			t.Fatal(err)
		}
		other.Close()
		if err := resetAfter(tls.Client(conn, &tls.Config{MinVersion: tls.VersionTLS12})); (err == nil) != (linger != 0) {
			t.Errorf("with linger %d: %v", linger, err)
		}
	}
}

func TestSendCancelled(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // and nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := &collectorClient{Address: l.Addr().String(), Key: func() (string, error) { return "k", nil }}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if err := c.Send(ctx, nil); err == nil || time.Since(begun) > replyTimeout {
		t.Errorf("got %v after %v", err, time.Since(begun))
	}
}
