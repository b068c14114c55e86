package access

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	stdlog "log"

	"github.com/go-kit/log"

	"scriptbridge/internal/repeat"
)

// Guard decides which requests may have an effect: run a script, push values, end
// the program. Its nil value knows no names beyond those of the loopback.
type Guard struct {
	names     []string
	external  *url.URL
	hostsFile string
	log       *stdlog.Logger
}

// NewGuard makes one. names are those by which clients may ask for a loopback
// listener besides localhost, its addresses, and the names that the operator has
// given to these in the file of hosts: such a name means this machine to every
// browser here, whoever owns it elsewhere. external is by what address those behind a
// proxy ask; its host is such a name too, and pages from there are our own. It may be
// nil, or have no host.
func NewGuard(names []string, external *url.URL, logger log.Logger) (*Guard, error) {
	g := &Guard{external: external, hostsFile: HostsFile(), log: repeat.NewStdLog(logger)}
	if external != nil && external.Host != "" {
		g.names = append(g.names, plainName(external.Hostname()))
	}
	for _, name := range names {
		if name == "" || strings.ContainsAny(name, "/:@*, ") {
			return nil, fmt.Errorf("%q is not a host name (write it alone, like scriptbridge.example)", name)
		}
		g.names = append(g.names, plainName(name))
	}
	return g, nil
}

// Refused says why a request may have no effect; empty when it may. A browser sends
// what a foreign page asks for: that is refused everywhere. On a loopback listener
// the request must also name this machine, or come from somebody who has logged in.
// The request's server needs BaseContext.
func (g *Guard) Refused(r *http.Request) string {
	why := ""
	switch {
	case g.crossSite(r):
		why = "a page of another site asked for this in a browser"
	case ByLoopback(r) && !ByLocalName(r) && !g.allows(hostOf(r)) && !loggedIn(r):
		why = "this address answers requests for localhost, 127.0.0.1 and [::1]; --web.allowed-host and " + HostsFile() + " can give it other names"
	default:
		return ""
	}
	if g != nil {
		g.log.Printf("a request was refused: %s (host %q)", why, r.Host)
	}
	return why
}

// Handler lets through to next what is not refused.
func (g *Guard) Handler(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if why := g.Refused(r); why != "" {
			http.Error(w, why, http.StatusForbidden)
			return
		}
		next(w, r)
	}
}

// crossSite reports whether a browser sends a request for a page of another
// origin: it says so itself, or says which page it is. Others say neither.
func (g *Guard) crossSite(r *http.Request) bool {
	if site := strings.Join(r.Header.Values("Sec-Fetch-Site"), ","); site != "" {
		return site != "same-origin" && site != "none"
	}
	origin := strings.Join(r.Header.Values("Origin"), ",")
	u, err := url.Parse(origin)
	return origin != "" && (err != nil || !strings.EqualFold(u.Host, r.Host) && !g.isExternal(u))
}

// isExternal reports whether an origin is that of the pages behind a proxy, which may
// not pass on by what name it was asked.
func (g *Guard) isExternal(origin *url.URL) bool {
	return g != nil && g.external != nil && g.external.Host != "" &&
		origin.Scheme == g.external.Scheme && SameHost(origin.Scheme, origin.Host, g.external.Host)
}

// allows reports whether the operator has given a name to a loopback listener.
func (g *Guard) allows(name string) bool {
	return g != nil && name != "" && (slices.Contains(g.names, name) || inHostsFile(g.hostsFile, name))
}

// maxHosts bounds what is read of a file of hosts.
const maxHosts = 4 << 20

// inHostsFile reports whether a file of hosts, as hosts(5), gives a name to a
// loopback address.
func inHostsFile(file, name string) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	for lines := bufio.NewScanner(io.LimitReader(f, maxHosts)); lines.Scan(); {
		text, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(text)
		if len(words) < 2 || !slices.ContainsFunc(words[1:], func(w string) bool { return plainName(w) == name }) {
			continue
		}
		if addr, err := netip.ParseAddr(words[0]); err == nil && addr.Unmap().IsLoopback() {
			return true
		}
	}
	return false
}
