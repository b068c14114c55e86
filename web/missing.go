package web

import (
	"net/http"
	"strings"
	"time"

	"scriptbridge/internal/relative"
)

// missingPage is the data of page/missing.html.
type missingPage struct {
	frame
	Heading, Why string
}

// NotFound answers 404, with a text, a clause: to a browser as a page with a way
// back, and as it is to others.
func (s *Server) NotFound(w http.ResponseWriter, r *http.Request, text string) {
	s.notFound(w, r, relative.Root(r), text)
}

func (s *Server) notFound(w http.ResponseWriter, r *http.Request, base, text string) {
	if !wantsPage(r) {
		plain(w, http.StatusNotFound, text)
		return
	}
	s.sorry(w, http.StatusNotFound, base, "Not found", text)
}

// sorry is a page that has nothing but a text, a clause, and a way back.
func (s *Server) sorry(w http.ResponseWriter, code int, base, title, text string) {
	s.render(w, code, s.missing, &missingPage{frame: s.frame(title+" – scriptbridge", base, time.Now()), Heading: title, Why: text})
}

// wantsPage reports whether a browser asks for a page to show.
func wantsPage(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && takesPage(r)
}

// takesPage reports whether a browser shows the answer.
func takesPage(r *http.Request) bool {
	return strings.Contains(strings.Join(r.Header.Values("Accept"), ","), "text/html")
}

// withMissing answers for paths that mux does not know.
func (s *Server) withMissing(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := mux.Handler(r)
		if pattern == "" && wantsPage(r) {
			var seen statusOnly
			if h.ServeHTTP(&seen, r); seen == http.StatusNotFound { // and not that of a method
				s.NotFound(w, r, "there is no page at this address")
				return
			}
		}
		mux.ServeHTTP(w, r)
	})
}

// statusOnly is a ResponseWriter that keeps nothing but the status.
type statusOnly int

func (statusOnly) Header() http.Header         { return http.Header{} }
func (statusOnly) Write(b []byte) (int, error) { return len(b), nil }
func (s *statusOnly) WriteHeader(code int)     { *s = statusOnly(code) }
