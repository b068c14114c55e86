package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/goccy/go-yaml"

	"scriptbridge/internal/fsx"
	"scriptbridge/internal/peer"
)

type listenerKey struct{}

// BaseContext is for http.Server.BaseContext: each request then carries the
// address that its listener is bound to. The connection's own address would
// not do, since a listener on every address is reached by 127.0.0.1 too.
func BaseContext(l net.Listener) context.Context {
	return context.WithValue(context.Background(), listenerKey{}, l.Addr())
}

type peerKey struct{}

// ConnContext is for http.Server.ConnContext: each request then knows who is at the
// other end of its connection. That is looked up when it is asked for.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, peerKey{}, func() (uint32, error) { return peer.UID(c) })
}

// Gate knows who may see what is private.
type Gate struct {
	// WebConfigFile is exporter-toolkit's file, empty when there is none. It
	// is read again each time, as exporter-toolkit does.
	WebConfigFile string
	Logger        log.Logger
}

// Hidden says why a request may not see the private parts of a page (output,
// standard error, arguments, configuration, texts of errors), or use a private
// endpoint; empty when it may: where users are configured, or on a loopback
// listener. The request's server needs BaseContext.
func (g Gate) Hidden(r *http.Request) string {
	if g.authenticated(r) {
		return ""
	}
	addr, _ := r.Context().Value(listenerKey{}).(net.Addr)
	switch {
	case !isLoopback(addr):
		return "this page is served on an address that other machines can reach, and no users are configured"
	case isForwarded(r):
		return "a proxy passed this request on, so it may come from another machine"
	case !isLocalHost(r.Host):
		// A foreign page may have its own name resolve to 127.0.0.1 and so
		// read what the reader's browser can reach.
		return "this page was asked for by a name other than localhost"
	case !ownConnection(r):
		return "another user of this machine asked for this page, and no users are configured"
	}
	return ""
}

// ownConnection reports whether root or our own user is at the other end, and not
// a proxy's account or any other one. Where the system does not tell, whoever
// reaches a loopback listener is taken for one of them.
func ownConnection(r *http.Request) bool {
	ask, ok := r.Context().Value(peerKey{}).(func() (uint32, error))
	if !ok {
		return false
	}
	uid, err := ask()
	return errors.Is(err, peer.ErrUnsupported) || err == nil && (uid == 0 || int(uid) == os.Geteuid())
}

// HasUsers reports whether users are configured, so that every request needs a
// password.
func (g Gate) HasUsers() (bool, error) {
	users, err := g.users()
	return len(users) > 0, err
}

// authenticated reports whether the request comes from a configured user.
// exporter-toolkit has checked the password; that the name is looked up again
// keeps a file that changes between its reading and ours from opening a door.
func (g Gate) authenticated(r *http.Request) bool {
	name, _, ok := r.BasicAuth()
	if !ok {
		return false
	}
	users, err := g.users()
	if err != nil {
		level.Warn(g.Logger).Log("msg", "the users of the web configuration could not be read", "err", err)
		return false
	}
	_, known := users[name]
	return known
}

// users gives the names of the configured users, none without a file.
func (g Gate) users() (map[string]string, error) {
	if g.WebConfigFile == "" {
		return nil, nil
	}
	text, err := fsx.ReadFile(g.WebConfigFile)
	if err != nil {
		return nil, err
	}
	var file struct {
		Users map[string]string `yaml:"basic_auth_users"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		// Not the error itself: it quotes the file.
		return nil, fmt.Errorf("%s is not the YAML it should be", g.WebConfigFile)
	}
	return file.Users, nil
}

func isLoopback(addr net.Addr) bool {
	switch a := addr.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}

// isForwarded reports whether a proxy passed a request on: it says so, or it speaks
// a version that no browser has spoken for long, as nginx does by itself.
func isForwarded(r *http.Request) bool {
	if !r.ProtoAtLeast(1, 1) {
		return true
	}
	for name := range r.Header {
		switch name {
		case "Forwarded", "Via", "X-Real-Ip", "True-Client-Ip", "X-Client-Ip", "X-Cluster-Client-Ip":
			return true
		}
		if strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "Cf-") {
			return true
		}
	}
	return false
}

// isLocalHost reports whether a Host header names this machine's loopback.
func isLocalHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
