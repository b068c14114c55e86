package web

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"strconv"
	"strings"
	"time"

	"scriptbridge/internal/relative"
)

const (
	profileSeconds = 30
	traceSeconds   = 1
	// profileMost leaves time to write the answer: the server ends one that takes two
	// minutes.
	profileMost = 110
)

// profiles answers below /debug/pprof/, as net/http/pprof does; that package would
// also add itself to http.DefaultServeMux. Only those who may see private pages are let
// in, since profiles tell what runs, and since they cost. What is measured only while
// somebody asks slows nothing down otherwise.
func (s *Server) profiles(mux *http.ServeMux) {
	let := func(next http.HandlerFunc) http.HandlerFunc {
		guarded := s.Guard.Handler(next)
		return func(w http.ResponseWriter, r *http.Request) {
			switch why := s.gate.Hidden(r); {
			case !s.Profiling:
				plain(w, http.StatusForbidden, "this is switched off; start scriptbridge with --web.enable-pprof to allow it")
			case why != "":
				plain(w, http.StatusForbidden, "this is for who may see private pages: "+why)
			default:
				w.Header().Set("Cache-Control", "no-store")
				guarded(w, r)
			}
		}
	}
	mux.HandleFunc("GET /debug/pprof", let(func(w http.ResponseWriter, r *http.Request) { relative.Redirect(w, r, "./pprof/") }))
	mux.HandleFunc("GET /debug/pprof/{$}", let(listProfiles))
	mux.HandleFunc("GET /debug/pprof/cmdline", let(serveCommandLine))
	mux.HandleFunc("GET /debug/pprof/profile", let(recorded(profileSeconds, pprof.StartCPUProfile, pprof.StopCPUProfile)))
	mux.HandleFunc("GET /debug/pprof/trace", let(recorded(traceSeconds, trace.Start, trace.Stop)))
	mux.HandleFunc("GET /debug/pprof/{name}", let(s.serveProfile))
}

// listProfiles names what there is, with how much it has.
func listProfiles(w http.ResponseWriter, _ *http.Request) {
	var list strings.Builder
	list.WriteString("cmdline\nprofile?seconds=30\ntrace?seconds=1\n")
	for _, p := range pprof.Profiles() {
		fmt.Fprintf(&list, "%s\t%d\n", p.Name(), p.Count())
	}
	plain(w, http.StatusOK, strings.TrimSuffix(list.String(), "\n"))
}

// serveCommandLine gives the arguments that the program was started with.
func serveCommandLine(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.Copy(w, strings.NewReader(strings.Join(os.Args, "\x00"))) // the reader has gone: nobody to tell
}

// recorded answers with what is recorded from now on, for ?seconds=, or until the
// asker has gone. Only one such recording can be made at a time.
func recorded(usual float64, start func(io.Writer) error, stop func()) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		seconds := usual
		if text := r.FormValue("seconds"); text != "" {
			var err error
			if seconds, err = strconv.ParseFloat(text, 64); err != nil || !(seconds > 0 && seconds <= profileMost) {
				plain(w, http.StatusBadRequest, fmt.Sprintf("seconds=%.20q cannot be used; write a number of seconds, %d at most", text, profileMost))
				return
			}
		}
		var record bytes.Buffer
		if err := start(&record); err != nil {
			plain(w, http.StatusConflict, "another one is being recorded; try again when it has ended")
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), time.Duration(seconds*float64(time.Second)))
		<-ctx.Done()
		cancel()
		stop()
		binary(w, record.Bytes())
	}
}

// serveProfile gives one of the profiles that the runtime keeps: in the form for go
// tool pprof, or with ?debug= as text. ?gc= collects garbage first.
func (s *Server) serveProfile(w http.ResponseWriter, r *http.Request) {
	p := pprof.Lookup(r.PathValue("name"))
	if p == nil {
		s.NotFound(w, r, "there is no profile of this name; /debug/pprof/ lists them")
		return
	}
	if gc, _ := strconv.Atoi(r.FormValue("gc")); gc > 0 && p.Name() == "heap" {
		runtime.GC()
	}
	debug, _ := strconv.Atoi(r.FormValue("debug"))
	var made bytes.Buffer
	if err := p.WriteTo(&made, debug); err != nil {
		plain(w, http.StatusInternalServerError, "the profile could not be made")
		return
	}
	if debug > 0 {
		plain(w, http.StatusOK, made.String())
		return
	}
	binary(w, made.Bytes())
}

// binary answers with a file.
func binary(w http.ResponseWriter, content []byte) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	_, _ = w.Write(content) // the reader has gone: nobody to tell
}
