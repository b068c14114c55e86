package web

import (
	"cmp"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	toolkit "github.com/prometheus/exporter-toolkit/web"

	"github.com/go-kit/log"

	"scriptbridge/internal/access"
	"scriptbridge/internal/peer"
)

func TestPrivate(t *testing.T) {
	users := filepath.Join(t.TempDir(), "web.yml")
	write(t, users, "basic_auth_users:\n  ann: $2y$05$secret\n")
	nobody := filepath.Join(t.TempDir(), "nobody.yml")
	write(t, nobody, "tls_server_config: {}\nbasic_auth_users: {}\n")
	broken := filepath.Join(t.TempDir(), "broken.yml")
	write(t, broken, "basic_auth_users: [ann]\n")

	const (
		reachable = "this page is served on an address that other machines can reach, and no users are configured"
		proxied   = "a proxy passed this request on, so it may come from another machine"
		named     = "this page was asked for by a name other than localhost"
		embedded  = "a page of another site asked for this in a browser"
		foreign   = "another user of this machine asked for this page, and no users are configured"
	)
	tcp := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 10469} }
	for _, c := range []struct {
		name     string
		listener net.Addr
		host     string
		header   string // names, or names and values
		file     string
		user     string
		want     string
		who      peer.User // none: ourselves
		err      error     // of looking for it
		old      bool      // it speaks HTTP/1.0
	}{
		{name: "loopback by name", listener: tcp("127.0.0.1"), host: "localhost:10469"},
		{name: "capitals and the final dot", listener: tcp("127.0.0.1"), host: "LocalHost.:10469"},
		{name: "loopback by number", listener: tcp("127.0.0.1"), host: "127.0.0.1:10469"},
		{name: "all of 127/8", listener: tcp("127.9.9.9"), host: "127.9.9.9"},
		{name: "version 6", listener: tcp("::1"), host: "[::1]:10469"},
		{name: "version 6 without port", listener: tcp("::1"), host: "[::1]"},
		{name: "4 in 6", listener: tcp("127.0.0.1"), host: "[::ffff:127.0.0.1]:10469"},
		{name: "unix socket", listener: &net.UnixAddr{Name: "/run/sb.sock", Net: "unix"}, host: "localhost"},
		{name: "rebinding", listener: tcp("127.0.0.1"), host: "evil.example:10469", want: named},
		{name: "a name that begins well", listener: tcp("127.0.0.1"), host: "localhost.evil.example", want: named},
		{name: "a number that begins well", listener: tcp("127.0.0.1"), host: "127.0.0.1.evil.example", want: named},
		{name: "no host", listener: tcp("127.0.0.1"), host: "", want: named},
		{name: "rebinding at a unix socket", listener: &net.UnixAddr{}, host: "evil.example", want: named},
		{name: "proxied", listener: tcp("127.0.0.1"), host: "localhost", header: "X-Forwarded-For", want: proxied},
		{name: "proxied by the standard", listener: tcp("127.0.0.1"), host: "localhost", header: "Forwarded", want: proxied},
		{name: "proxied, by its scheme alone", listener: tcp("127.0.0.1"), host: "localhost", header: "X-Forwarded-Proto", want: proxied},
		{name: "proxied by Cloudflare", listener: tcp("127.0.0.1"), host: "localhost", header: "CF-Connecting-IP", want: proxied},
		{name: "proxied by others", listener: tcp("127.0.0.1"), host: "localhost", header: "True-Client-IP", want: proxied},
		{name: "HTTP/1.0, as a bare proxy_pass", listener: tcp("127.0.0.1"), host: "localhost", old: true, want: proxied},
		{name: "our own user", listener: tcp("127.0.0.1"), host: "localhost", who: ourselves},
		{name: "another user, or a proxy's", listener: tcp("127.0.0.1"), host: "localhost", who: another, want: foreign},
		{name: "another user at a unix socket", listener: &net.UnixAddr{Net: "unix"}, host: "localhost", who: another, want: foreign},
		{name: "nobody knows who", listener: tcp("127.0.0.1"), host: "localhost", err: peer.ErrUnknown, want: foreign},
		{name: "the system does not tell", listener: tcp("127.0.0.1"), host: "localhost", err: peer.ErrUnsupported},
		{name: "another user, who has logged in", listener: tcp("127.0.0.1"), host: "localhost", who: another, file: users, user: "ann"},
		{name: "a link on another site", listener: tcp("127.0.0.1"), host: "localhost", header: "Sec-Fetch-Site: cross-site, Sec-Fetch-Dest: document"},
		{name: "our own page", listener: tcp("127.0.0.1"), host: "localhost", header: "Sec-Fetch-Site: same-origin, Sec-Fetch-Dest: empty"},
		{name: "an address that was typed", listener: tcp("127.0.0.1"), host: "localhost", header: "Sec-Fetch-Site: none, Sec-Fetch-Dest: document"},
		{name: "a picture of another site", listener: tcp("127.0.0.1"), host: "localhost", header: "Sec-Fetch-Site: cross-site, Sec-Fetch-Dest: image", want: embedded},
		{name: "a frame of another port", listener: tcp("127.0.0.1"), host: "localhost", header: "Sec-Fetch-Site: same-site, Sec-Fetch-Dest: iframe", want: embedded},
		{name: "a script of another site, for a user", listener: tcp("0.0.0.0"), host: "web-1.example", header: "Sec-Fetch-Site: cross-site, Sec-Fetch-Dest: empty", file: users, user: "ann", want: embedded},
		{name: "a link for a user", listener: tcp("0.0.0.0"), host: "web-1.example", header: "Sec-Fetch-Site: cross-site, Sec-Fetch-Dest: document", file: users, user: "ann"},
		{name: "every address", listener: tcp("0.0.0.0"), host: "localhost:10469", want: reachable},
		{name: "every address of version 6", listener: tcp("::"), host: "[::1]:10469", want: reachable},
		{name: "a public address", listener: tcp("192.0.2.7"), host: "127.0.0.1", want: reachable},
		{name: "an address of another kind", listener: &net.IPAddr{IP: net.IPv4(127, 0, 0, 1)}, host: "localhost", want: reachable},
		{name: "no listener known", host: "localhost", want: reachable},
		{name: "a user", listener: tcp("0.0.0.0"), host: "web-1.example", file: users, user: "ann"},
		{name: "a user behind a proxy", listener: tcp("127.0.0.1"), host: "web-1.example", header: "Via", file: users, user: "ann"},
		{name: "not a user", listener: tcp("0.0.0.0"), host: "localhost", file: users, user: "bob", want: reachable},
		{name: "users, and nobody logged in", listener: tcp("0.0.0.0"), host: "localhost", file: users, want: reachable},
		{name: "a login that nobody checked", listener: tcp("0.0.0.0"), host: "localhost", user: "ann", want: reachable},
		{name: "a file without users", listener: tcp("0.0.0.0"), host: "localhost", file: nobody, user: "ann", want: reachable},
		{name: "a broken file", listener: tcp("0.0.0.0"), host: "localhost", file: broken, user: "ann", want: reachable},
		{name: "a missing file", listener: tcp("0.0.0.0"), host: "localhost", file: users + "x", user: "ann", want: reachable},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := Gate{c.file, log.NewNopLogger()}
			r := httptest.NewRequest("GET", "/", nil)
			r.Host = c.host
			if c.listener != nil {
				r = r.WithContext(from(access.BaseContext(bound{addr: c.listener}), cmp.Or(c.who, ourselves), c.err))
			}
			if c.old {
				r.ProtoMajor, r.ProtoMinor = 1, 0
			}
			if c.header != "" {
				for _, header := range strings.Split(c.header, ", ") {
					name, value, ok := strings.Cut(header, ": ")
					if !ok {
						value = "192.0.2.1"
					}
					r.Header.Set(name, value)
				}
			}
			if c.user != "" {
				r.SetBasicAuth(c.user, "x")
			}
			if got := g.Hidden(r); got != c.want {
				t.Errorf("hidden: %q, want %q", got, c.want)
			}
		})
	}
}

// bound is a listener that has nothing but its address.
type bound struct {
	net.Listener
	addr net.Addr
}

func (b bound) Addr() net.Addr { return b.addr }

// TestPrivateServed asks real listeners, as exporter-toolkit serves them.
func TestPrivateServed(t *testing.T) {
	// The password is "secret".
	users := filepath.Join(t.TempDir(), "web.yml")
	write(t, users, "basic_auth_users:\n  ann: $2a$04$dO7anGqhyqmlfiJaZ5eOT..zwv56ngTg2FruQnMg2le9sCDzQBE9e\n")
	for _, c := range []struct {
		name, listen, file, user string
		status                   int
		private                  bool
	}{
		{name: "loopback", listen: "127.0.0.1:0", status: 200, private: true},
		{name: "every address", listen: "0.0.0.0:0", status: 200},
		{name: "every address, with a user", listen: "0.0.0.0:0", file: users, user: "ann", status: 200, private: true},
		{name: "loopback, not logged in", listen: "127.0.0.1:0", file: users, status: 401},
		{name: "loopback, an unknown user", listen: "127.0.0.1:0", file: users, user: "bob", status: 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := disksOnly().options()
			o.WebConfigFile = c.file
			l, err := net.Listen("tcp", c.listen)
			if err != nil {
				t.Fatal(err)
			}
			server := &http.Server{Handler: handler(t, o), BaseContext: access.BaseContext, ConnContext: access.ConnContext}
			ended := make(chan error, 1)
			go func() {
				ended <- toolkit.Serve(l, server, &toolkit.FlagConfig{WebConfigFile: &c.file}, slog.New(slog.DiscardHandler))
			}()
			t.Cleanup(func() {
				server.Close()
				if err := <-ended; err != http.ErrServerClosed {
					t.Error(err)
				}
			})
			_, port, _ := net.SplitHostPort(l.Addr().String())
			req, err := http.NewRequest("GET", "http://127.0.0.1:"+port+"/scripts/disks", nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.user != "" {
				req.SetBasicAuth(c.user, "secret")
			}
			answer, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			if answer.StatusCode != c.status {
				t.Fatalf("status %d, want %d", answer.StatusCode, c.status)
			}
			if got := strings.Contains(string(body), "/mnt/old is not mounted"); got != c.private {
				t.Errorf("standard error shown: %v, want %v", got, c.private)
			}
		})
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
