package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/go-kit/log"
	toolkit "github.com/prometheus/exporter-toolkit/web"

	"scriptbridge/internal/connlimit"
	"scriptbridge/internal/testkit"
)

// short is a listener of a system that is short of something.
type short struct {
	net.Listener
	errs []error
}

func (l *short) Accept() (net.Conn, error) {
	if len(l.errs) > 0 {
		err := l.errs[0]
		l.errs = l.errs[1:]
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: err}
	}
	return l.Listener.Accept()
}

func webFlags(addresses ...string) *toolkit.FlagConfig {
	return &toolkit.FlagConfig{WebListenAddresses: &addresses, WebSystemdSocket: new(bool), WebConfigFile: new(string)}
}

// A system that is short of memory for a moment ends no web port, and with it the
// program: it is told of, and who comes then is answered.
func TestWebPortOutlasts(t *testing.T) {
	var said testkit.Buffer
	logger := log.NewLogfmtLogger(&said)
	listeners, err := listen(webFlags("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	address := listeners[0].Addr().String()
	listeners[0] = &short{listeners[0], []error{syscall.ENOBUFS, syscall.ENOMEM, syscall.EMFILE}}
	limiter := connlimit.New(10)
	server, _ := newServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "here") }), nil, limiter, logger)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(bounded(outlasting(listeners, logger), limiter)[0]) }()
	answer, err := http.Get("http://" + address)
	if err != nil {
		t.Fatalf("%v; the server ended with %v", err, <-ended)
	}
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); err != nil || string(text) != "here" {
		t.Errorf("%q, %v", text, err)
	}
	server.Close()
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	for _, want := range []string{
		`level=error listener=web msg="the system keeps the listener from taking what comes; it is tried again" err="accept tcp: no buffer space available"`,
		`level=info listener=web msg="the listener takes what comes again"`,
	} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("the log has no %s:\n%s", want, said.String())
		}
	}
}

// Listening fails as a whole: what was opened before is closed.
func TestWebPortTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free := testkit.FreeAddress()
	for _, second := range []string{taken.Addr().String(), "vsock://:x"} {
		if _, err := listen(webFlags(free, second)); err == nil {
			t.Fatalf("%s was opened", second)
		}
		again, err := net.Listen("tcp", free)
		if err != nil {
			t.Fatal(err)
		}
		again.Close()
	}
}
