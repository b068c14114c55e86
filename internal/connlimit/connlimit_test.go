package connlimit

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"scriptbridge/internal/testkit"
)

// serve starts a server with room for a few connections. What is asked at /wait is
// answered when release is closed.
func serve(t *testing.T, places int, secure bool) (s *httptest.Server, l *Limiter, release chan struct{}) {
	t.Helper()
	release = make(chan struct{})
	l = New(places)
	s = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-release
		}
		io.WriteString(w, "here")
	}))
	s.Listener = l.Listener(s.Listener)
	l.Serve(s.Config)
	if secure {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s, l, release
}

func get(t *testing.T, s *httptest.Server, path string) string {
	t.Helper()
	answer, err := s.Client().Get(s.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// However many connections say nothing, or little, or nothing more, the next request is
// answered, and no more are open than may be.
func TestIdleConnectionsGiveWay(t *testing.T) {
	for name, first := range map[string]string{
		"silent":                  "",
		"half a request":          "GET / HTTP/1.1\r\nHost: a\r\nX: ",
		"after a request":         "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"another one is begun":    "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HT",
		"none that is understood": "\x16\x03\x01",
	} {
		for _, secure := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				s, l, _ := serve(t, 5, secure)
				for range 40 {
					var c net.Conn
					c, err := net.Dial("tcp", s.Listener.Addr().String())
					if err != nil {
						t.Fatal(err)
					}
					defer c.Close()
					if secure && first != "\x16\x03\x01" && first != "" {
						c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
					}
					io.WriteString(c, first)
					if strings.Contains(first, "\r\n\r\n") {
						if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
							t.Fatal(err)
						}
					}
				}
				s.Client().CloseIdleConnections()
				if text := get(t, s, "/"); text != "here" {
					t.Errorf("answered %q", text)
				}
				l.mu.Lock()
				defer l.mu.Unlock()
				if l.open() > 5 || l.idle.Len() > l.open() {
					t.Errorf("%d are open, %d of them idle", l.open(), l.idle.Len())
				}
			})
		}
	}
}

// A connection whose request is answered is left alone; where all are, the next waits until
// one has ended, or until the listener is closed.
func TestBusyConnectionsStay(t *testing.T) {
	s, l, release := serve(t, 3, false)
	answers := make(chan string, 3)
	var waiting sync.WaitGroup
	for range 3 {
		answer, err := http.DefaultTransport.(*http.Transport).Clone().RoundTrip(httptestRequest(s.URL + "/wait"))
		if err != nil {
			t.Fatal(err)
		}
		waiting.Go(func() {
			defer answer.Body.Close()
			text, err := io.ReadAll(answer.Body)
			answers <- string(text) + errorText(err)
		})
	}
	next := make(chan string)
	go func() { next <- get(t, s, "/") }()
	testkit.Await(t, "all places to be taken", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.open() == 3 && l.idle.Len() == 0
	})
	close(release)
	waiting.Wait()
	for range 3 {
		if text := <-answers; text != "here" {
			t.Errorf("one that was answered got %q", text)
		}
	}
	if text := <-next; text != "here" {
		t.Errorf("the next one got %q", text)
	}

	from, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	none := New(0).Listener(from)
	ended := make(chan error)
	go func() {
		_, err := none.Accept()
		ended <- err
	}()
	c, err := net.Dial("tcp", from.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	none.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after the end: %v", err)
	}
}

// Where all are busy, and one is for long, that one gives way: the oldest first, and no
// more than are needed.
func TestLongBusyGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const places = 3
		l, from := New(places), make(testkit.PipeListener)
		cut := make(chan string, 2*places)
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/" {
				<-r.Context().Done()
				cut <- r.URL.Path
			}
		})}
		l.Serve(server)
		go server.Serve(l.Listener(from))
		defer server.Close()
		ask := func(path string) net.Conn {
			client, theirs := net.Pipe()
			from <- theirs
			go io.WriteString(client, "GET "+path+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			return client
		}
		for i := range places {
			defer ask(fmt.Sprintf("/%d", i)).Close()
			time.Sleep(time.Second)
		}
		for i, want := range []time.Duration{busyTime - places*time.Second, time.Second, 0} {
			if i == 1 {
				defer ask("/more").Close() // takes the place of the first
				synctest.Wait()
			}
			begin := time.Now()
			c := ask("/")
			answer, err := io.ReadAll(c)
			if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200 OK\r\n") || time.Since(begin) != want {
				t.Errorf("request %d: %q, %v after %s, want %s", i, answer, err, time.Since(begin), want)
			}
			synctest.Wait()
		}
		if n := len(cut); n != 2 {
			t.Fatalf("%d are cut short", n)
		}
		if first, second := <-cut, <-cut; first != "/0" || second != "/1" {
			t.Errorf("%s and %s are cut short", first, second)
		}
	})
}

func httptestRequest(url string) *http.Request {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		panic(err)
	}
	return r
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return " " + err.Error()
}

// A storm of clients that come and go leaves nothing counted.
func TestNothingIsLeft(t *testing.T) {
	s, l, _ := serve(t, 4, false)
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			for range 10 {
				c, err := net.Dial("tcp", s.Listener.Addr().String())
				if err != nil {
					t.Error(err)
					return
				}
				if i%2 == 0 {
					io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
					_, _ = io.Copy(io.Discard, c) // it may have given way
				}
				c.Close()
			}
		})
	}
	all.Wait()
	testkit.Await(t, "nothing to be open", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.open() == 0 && l.idle.Len() == 0
	})
}

func TestMost(t *testing.T) {
	if n := Most(); n < 1 || n > most {
		t.Errorf("%d", n)
	}
}

// A connection that came through no listener of the limiter's is served, and counts
// nothing.
func TestOtherListener(t *testing.T) {
	l := New(1)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "here") }))
	l.Serve(s.Config)
	s.Start()
	defer s.Close()
	if text := get(t, s, "/"); text != "here" || l.open() != 0 {
		t.Errorf("answered %q, %d are open", text, l.open())
	}
}
