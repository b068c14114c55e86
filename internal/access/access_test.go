package access

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-kit/log"

	"scriptbridge/internal/testkit"
)

// bound is a listener that has nothing but its address.
type bound struct {
	net.Listener
	addr net.Addr
}

func (b bound) Addr() net.Addr { return b.addr }

const (
	foreignPage = "a page of another site asked for this in a browser"
)

// foreignName is what is told to who asks by another name.
var foreignName = "this address answers requests for localhost, 127.0.0.1 and [::1]; --web.allowed-host and " + HostsFile() + " can give it other names"

// A request has an effect if no browser sends it for a page of somebody else's; on
// a loopback listener it must also name this machine.
func TestGuard(t *testing.T) {
	hosts := filepath.Join(t.TempDir(), "hosts")
	text := "127.0.0.1\tlocalhost\n# 127.0.0.1 commented.example\n192.0.2.1 elsewhere.example\n0.0.0.0 nowhere.example\n" +
		"127.0.1.1 Vm.example vm\t# the machine\n::1 six.example\n127.0.0.1\n"
	if err := os.WriteFile(hosts, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	guard, err := NewGuard([]string{"scriptbridge.local", "Shop.Example."}, nil, log.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	guard.hostsFile = hosts
	tcp := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip)} }
	loopback := []net.Addr{tcp("127.0.0.1"), tcp("127.9.9.9"), tcp("::1"), &net.UnixAddr{Name: "/run/sb", Net: "unix"}}
	reachable := []net.Addr{tcp("0.0.0.0"), tcp("::"), tcp("192.0.2.7"), nil}
	for _, c := range []struct {
		host      string
		header    string // name: value
		loopback  string
		reachable string
	}{
		{host: "localhost:10469"},
		{host: "LOCALHOST.:10469"},
		{host: "127.0.0.1"},
		{host: "[::1]:10469"},
		{host: "[::ffff:127.0.0.1]:1"},
		{host: "scriptbridge.local:10469"},
		{host: "ScriptBridge.Local."},
		{host: "shop.example"},
		{host: "vm:10469"},
		{host: "VM.example"},
		{host: "six.example"},
		{host: "evil.example", loopback: foreignName},
		{host: "evil.example:10469", header: "Sec-Fetch-Site: same-origin", loopback: foreignName},
		{host: "evil.example:10469", header: "Origin: http://evil.example:10469", loopback: foreignName},
		{host: "localhost.evil.example", loopback: foreignName},
		{host: "127.0.0.1.nip.io", loopback: foreignName},
		{host: "scriptbridge.local.evil.example", loopback: foreignName},
		{host: "a.scriptbridge.local", loopback: foreignName},
		{host: "commented.example", loopback: foreignName},
		{host: "elsewhere.example", loopback: foreignName},
		{host: "nowhere.example", loopback: foreignName},
		{host: "0.0.0.0:10469", loopback: foreignName},
		{host: "192.0.2.7:10469", loopback: foreignName},
		{host: "", loopback: foreignName},
		{host: ":10469", loopback: foreignName},
		{host: "localhost", header: "Sec-Fetch-Site: none"},
		{host: "localhost", header: "Sec-Fetch-Site: same-origin"},
		{host: "localhost:10469", header: "Origin: http://localhost:10469"},
		{host: "localhost", header: "Sec-Fetch-Site: cross-site", loopback: foreignPage, reachable: foreignPage},
		{host: "localhost", header: "Sec-Fetch-Site: same-site", loopback: foreignPage, reachable: foreignPage},
		{host: "localhost:10469", header: "Origin: http://localhost:3000", loopback: foreignPage, reachable: foreignPage},
		{host: "localhost", header: "Origin: null", loopback: foreignPage, reachable: foreignPage},
		{host: "localhost", header: "Origin: http://evil.example", loopback: foreignPage, reachable: foreignPage},
		{host: "localhost", header: "Origin: %zz", loopback: foreignPage, reachable: foreignPage},
		{host: "mon.example", header: "Origin: http://evil.example", loopback: foreignPage, reachable: foreignPage},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			r := httptest.NewRequest(method, "/", nil)
			r.Host = c.host
			if name, value, ok := strings.Cut(c.header, ": "); ok {
				r.Header.Set(name, value)
			}
			for i, addr := range append(loopback, reachable...) {
				want := c.loopback
				if i >= len(loopback) {
					want = c.reachable
				}
				at := r
				if addr != nil {
					at = r.WithContext(BaseContext(bound{addr: addr}))
				}
				if got := guard.Refused(at); got != want {
					t.Errorf("%s %q %s at %v: %q, want %q", method, c.host, c.header, addr, got, want)
				}
			}
		}
	}
}

// By the address that the operator has given to those behind a proxy the guard is asked
// as by one of its own, and a page from there is no foreign one.
func TestGuardExternal(t *testing.T) {
	external := func(text string) *url.URL {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	at := BaseContext(bound{addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}})
	for _, c := range []struct{ external, host, header, want string }{
		{"https://Mon.example/sb", "mon.example", "", ""},
		{"https://mon.example/sb", "mon.example:443", "Origin: https://mon.example", ""},
		{"https://mon.example/sb", "127.0.0.1:10469", "Origin: https://mon.example", ""},
		{"https://mon.example:443/sb", "127.0.0.1:10469", "Origin: https://MON.example", ""},
		{"http://mon.example:8080", "localhost", "Origin: http://mon.example:8080", ""},
		{"https://mon.example/sb", "127.0.0.1:10469", "Origin: http://mon.example", foreignPage},
		{"https://mon.example/sb", "127.0.0.1:10469", "Origin: https://mon.example:8443", foreignPage},
		{"https://mon.example/sb", "127.0.0.1:10469", "Origin: https://a.mon.example", foreignPage},
		{"https://mon.example/sb", "127.0.0.1:10469", "Origin: null", foreignPage},
		{"https://mon.example/sb", "mon.example", "Sec-Fetch-Site: cross-site", foreignPage},
		{"https://mon.example/sb", "mon.example.evil", "", foreignName},
		{"/sb", "mon.example", "", foreignName},
		{"/sb", "localhost", "Origin: null", foreignPage},
		{"/sb", "localhost", "Origin: http://", foreignPage},
	} {
		guard, err := NewGuard(nil, external(c.external), log.NewNopLogger())
		if err != nil {
			t.Fatal(err)
		}
		guard.hostsFile = ""
		r := httptest.NewRequest("POST", "/", nil).WithContext(at)
		r.Host = c.host
		if name, value, ok := strings.Cut(c.header, ": "); ok {
			r.Header.Set(name, value)
		}
		if got := guard.Refused(r); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// Who has logged in may use any name: a page that had its name lead here has no
// password. It is the server that knows who has.
func TestGuardLogin(t *testing.T) {
	at := BaseContext(bound{addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}})
	r := httptest.NewRequest("POST", "/", nil)
	r.SetBasicAuth("ann", "x")
	var none *Guard
	if got := none.Refused(r.WithContext(at)); got != foreignName {
		t.Errorf("where nobody logs in: %q", got)
	}
	r = r.WithContext(WithLogin(at, func(r *http.Request) bool { _, _, ok := r.BasicAuth(); return ok }))
	if got := none.Refused(r); got != "" {
		t.Errorf("with a login: %q", got)
	}
	r.Header.Set("Origin", "http://evil.example")
	if got := none.Refused(r); got != foreignPage {
		t.Errorf("a login that a browser has kept: %q", got)
	}
}

// What is refused is told, each host once in a while.
func TestGuardTells(t *testing.T) {
	var said testkit.Buffer
	guard, err := NewGuard(nil, nil, log.NewLogfmtLogger(&said))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "/", nil).WithContext(BaseContext(bound{addr: &net.UnixAddr{}}))
	r.Host = "evil.example"
	for range 3 {
		w := httptest.NewRecorder()
		guard.Handler(func(http.ResponseWriter, *http.Request) { t.Error("it came through") })(w, r)
		if w.Code != http.StatusForbidden || w.Body.String() != foreignName+"\n" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	if want := `level=warn msg="a request was refused: ` + strings.ReplaceAll(foreignName, `\`, `\\`) + ` (host \"evil.example\")"` + "\n"; said.String() != want {
		t.Errorf("log: %s", said.String())
	}
	for _, bad := range []string{"", "http://shop.example", "shop.example:80", "*.example", "a b"} {
		if _, err := NewGuard([]string{bad}, nil, nil); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// A TLS listener gives the address of the one beneath it.
func TestBaseContextTLS(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := httptest.NewRequest("GET", "/", nil)
	if !ByLoopback(r.WithContext(BaseContext(tls.NewListener(l, nil)))) {
		t.Error("it is not known to be a loopback listener")
	}
}
