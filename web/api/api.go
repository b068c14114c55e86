// Package api answers programs: the JSON API that is described in
// docs/openapi.yaml. What is in its documents is package status's to say.
package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"scriptbridge/internal/access"
	"scriptbridge/internal/compress"
	"scriptbridge/internal/relative"
	"scriptbridge/status"
)

// Options is what is answered, and to whom.
type Options struct {
	status.Sources
	// Hidden says why a request may not see what is private; empty when it may. It is
	// called from many goroutines.
	Hidden func(*http.Request) string
	Logger log.Logger
}

// Server answers below /api/v1 what Owns says.
type Server struct {
	Options
	started time.Time
	handler http.Handler
}

const base = "/api/v1/"

// names are the first words behind base. CoScale's API has other ones: app and users.
var names = []string{"status", "scripts", "receivers", "uploads"}

// Owns reports whether a path is one of the API's, and none of CoScale's, which
// begins in the same way.
func Owns(path string) bool {
	rest, ok := strings.CutPrefix(path, base)
	first, _, _ := strings.Cut(rest, "/")
	return ok && slices.Contains(names, first)
}

// New makes a server.
func New(o Options) (*Server, error) {
	o.Sources = o.Complete()
	s := &Server{Options: o, started: time.Now()}
	mux := http.NewServeMux()
	for path, document := range map[string]func(*http.Request, status.Maker, status.Reader) (any, string){
		"status":           s.overview,
		"scripts":          s.scripts,
		"scripts/{name}":   s.script,
		"receivers":        s.receivers,
		"receivers/{name}": s.receiver,
		"uploads":          s.uploads,
		"uploads/{name}":   s.upload,
	} {
		mux.HandleFunc("GET "+base+path, func(w http.ResponseWriter, r *http.Request) {
			hidden := s.Hidden(r)
			answer, missing := document(r, status.Maker{Page: s.Page, Private: hidden == ""}, status.Reader{Private: hidden == "", Hidden: hidden})
			if missing != "" {
				s.fail(w, http.StatusNotFound, missing)
				return
			}
			s.write(w, r, answer)
		})
		mux.HandleFunc(base+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Allow", "GET, HEAD")
			s.fail(w, http.StatusMethodNotAllowed, "this is asked for with GET")
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		s.fail(w, http.StatusNotFound, "there is nothing at this address")
	})
	compressed, err := compress.Handler(mux)
	s.handler = access.NoSniff(relative.CleanPaths(compressed))
	return s, err
}

// Before answers what the API owns, and leaves the rest to next.
func (s *Server) Before(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if Owns(r.URL.Path) {
			s.handler.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// write answers with a document. Whoever has it already, as its ETag says, is
// told so instead.
func (s *Server) write(w http.ResponseWriter, r *http.Request, document any) {
	text, err := status.JSON(document, "")
	if err != nil {
		level.Error(s.Logger).Log("msg", "a document could not be made", "path", r.URL.Path, "err", err)
		s.fail(w, http.StatusInternalServerError, "the document could not be made; the log says why")
		return
	}
	sum := sha256.Sum256(text)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "private, no-cache") // it may be kept, and is asked for again each time
	h.Set("ETag", `W/"`+hex.EncodeToString(sum[:12])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(text))
}

// fail answers with an error.
func (s *Server) fail(w http.ResponseWriter, code int, text string) {
	document, _ := status.JSON(status.Failure{Status: "error", Error: text}, "") // of two strings
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write(document) // the reader has gone: nobody to tell
}

func (s *Server) overview(_ *http.Request, m status.Maker, reader status.Reader) (any, string) {
	ok, at, err := s.ConfigStatus()
	o := &status.Overview{
		Reader: reader, Version: s.Version, Started: status.Time(s.started), NotReady: s.Late(),
		Config: status.Configuration{OK: ok, At: status.Time(at)}, Containment: string(s.Scripts.Containment()),
	}
	o.Ready = len(o.NotReady) == 0
	if err != nil && m.Private {
		o.Config.Error = err.Error()
	}
	m.Fill(o, s.Views())
	return o, ""
}

func (s *Server) scripts(_ *http.Request, m status.Maker, reader status.Reader) (any, string) {
	return status.Scripts{Reader: reader, Scripts: m.WithHistories(s.Scripts.Views())}, ""
}

func (s *Server) script(r *http.Request, m status.Maker, reader status.Reader) (any, string) {
	v, ok := s.Scripts.View(r.PathValue("name"))
	if !ok {
		return nil, missing("script", r)
	}
	return status.OneScript{Reader: reader, Details: m.Details(&v)}, ""
}

func (s *Server) receivers(_ *http.Request, m status.Maker, reader status.Reader) (any, string) {
	return status.Receivers{Reader: reader, Receivers: m.Receivers(s.Receivers())}, ""
}

func (s *Server) receiver(r *http.Request, m status.Maker, reader status.Reader) (any, string) {
	v := s.Receiver(r.PathValue("name"))
	if v == nil {
		return nil, missing("receiver", r)
	}
	return status.OneReceiver{Reader: reader, ReceiverDetails: m.ReceiverDetails(v)}, ""
}

func (s *Server) uploads(_ *http.Request, m status.Maker, reader status.Reader) (any, string) {
	return status.Uploads{Reader: reader, Uploads: m.Uploads(s.Uploads())}, ""
}

func (s *Server) upload(r *http.Request, m status.Maker, reader status.Reader) (any, string) {
	v := s.Upload(r.PathValue("name"))
	if v == nil {
		return nil, missing("upload", r)
	}
	return status.OneUpload{Reader: reader, Upload: m.Upload(v)}, ""
}

func missing(what string, r *http.Request) string {
	return fmt.Sprintf("there is no %s %q", what, r.PathValue("name"))
}
