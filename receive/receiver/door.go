package receiver

import (
	"net/http"
	"sync"
	"time"
)

// Forbidden is the reason that requests are counted by which access.Guard refuses.
const Forbidden = "forbidden"

// LeaveWithin is how long a request may go on reading and writing when its
// receiver is to end.
const LeaveWithin = 2 * time.Second

// Door lets requests in to a receiver's endpoints: from when it is opened, once,
// until it is shut for good.
type Door struct {
	mu        sync.Mutex
	closed    bool
	endpoints []Endpoint // nil while it is not open
	inside    map[*http.ResponseController]bool
	requests  sync.WaitGroup
}

// NewDoor makes one that is not open.
func NewDoor() *Door { return &Door{inside: make(map[*http.ResponseController]bool)} }

// Open lets requests in, unless the door has been shut.
func (d *Door) Open(endpoints []Endpoint) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.endpoints = endpoints
	}
}

// Enter gives the endpoint of a path, if there is one; then leave must be
// called when the request has been answered.
func (d *Door) Enter(path string, w http.ResponseWriter) (e Endpoint, leave func(), ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, one := range d.endpoints {
		if one.Has(path) && len(one.Path) > len(e.Path) {
			e, ok = one, true
		}
	}
	if !ok {
		return e, nil, false
	}
	visitor := http.NewResponseController(w)
	d.inside[visitor] = true
	d.requests.Add(1)
	return e, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.inside, visitor)
		d.requests.Done()
	}, true
}

// Shut lets nobody in any more, and returns when the last one has left.
func (d *Door) Shut() {
	d.mu.Lock()
	d.closed, d.endpoints = true, nil
	soon := time.Now().Add(LeaveWithin)
	for visitor := range d.inside {
		_ = visitor.SetReadDeadline(soon) // where it cannot be set, the server has its own
		_ = visitor.SetWriteDeadline(soon)
	}
	d.mu.Unlock()
	d.requests.Wait()
}

// Handler lets requests in to one handler while the door is open; all others
// get the answer of closed.
func (d *Door) Handler(h http.Handler, closed http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, leave, ok := d.Enter(r.URL.Path, w)
		if !ok {
			closed(w, r)
			return
		}
		defer leave()
		h.ServeHTTP(w, r)
	})
}
