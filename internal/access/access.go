// Package access tells of a request over HTTP how it came (access.go): through
// which listener, by which name, from which user of this machine, by a proxy; and
// decides whether it may have an effect (guard.go).
package access

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"

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
	return WithPeer(ctx, func() (peer.User, error) { return peer.Of(c) })
}

// WithPeer says how to look up who is at the other end of a request's connection.
func WithPeer(ctx context.Context, who func() (peer.User, error)) context.Context {
	return context.WithValue(ctx, peerKey{}, who)
}

type loginKey struct{}

// WithLogin says which requests come from somebody who has logged in. Without it
// none does.
func WithLogin(ctx context.Context, known func(*http.Request) bool) context.Context {
	return context.WithValue(ctx, loginKey{}, known)
}

func loggedIn(r *http.Request) bool {
	known, ok := r.Context().Value(loginKey{}).(func(*http.Request) bool)
	return ok && known(r)
}

// ByLoopback reports whether a request came through a listener that no other
// machine reaches: on a loopback address, or a unix socket. Its server needs
// BaseContext.
func ByLoopback(r *http.Request) bool {
	addr, _ := r.Context().Value(listenerKey{}).(net.Addr)
	switch a := addr.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}

// ByOwnUser reports whether root, an administrator of Windows or our own user is at the
// other end, and not a proxy's account or any other one. Where the system does not tell, whoever
// reaches a loopback listener is taken for one of them.
func ByOwnUser(r *http.Request) bool {
	ask, ok := r.Context().Value(peerKey{}).(func() (peer.User, error))
	if !ok {
		return false
	}
	user, err := ask()
	return errors.Is(err, peer.ErrUnsupported) || err == nil && user.Own
}

// ByProxy reports whether a proxy passed a request on: it says so, or it speaks
// a version that no browser has spoken for long, as nginx does by itself.
func ByProxy(r *http.Request) bool {
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

// Embedded reports whether a browser asks on behalf of a page of another site and
// not to show the answer by itself, as it does when a link is followed: for a picture,
// a frame, or a script of that page. Only browsers that know the address for safe,
// by TLS or on loopback, say so.
func Embedded(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return (site == "cross-site" || site == "same-site") && r.Header.Get("Sec-Fetch-Dest") != "document"
}

// ByLocalName reports whether a request's Host header names this machine's
// loopback. A foreign page may have its own name resolve to 127.0.0.1 and so reach
// what its reader's browser can reach.
func ByLocalName(r *http.Request) bool {
	host := hostOf(r)
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	return err == nil && addr.Unmap().IsLoopback()
}

// SameHost reports whether two hosts, with a port or without, are one and the same by a
// scheme, http or https.
func SameHost(scheme, a, b string) bool {
	port := ":80"
	if scheme == "https" {
		port = ":443"
	}
	plain := func(host string) string { return strings.ToLower(strings.TrimSuffix(host, port)) }
	return plain(a) == plain(b)
}

// hostOf is a request's Host header without the port, in the form in which names
// are compared.
func hostOf(r *http.Request) string {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return plainName(host)
}

func plainName(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// NoSniff has no browser take an answer for another kind of content than its header
// says.
func NoSniff(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}
