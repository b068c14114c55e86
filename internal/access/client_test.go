package access

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"testing"

	"scriptbridge/internal/peer"
)

func TestClient(t *testing.T) {
	for _, c := range []struct {
		remote string
		uid    int // -1: unknown
		passed []string
		want   string
	}{
		{"192.0.2.7:1234", 5, nil, "192.0.2.7"},
		{"192.0.2.7:1234", 5, []string{"198.51.100.1"}, "192.0.2.7"}, // anybody can say so
		{"[::ffff:192.0.2.7]:1", 5, nil, "192.0.2.7"},
		{"[2001:db8:1:2:3:4:5:6]:1", -1, nil, "2001:db8:1:2::/64"},
		{"[2001:db8:1:2::9]:1", -1, nil, "2001:db8:1:2::/64"},
		{"[fe80::1%eth0]:1", -1, nil, "fe80::/64"},
		{"127.0.0.1:1", 1000, nil, "uid 1000"},
		{"[::1]:1", 1000, nil, "uid 1000"},
		{"127.9.9.9:1", -1, nil, "this machine"},
		{"@", 33, nil, "uid 33"},
		{"", -1, nil, "this machine"},
		{"127.0.0.1:1", 33, []string{"198.51.100.1"}, "uid 33 for 198.51.100.1"},
		{"127.0.0.1:1", 33, []string{"10.0.0.1, 198.51.100.1"}, "uid 33 for 198.51.100.1"},
		{"127.0.0.1:1", 33, []string{"10.0.0.1", "203.0.113.5 , [2001:db8::5]:443"}, "uid 33 for 2001:db8::/64"},
		{"@", 33, []string{"[2001:db8::5]"}, "uid 33 for 2001:db8::/64"},
		{"127.0.0.1:1", 33, []string{"unknown"}, "uid 33"},
	} {
		r := httptest.NewRequest("POST", "/", nil)
		r.RemoteAddr = c.remote
		r = r.WithContext(WithPeer(r.Context(), func() (peer.User, error) {
			if c.uid < 0 {
				return peer.User{}, errors.New("unknown")
			}
			return peer.User{Name: fmt.Sprint("uid ", c.uid)}, nil
		}))
		for _, line := range c.passed {
			r.Header.Add("X-Forwarded-For", line)
		}
		if got := Client(r); got != c.want {
			t.Errorf("%s, uid %d, for %q: %q, want %q", c.remote, c.uid, c.passed, got, c.want)
		}
	}
	if got := Client(httptest.NewRequest("POST", "/", nil)); got != "192.0.2.1" {
		t.Errorf("without ConnContext: %q", got)
	}
}
