//go:build linux || windows

package peer

import (
	"errors"
	"net"
	"testing"

	"scriptbridge/internal/testkit"
)

// We are at the other end of what we connect; a client that has closed its end is
// nobody, and least of all root.
func TestOf(t *testing.T) {
	for _, c := range []struct{ listen, dial string }{
		{"127.0.0.1:0", "127.0.0.1"},
		{"[::1]:0", "::1"},
		{"[::]:0", "127.0.0.1"}, // the list of IPv4 has the client's end, that of IPv6 ours
		{"[::]:0", "::1"},
	} {
		t.Run(c.listen+" by "+c.dial, func(t *testing.T) {
			if testkit.Wine() && c.dial == "::1" {
				t.Skip("Wine 8 does not tell which process has a socket of IPv6")
			}
			l, err := net.Listen("tcp", c.listen)
			if err != nil {
				t.Skipf("cannot listen: %v", err)
			}
			defer l.Close()
			_, port, _ := net.SplitHostPort(l.Addr().String())
			client, err := net.Dial("tcp", net.JoinHostPort(c.dial, port))
			if err != nil {
				t.Fatal(err)
			}
			s, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if user, err := Of(s); err != nil || !user.Own || user.Name == "" {
				t.Errorf("open: %+v, %v", user, err)
			}
			if err := client.Close(); err != nil {
				t.Fatal(err)
			}
			if user, err := Of(s); !errors.Is(err, ErrUnknown) {
				t.Errorf("closed: %+v, %v", user, err)
			}
		})
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if user, err := Of(a); !errors.Is(err, ErrUnknown) {
		t.Errorf("no socket: %+v, %v", user, err)
	}
}
