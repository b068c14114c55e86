package socket

import (
	"context"
	"net"
	"syscall"
	"testing"

	"scriptbridge/internal/errno"
)

// Nobody else listens where one of these does, also by another name of the address, and
// when it has ended everybody may.
func TestListen(t *testing.T) {
	type closer interface{ Close() error }
	for network, listen := range map[string]func(address string) (closer, net.Addr, error){
		"tcp": func(address string) (closer, net.Addr, error) {
			l, err := Listen(t.Context(), "tcp", address)
			if err != nil {
				return nil, nil, err
			}
			return l, l.Addr(), nil
		},
		"udp": func(address string) (closer, net.Addr, error) {
			c, err := ListenUDP(t.Context(), address)
			if err != nil {
				return nil, nil, err
			}
			return c, c.LocalAddr(), nil
		},
	} {
		t.Run(network, func(t *testing.T) {
			first, at, err := listen("0.0.0.0:0")
			if err != nil {
				t.Fatal(err)
			}
			_, port, _ := net.SplitHostPort(at.String())
			for _, host := range []string{"127.0.0.1", "0.0.0.0"} {
				if second, _, err := listen(net.JoinHostPort(host, port)); !errno.Is(err, syscall.EADDRINUSE, syscall.EACCES) {
					t.Errorf("%s: %v", host, err)
					if err == nil {
						second.Close()
					}
				}
			}
			if err := first.Close(); err != nil {
				t.Error(err)
			}
			second, _, err := listen(net.JoinHostPort("127.0.0.1", port))
			if err != nil {
				t.Fatal(err)
			}
			second.Close()
		})
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Listen(ended, "tcp", "nosuch.invalid:0"); err == nil {
		t.Error("it listens nowhere")
	}
}
