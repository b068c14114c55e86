package access

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"scriptbridge/internal/peer"
)

// Client names who sent a request, to count what they do: the address, of IPv6 the
// first 64 bits, since whoever has one of these addresses has all. On this machine it
// is the user, so that nobody counts for another one; of what a proxy here passes on, the
// address that the proxy has it from as well. The request's server needs ConnContext.
func Client(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	addr, err := netip.ParseAddr(host)
	if err == nil && !addr.Unmap().IsLoopback() {
		return network(addr)
	}
	who := "this machine" // by a loopback address or, where it has none, a unix socket
	if ask, ok := r.Context().Value(peerKey{}).(func() (peer.User, error)); ok {
		if user, err := ask(); err == nil {
			who = user.Name
		}
	}
	if from, ok := passedOnFor(r); ok {
		who += " for " + network(from)
	}
	return who
}

// network gives what one client may have of addresses.
func network(addr netip.Addr) string {
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		return addr.String()
	}
	of, _ := addr.Prefix(64) // which every IPv6 address has
	return of.String()
}

// passedOnFor gives the address from which a proxy says that it has a request: the last
// of its list, since those before it are the client's own word.
func passedOnFor(r *http.Request) (netip.Addr, bool) {
	lines := r.Header.Values("X-Forwarded-For")
	if len(lines) == 0 {
		return netip.Addr{}, false
	}
	list := strings.Split(lines[len(lines)-1], ",")
	last := strings.TrimSpace(list[len(list)-1])
	if addrPort, err := netip.ParseAddrPort(last); err == nil {
		return addrPort.Addr(), true
	}
	addr, err := netip.ParseAddr(strings.Trim(last, "[]"))
	return addr, err == nil
}
