// Package server is the receiving end of the CoScale HTTP API. handler.go
// routes requests, gate.go lets clients in, forms.go reads what they send,
// via.go finds what comes back to its sender.
//
// Data and events become batches: data.go, series.go and histogram.go,
// events.go. recent.go and reduce.go answer those who ask for the values of
// late.
//
// Objects that clients make (metrics, servers, groups) are in objects.go,
// kinds.go and expand.go; their ids are kept in memory by ids.go, changed by
// ids_change.go, ids_events.go and ids_meta.go, and on disk by ids_disk.go.
package server

import (
	"bufio"
	"fmt"
	"hash/maphash"
	"io"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"scriptbridge/coscale"
	"scriptbridge/internal/access"
	"scriptbridge/internal/admit"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/repeat"
	"scriptbridge/internal/texts"
	"scriptbridge/record"
)

// HandlerOptions are what a Handler needs.
type HandlerOptions struct {
	AppID string
	// Tokens are the access tokens that clients may log in with; any of them is
	// also a good password of users/login, whatever the email.
	Tokens []string
	// Source is whose batches are put.
	Source *record.Source
	// Sink takes them; it is never called twice at once.
	Sink record.Sink
	// TTL is the MaxAge of the batches.
	TTL time.Duration
	// Folder is where ids.db is; empty: ids and event data live as long as the
	// handler, and ids begin at the time in milliseconds.
	Folder string
	// Own is this bridge's name in what it uploads (see via.go), which no other
	// has; empty: it does not upload. What it finds itself in is refused: what
	// comes in here is uploaded, and would come in again for ever.
	Own    string
	Logger log.Logger // nil: nobody
	// Fatal ends the program; see store.Options.
	Fatal func(error)
	// FS is where ids.db lives; nil: the real file system.
	FS fsx.FS
	// Received counts a request and the bytes of its body; may be nil.
	Received func(bytes int)
	// Refused counts requests that were not let in, by a word for the reason:
	// auth, busy, malformed, too_large, full, unavailable, loop; may be nil. Points
	// that could not be used are the batch's (record.LineError).
	Refused func(reason string, n int)
}

// Handler is the receiving half of the API: what the
// public clients need, and as they need it. All methods are safe for
// concurrent use.
type Handler struct {
	o        HandlerOptions
	logger   log.Logger
	gate     *gate
	reading  admit.Semaphore // for bodies that are taken apart
	large    admit.Semaphore // of these, for those that are not small
	registry *registry
	clock    func() time.Time

	// putting is held from before a batch is made until the sink has it: so
	// points that are repeated are found, and Put is never called twice at once.
	putting     sync.Mutex
	declaration declaration
	targets     targets
	added       addedPoints
	recent      recentValues
	samples     []record.Sample // room for a batch's,
	points      []recentPoint   // and for what is remembered of them

	toldLoop atomic.Int64 // when a ring was told of, in Unix nanoseconds

	guesses repeat.State // clients that failed too often to log in
	trouble repeat.State // why requests were not kept
}

// NewHandler makes a Handler; it reads Folder and fails when that cannot be
// used, such as while another process does.
func NewHandler(o HandlerOptions) (*Handler, error) {
	h := &Handler{o: o, logger: o.Logger, clock: time.Now, reading: make(admit.Semaphore, maxReading), large: make(admit.Semaphore, maxReading-1), added: addedPoints{seed: maphash.MakeSeed()}, targets: targets{most: maxTargets}}
	if h.logger == nil {
		h.logger = log.NewNopLogger()
	}
	var err error
	if h.registry, err = openRegistry(o.Folder, h.clock(), h.logger, o.Fatal, o.FS); err != nil {
		return nil, err
	}
	secret := newSecret()
	if d := h.registry.disk; d != nil {
		secret = d.secret
	}
	h.gate = newGate(secret, o.Tokens)
	return h, nil
}

// Close closes the file of ids. It is called after the last request.
func (h *Handler) Close() error { return h.registry.close() }

// Declare puts a batch that tells what clients made before a restart, so that
// the counters of events are there at 0 before the first one. Where nothing is
// known there is none.
func (h *Handler) Declare() error {
	h.putting.Lock()
	defer h.putting.Unlock()
	b := h.newBatch(h.clock(), nil)
	if b.Declared == nil {
		return nil
	}
	return h.put(b)
}

// call is one request on its way to its answer.
type call struct {
	*http.Request
	h     *Handler
	body  *bufio.Reader // once it is read
	paced *admit.Paced  // where body comes from
	until time.Time     // the body must have come
	w     http.ResponseWriter
	query fields
	now   time.Time
	via   []string // the bridges that it came through
}

// within bounds the time from now in which the body must have come. Whoever
// cannot (a recorder in a test) has no slow clients.
func (c *call) within(d time.Duration) {
	c.until = time.Now().Add(d)
	_ = http.NewResponseController(c.w).SetReadDeadline(c.until)
}

// How long a client may take for its body.
const (
	bodyTime = 30 * time.Second
	dataTime = 2 * time.Minute
)

// ServeHTTP answers everything below /api/v1/app/ and /api/v1/users/login/.
// Every answer is JSON, and 200 is the only success, since that is all that the
// clients take for one.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := &countingBody{ReadCloser: r.Body}
	if r.Body == nil {
		body.ReadCloser = http.NoBody
	}
	r.Body = body
	status, answer := h.answer(w, r)
	if status != http.StatusOK {
		// A client that is still sending would not see its answer.
		_, _ = io.Copy(io.Discard, io.LimitReader(body, maxData))
	}
	if h.o.Received != nil {
		h.o.Received(body.n)
	}
	text := encodeAnswer(answer)
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(text)))
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		header.Set("Retry-After", "10")
	}
	w.WriteHeader(status)
	_, _ = w.Write(text) //nolint:gosec // it is JSON, and nobody sniffs; whoever does not wait for it will ask again
}

// encodeAnswer writes JSON; what we answer always can be.
func encodeAnswer(v any) []byte {
	text, err := texts.JSON(v)
	if err != nil {
		return []byte(`{"msg":"the answer cannot be written"}`)
	}
	return text
}

type countingBody struct {
	io.ReadCloser
	n int
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += n
	return n, err
}

// answer is what ServeHTTP writes.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request) (status int, body any) {
	defer func() {
		if p := recover(); p != nil {
			level.Error(h.logger).Log("msg", "a request to CoScale's API failed; please report it", "method", r.Method, "path", r.URL.Path, "err", p, "stack", string(debug.Stack()))
			status, body = http.StatusInternalServerError, coscale.ErrorBody{Msg: "the request failed here; the log says why"}
		}
	}()
	c := &call{Request: r, h: h, w: w, query: fieldsOf(r.URL.Query()), now: h.clock(), via: parseVia(r.Header.Values(coscale.ViaHeader))}
	c.within(bodyTime)
	answer, err := h.route(c)
	if err == nil {
		if r.Method != http.MethodGet {
			h.kept(nil)
		}
		return http.StatusOK, answer
	}
	e := asAPIError(err)
	if e.reason != "" {
		h.refused(e.reason)
	}
	if e.reason == "unavailable" {
		h.kept(err)
	}
	return e.status, e.body
}

// kept notes whether what a request brought could be kept. Clients come back
// with what could not, again and again, so each reason is told once.
func (h *Handler) kept(err error) {
	h.trouble.Log(h.logger, err, "requests to CoScale's API cannot be kept", "requests to CoScale's API are kept again")
}

func (h *Handler) refused(reason string) {
	if h.o.Refused != nil {
		h.o.Refused(reason, 1)
	}
}

// route finds what a path means. It takes it with or without the slash at its
// end, and with the doubled one that some clients make of a base URL's.
func (h *Handler) route(c *call) (any, error) {
	if c.Method == http.MethodOptions { // which a browser asks without a session
		return nil, c.not("A web page of another origin cannot use this API: ask from a program.",
			http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete)
	}
	path := strings.FieldsFunc(c.URL.Path, func(r rune) bool { return r == '/' })
	if len(path) < 2 || path[0] != "api" || path[1] != "v1" {
		return nil, noPath(c)
	}
	path = path[2:]
	switch {
	case len(path) == 2 && path[0] == "users" && path[1] == "login":
		return h.login(c, "password")
	case len(path) < 2 || path[0] != "app":
		return nil, noPath(c)
	}
	mine := path[1] == h.o.AppID
	if path = path[2:]; len(path) == 1 && path[0] == "login" {
		if !mine {
			if err := h.attempt(c, func() bool { return false }); err != nil {
				return nil, err
			}
			return nil, h.fail(c, http.StatusNotFound, "There is no such application here.")
		}
		return h.login(c, "accessToken")
	}
	if err := h.admit(c); err != nil {
		return nil, err
	}
	if h.looped(c) {
		return nil, h.refuseLoop(c)
	}
	if !mine {
		return nil, notFound("There is no such application here.")
	}
	if len(path) == 0 {
		return h.application(c)
	}
	switch first := coscale.Kind(path[0]); {
	case first == "data":
		return h.routeData(c, path[1:])
	case first == "alerts" && len(path) == 1:
		return []struct{}{}, c.only(http.MethodGet)
	case kinds[first] != nil:
		return h.routeObjects(c, first, path[1:])
	}
	return nil, noPath(c)
}

func noPath(c *call) error { return notFound("There is nothing at %.200s.", c.URL.Path) }

// only refuses other methods than these.
func (c *call) only(methods ...string) error {
	if slices.Contains(methods, c.Method) {
		return nil
	}
	return c.not(fmt.Sprintf("%.20s is not for this path; it takes %s.", c.Method, strings.Join(methods, ", ")), methods...)
}

// not says that a method is none of those that a path takes.
func (c *call) not(msg string, methods ...string) error {
	c.w.Header().Set("Allow", strings.Join(methods, ", "))
	return refusal(http.StatusMethodNotAllowed, "", "", "%s", msg)
}

// login answers with a session. A failure is never a 401, which sends the
// StatsD backend into a loop.
func (h *Handler) login(c *call, field string) (any, error) {
	if err := c.only(http.MethodPost); err != nil {
		return nil, err
	}
	if h.looped(c) {
		return nil, refusal(http.StatusBadRequest, "", coscale.LoopType, "This is the bridge that uploads, and what it sends would come back for ever; its upload needs another url.")
	}
	form, err := c.form(maxLogin)
	if err != nil {
		return nil, err
	}
	var token string
	err = h.attempt(c, func() bool {
		token = h.gate.login(form.get(field), c.now)
		return token != ""
	})
	switch {
	case err != nil:
		return nil, err
	case token != "":
		return struct {
			Token string `json:"token"`
		}{token}, nil
	}
	msg := "Invalid access token."
	if field == "password" {
		msg = "Invalid email or password."
	}
	return nil, h.fail(c, http.StatusBadRequest, msg)
}

// attempt lets a client try to log in, unless it has failed too often.
func (h *Handler) attempt(c *call, login func() bool) error {
	client := access.Client(c.Request)
	blocked, first := h.gate.failures.try(client, c.now, login)
	if first {
		news, _ := h.guesses.Update(time.Now(), client)
		for _, n := range news {
			level.Warn(h.logger).Log(n.With("msg", "logins to CoScale's API are refused for a while, since so many have failed", "client", client)...)
		}
	}
	if !blocked {
		return nil
	}
	return h.fail(c, http.StatusTooManyRequests, "Too many logins from this address have failed; wait a minute.")
}

// admit lets through who has a session.
func (h *Handler) admit(c *call) error {
	issued, good := h.gate.check(c.Header.Get("HTTPAuthorization"), c.now)
	switch {
	case good:
		return nil
	case issued: // who has logged in before does so again, without a wait
		return refusal(http.StatusUnauthorized, "", "AUTHENTICATION", "The session has ended; log in again.")
	}
	return h.fail(c, http.StatusUnauthorized, "Log in first.")
}

// fail makes the answer to who is not let in, and waits before it.
func (h *Handler) fail(c *call, status int, msg string) error {
	if !h.gate.delay(c.Context()) {
		return refusal(http.StatusTooManyRequests, "busy", "", "Too many fail to log in at this time.")
	}
	return refusal(status, "auth", "AUTHENTICATION", "%s", msg)
}

// applicationID is that of the one application there is.
const applicationID = 1

// application is the little that the Java SDK asks of it.
func (h *Handler) application(c *call) (any, error) {
	return struct {
		ID      int64  `json:"id"`
		Version int64  `json:"version"`
		Name    string `json:"name"`
		AppID   string `json:"appId"`
		State   string `json:"state"`
	}{applicationID, 1, "scriptbridge", h.o.AppID, coscale.Enabled}, c.only(http.MethodGet)
}
