package receive

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"scriptbridge/coscale"
)

// leaveWithin is how long a request may go on reading and writing when its
// receiver is to end.
const leaveWithin = 2 * time.Second

// door lets requests in to a receiver's endpoints: from when it is opened, once,
// until it is shut for good.
type door struct {
	mu        sync.Mutex
	closed    bool
	endpoints []Endpoint // nil while it is not open
	inside    map[*http.ResponseController]bool
	leaving   sync.WaitGroup
}

func newDoor() *door { return &door{inside: make(map[*http.ResponseController]bool)} }

func (d *door) open(endpoints []Endpoint) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.endpoints = endpoints
	}
}

// enter gives the endpoint of a path, if there is one; then leave must be
// called when the request has been answered.
func (d *door) enter(path string, w http.ResponseWriter) (e Endpoint, leave func(), ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, one := range d.endpoints {
		if one.has(path) && len(one.Path) > len(e.Path) {
			e, ok = one, true
		}
	}
	if !ok {
		return e, nil, false
	}
	visitor := http.NewResponseController(w)
	d.inside[visitor] = true
	d.leaving.Add(1)
	return e, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.inside, visitor)
		d.leaving.Done()
	}, true
}

// shut lets nobody in any more, and returns when the last one has left.
func (d *door) shut() {
	d.mu.Lock()
	d.closed, d.endpoints = true, nil
	soon := time.Now().Add(leaveWithin)
	for visitor := range d.inside {
		_ = visitor.SetReadDeadline(soon) // where it cannot be set, the server has its own
		_ = visitor.SetWriteDeadline(soon)
	}
	d.mu.Unlock()
	d.leaving.Wait()
}

func (e Endpoint) has(path string) bool {
	if strings.HasSuffix(e.Path, "/") {
		return strings.HasPrefix(path, e.Path)
	}
	return path == e.Path
}

// handler lets requests in to one handler while the door is open.
func (d *door) handler(h http.Handler) http.Handler {
	h = http.NewCrossOriginProtection().Handler(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, leave, ok := d.enter(r.URL.Path, w)
		if !ok {
			notOpen(w)
			return
		}
		defer leave()
		h.ServeHTTP(w, r)
	})
}

// Handler answers what the endpoints of the receivers at work are asked, and
// leaves the rest to next. While a receiver is down, and while the bridge starts
// or ends, what would be for a receiver gets a 503, so that clients come back: a
// 404 is the last word for many. What nobody answers under /api/ gets an error
// as CoScale's clients read it.
func (s *Set) Handler(next http.Handler) http.Handler {
	guard := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, u := range s.present() {
			e, leave, ok := u.enter(r.URL.Path, w)
			if !ok {
				continue
			}
			defer leave()
			if e.Private {
				if why := s.hidden(r); why != "" {
					http.Error(w, "this is for who may see private pages: "+why, http.StatusForbidden)
					return
				}
			}
			guard.Handler(e.Handler).ServeHTTP(w, r)
			return
		}
		switch {
		case s.comesBack(r.URL.Path):
			notOpen(w)
		case isAPI(r.URL.Path):
			apiError(w, http.StatusNotFound, "there is no receiver at this address")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// isAPI reports whether a path is one of those that only receivers answer.
func isAPI(path string) bool { return path == "/api" || strings.HasPrefix(path, "/api/") }

func (s *Set) hidden(r *http.Request) string {
	if s.Hidden == nil {
		return "nobody is let in"
	}
	return s.Hidden(r)
}

func notOpen(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "5")
	apiError(w, http.StatusServiceUnavailable, "the receiver is not open")
}

// apiError answers with an error as CoScale's API does.
func apiError(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(coscale.ErrorBody{Msg: message}) // the client has gone: nobody to tell
}
