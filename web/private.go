package web

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"

	"github.com/go-kit/log/level"
	"github.com/goccy/go-yaml"
)

type listenerKey struct{}

// BaseContext is for http.Server.BaseContext: each request then carries the
// address that its listener is bound to. The connection's own address would
// not do, since a listener on every address is reached by 127.0.0.1 too.
func BaseContext(l net.Listener) context.Context {
	return context.WithValue(context.Background(), listenerKey{}, l.Addr())
}

// hidden says why a request may not see the private parts of a page (output,
// standard error, arguments, configuration, texts of errors); empty when it
// may: where users are configured, or on a loopback listener
// (spec/configuration.md, Endpoints).
func (s *server) hidden(r *http.Request) string {
	if s.authenticated(r) {
		return ""
	}
	addr, _ := r.Context().Value(listenerKey{}).(net.Addr)
	switch {
	case !isLoopback(addr):
		return "this page is served on an address that other machines can reach, and no users are configured"
	case isForwarded(r.Header):
		return "a proxy passed this request on, so it may come from another machine"
	case !isLocalHost(r.Host):
		// A foreign page may have its own name resolve to 127.0.0.1 and so
		// read what the reader's browser can reach.
		return "this page was asked for by a name other than localhost"
	}
	return ""
}

// authenticated reports whether the request comes from a configured user.
// exporter-toolkit has checked the password; that the name is looked up again
// keeps a file that changes between its reading and ours from opening a door.
func (s *server) authenticated(r *http.Request) bool {
	name, _, ok := r.BasicAuth()
	if !ok || s.WebConfigFile == "" {
		return false
	}
	text, err := os.ReadFile(s.WebConfigFile)
	if err != nil {
		level.Warn(s.Logger).Log("msg", "the users of the web configuration could not be read", "err", err)
		return false
	}
	var file struct {
		Users map[string]string `yaml:"basic_auth_users"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		// Not the error itself: it quotes the file.
		level.Warn(s.Logger).Log("msg", "the users of the web configuration could not be read: it is not the YAML it should be", "file", s.WebConfigFile)
		return false
	}
	_, known := file.Users[name]
	return known
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

func isForwarded(h http.Header) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if _, ok := h[name]; ok {
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
