// Package web is what people and supervisors see over HTTP: the status page
// (status.go), a page for each script, receiver and upload (script.go,
// receiver.go, upload.go), health, reload and quit (web.go), profiles (profile.go). The metrics page
// is the collector's; it is only mounted here.
//
// table.go, cell.go, bars.go and chart.go are the parts of pages, query.go reads what a
// page is asked for, output.go shows what a script printed, probes.go who asked for a
// run, reasons.go why something is refused; missing.go answers for pages that are not
// there. private.go decides who may see private pages, and
// location.go knows where all of this is found: behind which prefix and proxy.
//
// Everything works without JavaScript: the little there is (page/refresh.js) spares
// reloads. Every text that a script made goes
// through texts.Visible, and is escaped by html/template or by cell.go.
package web

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"scriptbridge/internal/access"
	"scriptbridge/internal/compress"
	"scriptbridge/internal/texts"
	"scriptbridge/status"
)

// Options is what the pages are made of. Every field is needed but for those
// that say otherwise. All functions are called from many goroutines.
type Options struct {
	status.Sources
	// Metrics answers GET and HEAD at TelemetryPath.
	Metrics       http.Handler
	TelemetryPath string
	// Lifecycle allows POST /-/reload and POST /-/quit. Reload blocks until
	// the new configuration is at work or refused, and Quit must not block.
	Lifecycle bool
	Reload    func() error
	Quit      func()
	// RunNow has a script take its next run now; it does not wait for it.
	RunNow func(name string) error
	// Profiling allows /debug/pprof/ to those who may see private pages.
	Profiling bool
	// Guard keeps out who may not reload or quit; nil: access.Guard's.
	Guard *access.Guard
	// WebConfigFile is that of Gate.
	WebConfigFile string
	Logger        log.Logger
}

//go:embed page/style.css
var styleSheet []byte

//go:embed page/refresh.js
var refreshScript []byte

//go:embed page/layout.html
var layoutHTML string

//go:embed page/status.html
var statusHTML string

//go:embed page/script.html
var scriptHTML string

//go:embed page/receiver.html
var receiverHTML string

//go:embed page/upload.html
var uploadHTML string

//go:embed page/missing.html
var missingHTML string

// endpoints are ours, and those that other packages mount beside them.
var endpoints = []string{"/-", "/scripts", "/receivers", "/uploads", "/reasons", "/probe", "/discovery", "/api", "/debug"}

// Server answers at all endpoints but /probe, /discovery and /api: the caller
// mounts those before it. Its http.Server needs access.BaseContext, or no
// page is private.
type Server struct {
	Options
	handler http.Handler
	gate    Gate
	started time.Time
	// Paths with a hash in them, so that what is there can be cached for ever.
	stylePath, refreshPath string
	status                 *template.Template
	script                 *template.Template
	receiver               *template.Template
	upload                 *template.Template
	missing                *template.Template
	reasons                *template.Template

	reasonList []reasonSection
	reasonIDs  map[string]bool
}

// New makes a server. The error is about an option.
func New(o Options) (*Server, error) {
	o.Sources = o.Complete()
	s := &Server{Options: o, gate: Gate{o.WebConfigFile, o.Logger}, started: time.Now()}
	s.stylePath, s.refreshPath = hashed("style", styleSheet, ".css"), hashed("refresh", refreshScript, ".js")
	if err := s.checkTelemetryPath(); err != nil {
		return nil, err
	}
	s.knowReasons()
	for _, p := range []struct {
		into *(*template.Template)
		body string
	}{{&s.status, statusHTML}, {&s.script, scriptHTML}, {&s.receiver, receiverHTML}, {&s.upload, uploadHTML}, {&s.missing, missingHTML}, {&s.reasons, reasonsHTML}} {
		var err error
		if *p.into, err = parse(p.body); err != nil {
			return nil, err
		}
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.serveStatus)
	mux.HandleFunc("GET /scripts/{name}", s.serveScript)
	mux.HandleFunc("GET /receivers/{name}", s.serveReceiver)
	mux.HandleFunc("GET /uploads/{name}", s.serveUpload)
	mux.HandleFunc("GET /reasons", s.serveReasons)
	mux.HandleFunc("GET /"+s.stylePath, asset("text/css; charset=utf-8", styleSheet))
	mux.HandleFunc("GET /"+s.refreshPath, asset("text/javascript; charset=utf-8", refreshScript))
	mux.Handle("GET "+s.TelemetryPath, s.Metrics)
	mux.HandleFunc("GET /-/healthy", s.serveHealthy)
	mux.HandleFunc("GET /-/ready", s.serveReady)
	mux.HandleFunc("POST /scripts/{name}/run", s.lifecycle(s.serveRun))
	mux.HandleFunc("POST /-/reload", s.lifecycle(s.serveReload))
	mux.HandleFunc("POST /-/quit", s.lifecycle(s.serveQuit))
	s.profiles(mux)
	compressed, err := compress.Handler(s.withMissing(mux))
	s.handler = access.NoSniff(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == s.TelemetryPath { // it compresses by itself
			mux.ServeHTTP(w, r)
			return
		}
		compressed.ServeHTTP(w, r)
	}))
	return s, err
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

func parse(body string) (*template.Template, error) {
	t, err := template.New("layout").Parse(layoutHTML)
	if err != nil {
		return nil, err
	}
	return t.Parse(body)
}

// checkTelemetryPath refuses what the mux would panic at, and what would hide
// another endpoint.
func (s *Server) checkTelemetryPath() error {
	p := s.TelemetryPath
	fail := func(problem string) error {
		return fmt.Errorf("--web.telemetry-path %q %s (the default is /metrics)", p, problem)
	}
	switch {
	case !strings.HasPrefix(p, "/"):
		return fail("does not begin with a slash")
	case p != path.Clean(p) || strings.ContainsAny(p, "{}?#% \t\r\n"):
		return fail("is not a plain path")
	case p == "/":
		return fail("is the path of the status page")
	case Taken(p) || p == "/"+s.stylePath || p == "/"+s.refreshPath:
		return fail("is taken by another endpoint")
	}
	return nil
}

// Taken reports whether a path is that of an endpoint other than the metrics
// page, so that nothing else can be mounted there.
func Taken(path string) bool {
	return path == "/" || slices.ContainsFunc(endpoints, func(taken string) bool {
		return path == taken || strings.HasPrefix(path, taken+"/")
	})
}

// render answers with a page. It is made in memory first, so that a fault in
// it can still become a status 500.
func (s *Server) render(w http.ResponseWriter, code int, t *template.Template, data any) {
	var page bytes.Buffer
	if err := t.Execute(&page, data); err != nil {
		level.Error(s.Logger).Log("msg", "a page could not be made", "err", err)
		plain(w, http.StatusInternalServerError, "the page could not be made; the log says why")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(page.Len()))
	h.Set("Content-Security-Policy",
		"default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write(page.Bytes()) // the reader has gone: nobody to tell
}

// plain answers with a text, be it an error or not: http.Error sets the
// headers of one.
func plain(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, texts.Visible(text), code)
}

// hashed is the name of a file that changes with what is in it.
func hashed(name string, content []byte, suffix string) string {
	sum := sha256.Sum256(content)
	return name + "-" + hex.EncodeToString(sum[:6]) + suffix
}

// asset answers with what never changes at its path.
func asset(kind string, content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", kind)
		h.Set("Content-Length", strconv.Itoa(len(content)))
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		_, _ = w.Write(content)
	}
}

func (s *Server) serveHealthy(w http.ResponseWriter, _ *http.Request) {
	plain(w, http.StatusOK, "scriptbridge is healthy")
}

func (s *Server) serveReady(w http.ResponseWriter, _ *http.Request) {
	const most = 10 // named
	if late := s.Late(); len(late) > 0 {
		text := strings.Join(late[:min(len(late), most)], ", ")
		if more := len(late) - most; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		plain(w, http.StatusServiceUnavailable, "scriptbridge is not ready; it waits for "+text)
		return
	}
	plain(w, http.StatusOK, "scriptbridge is ready")
}

// lifecycle lets a request through only where the operator allowed it.
func (s *Server) lifecycle(next http.HandlerFunc) http.HandlerFunc {
	guarded := s.Guard.Handler(func(w http.ResponseWriter, r *http.Request) {
		level.Info(s.Logger).Log("msg", "asked over HTTP", "path", r.URL.Path, "remote", r.RemoteAddr)
		next(w, r)
	})
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.Lifecycle {
			plain(w, http.StatusForbidden, "this is switched off; start scriptbridge with --web.enable-lifecycle to allow it")
			return
		}
		guarded(w, r)
	}
}

func (s *Server) serveReload(w http.ResponseWriter, r *http.Request) {
	if err := s.Reload(); err != nil {
		why := "; the log says why"
		if s.gate.Hidden(r) == "" { // it quotes files
			why = ":\n" + err.Error()
		}
		plain(w, http.StatusInternalServerError, "not reloaded, the previous configuration stays in use"+why)
		return
	}
	plain(w, http.StatusOK, "reloaded")
}

func (s *Server) serveQuit(w http.ResponseWriter, _ *http.Request) {
	plain(w, http.StatusOK, "quitting")
	s.Quit()
}
