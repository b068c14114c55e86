// Package relative leads from one path of a server to another without saying where the
// first one is: behind a proxy it is another one than is seen here.
package relative

import (
	"net/http"
	"net/url"
	"path"
	"strings"
)

// CleanPaths sends whoever asks for a path with empty segments or dots to the one that
// is meant, as http.ServeMux does, but relative to what was asked for: behind a proxy
// that is another path than the one seen here.
func CleanPaths(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := r.URL.EscapedPath()
		clean := path.Clean("/" + asked)
		if clean != "/" && strings.HasSuffix(asked, "/") {
			clean += "/"
		}
		if clean == asked || !strings.HasPrefix(asked, "/") {
			next.ServeHTTP(w, r)
			return
		}
		Redirect(w, r, Root(r)+clean[1:])
	})
}

// Redirect leads to a place relative to what was asked for. http.Redirect would make it
// absolute.
func Redirect(w http.ResponseWriter, r *http.Request, to string) {
	if r.URL.RawQuery != "" {
		to += "?" + r.URL.RawQuery
	}
	h := w.Header()
	h.Set("Location", to)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusTemporaryRedirect)
}

// Root leads from what a request asks for to the root.
func Root(r *http.Request) string {
	depth := 0
	segments := strings.Split(r.URL.EscapedPath(), "/")
	for _, s := range segments[1:max(1, len(segments)-1)] {
		switch plain, _ := url.PathUnescape(s); plain {
		case ".":
		case "..":
			depth = max(0, depth-1)
		default:
			depth++
		}
	}
	return "./" + strings.Repeat("../", depth)
}
