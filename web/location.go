package web

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"

	"scriptbridge/internal/access"
	"scriptbridge/internal/relative"
)

// Location is where the web port's endpoints are found: --web.external-url and
// --web.route-prefix, with Prometheus's meaning.
type Location struct {
	// Prefix is in front of the path of every request; empty, or like /bridge.
	Prefix string
	// External is by what address those behind a proxy ask; nil where that is not
	// said. It ends in no slash, and may be a path alone.
	External *url.URL
}

// NewLocation reads the two flags. Without a prefix it is the path of the URL; "/" is
// none, for a proxy that strips the path.
func NewLocation(externalURL, routePrefix string) (l Location, err error) {
	if externalURL != "" {
		if l.External, err = readExternalURL(externalURL); err != nil {
			if strings.Contains(externalURL, "@") { // there may be a password in it
				externalURL = "…"
			}
			return l, fmt.Errorf("--web.external-url=%s %w", externalURL, err)
		}
		l.Prefix = l.External.Path
	}
	if routePrefix != "" {
		if l.Prefix, err = plainPath(routePrefix); err != nil {
			return l, fmt.Errorf("--web.route-prefix=%s %w (write it like /scriptbridge, or / for none)", routePrefix, err)
		}
	}
	return l, nil
}

// likeURL is the remedy for one that cannot be used.
const likeURL = "write it like https://monitoring.example/scriptbridge"

func readExternalURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("is not a URL (%s)", likeURL)
	case u.User != nil:
		return nil, errors.New("has a user in it (leave it out: users are set in the file of --web.config.file)")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(text, "#"):
		return nil, errors.New("has more than a host and a path (leave out what follows ? or #)")
	case u.Scheme == "" && u.Host == "" && strings.HasPrefix(u.Path, "/"): // the path alone, as Prometheus takes it
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Opaque != "":
		return nil, fmt.Errorf("is not a URL of http or https (%s)", likeURL)
	}
	if port, err := strconv.ParseUint(cmp.Or(u.Port(), "80"), 10, 16); err != nil || port == 0 || strings.HasSuffix(u.Host, ":") {
		return nil, fmt.Errorf("has a port that is none (%s)", likeURL)
	}
	prefix, err := plainPath(u.EscapedPath())
	if err != nil {
		return nil, fmt.Errorf("has a path that %w (%s)", err, likeURL)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: prefix}, nil
}

// plainForm is a path of characters that browsers and proxies all write as they are:
// with others, a path that a proxy writes anew would not begin with the prefix.
var plainForm = regexp.MustCompile(`^[A-Za-z0-9/._~!$&()*+,;=:@-]*$`)

// plainPath gives a path with a slash at its beginning and none at its end, empty
// for the root.
func plainPath(text string) (string, error) {
	p := strings.TrimRight("/"+strings.TrimLeft(text, "/"), "/")
	if p != "" && p != path.Clean(p) || !plainForm.MatchString(p) {
		return "", errors.New("is not a plain path")
	}
	return p, nil
}

// external reports whether a request came by the external URL: it names its host, or
// a proxy has passed it on.
func (l Location) external(r *http.Request) bool {
	return l.External != nil && (l.External.Host != "" && access.SameHost(l.External.Scheme, l.External.Host, r.Host) || access.ByProxy(r))
}

// Target is where whoever has sent a request reaches an endpoint: address, path, and
// whether by TLS.
func (l Location) Target(r *http.Request, endpoint string) (host, path string, tls bool) {
	if !l.external(r) {
		return r.Host, l.Prefix + endpoint, r.TLS != nil
	}
	host, tls = r.Host, r.TLS != nil
	if l.External.Host != "" {
		host, tls = l.External.Host, l.External.Scheme == "https"
	}
	return host, l.External.Path + endpoint, tls
}

// Handler hands to next what is asked for below the prefix, without it. The root leads
// there, and elsewhere is nothing.
func (l Location) Handler(next http.Handler, s *Server) http.Handler {
	if l.Prefix == "" {
		return next
	}
	inner := http.StripPrefix(l.Prefix, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch rest, below := strings.CutPrefix(r.URL.Path, l.Prefix); {
		case below && strings.HasPrefix(rest, "/"):
			inner.ServeHTTP(w, r)
		case below && rest == "":
			relative.Redirect(w, r, "./"+path.Base(l.Prefix)+"/")
		case r.URL.Path == "/":
			relative.Redirect(w, r, "."+l.Prefix+"/")
		default:
			s.notFound(w, r, relative.Root(r)+l.Prefix[1:]+"/", "there is no page at this address")
		}
	})
}
