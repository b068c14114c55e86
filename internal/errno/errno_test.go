package errno

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"

	"scriptbridge/internal/testkit"
)

// What the system gives is known by its meaning, wherever it runs.
func TestIs(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, taken := net.Listen("tcp", l.Addr().String())
	_, refused := net.Dial("tcp", testkit.FreeAddress())
	_, elsewhere := net.Listen("tcp", "192.0.2.1:0")
	_, missing := os.Open("nosuch")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	_, gone := w.Write([]byte("x"))
	w.Close()
	for _, c := range []struct {
		err  error
		want syscall.Errno
	}{
		{taken, syscall.EADDRINUSE}, {refused, syscall.ECONNREFUSED}, {elsewhere, syscall.EADDRNOTAVAIL}, {missing, syscall.ENOENT}, {gone, syscall.EPIPE},
	} {
		if !Is(c.err, c.want) || !Is(fmt.Errorf("it is: %w", c.err), syscall.ENOSPC, c.want) {
			t.Errorf("%v (%#v) is not %v", c.err, errors.Unwrap(c.err), c.want)
		}
		if Is(c.err, syscall.ENOSPC, syscall.EXDEV) {
			t.Errorf("%v is another one", c.err)
		}
	}
	if Is(nil, syscall.EPIPE) || Is(net.ErrClosed, syscall.EPIPE) || Is(taken) {
		t.Error("what is none is one")
	}
}
