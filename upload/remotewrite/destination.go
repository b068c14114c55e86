package remotewrite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/exp/api/remote"

	"scriptbridge/internal/texts"
)

// destination is what takes remote write: Prometheus, Mimir and the like. It is for
// one sender at a time.
type destination struct {
	api     *remote.API
	answers *answers
	timeout time.Duration
	hide    func(text string) string // takes secrets out of what is told of an answer
	secrets func() error             // why those of files must not be used; nil: there are none
	// only is the message that the configuration names; empty: 2.0, and 1.0 for who knows
	// no other. old says that this one is known to be so, new the reverse.
	only     remote.WriteMessageType
	old, new bool
}

// newDestination makes one. The client is changed.
func newDestination(address string, client *http.Client, only string, timeout time.Duration) (*destination, error) {
	to, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	d := &destination{answers: &answers{to: to, next: client.Transport}, timeout: timeout, only: remote.WriteMessageType(only), hide: func(text string) string { return text }}
	client.Transport = d.answers
	d.api, err = remote.NewAPI(address, remote.WithAPIHTTPClient(client), remote.WithAPIPath(""))
	return d, err
}

// keepSecrets follows redirects to the same machine alone, and not into clear text: secret
// headers are sent with each request.
func keepSecrets(r *http.Request, via []*http.Request) error {
	first := via[0].URL
	switch {
	case !strings.EqualFold(r.URL.Hostname(), first.Hostname()):
		return fmt.Errorf("the destination redirects to %s, which is not given the secrets; write its URL if it is to have them", r.URL.Hostname())
	case first.Scheme == "https" && r.URL.Scheme != "https":
		return errors.New("the destination redirects to plain http, which would send the secrets in clear text; have it redirect to https")
	case len(via) >= mostRedirects:
		return fmt.Errorf("stopped after %d redirects", mostRedirects)
	}
	return nil
}

// mostRedirects is how many the standard client follows.
const mostRedirects = 10

// failedError is an attempt that may succeed when it is made again.
type failedError struct {
	code int // of the answer; 0: there was none
	err  error
	wait time.Duration // that the destination asks for
}

func (e *failedError) Error() string { return e.err.Error() }
func (e *failedError) Unwrap() error { return e.err }

// Wait is as spool.Pause wants it.
func (e *failedError) Wait() time.Duration { return e.wait }

// Alike is as spool.ReasonOf wants it.
func (e *failedError) Alike() string {
	if e.code != 0 {
		return fmt.Sprintf("HTTP status %d", e.code)
	}
	return e.err.Error()
}

// refusedError is an answer that would be the same another time.
type refusedError struct {
	code    int
	text    string
	written int // samples of the request that were taken all the same
}

func (e *refusedError) Error() string { return e.text }

// Alike is as spool.ReasonOf wants it.
func (e *refusedError) Alike() string { return fmt.Sprintf("HTTP status %d", e.code) }

// partly says that some of what was sent has been taken, or may have been, and not which.
func (e *refusedError) partly() bool { return e.written > 0 || e.code/100 == 2 }

// disorder says that a destination refuses what it may have had before: a sample
// that is older than its series' newest one, or another one of the same time.
func (e *refusedError) disorder() bool {
	text := strings.ToLower(e.text)
	return strings.Contains(text, "out of order") || strings.Contains(text, "out-of-order") || strings.Contains(text, "duplicate")
}

// send makes one attempt. The error is a *refusedError or a *failedError.
func (d *destination) send(ctx context.Context, groups []group) error {
	if d.only == remote.WriteV1MessageType || d.only == "" && d.old {
		return d.attempt(ctx, remote.WriteV1MessageType, message1(groups), count(groups))
	}
	err := d.attempt(ctx, remote.WriteV2MessageType, message2(groups), count(groups))
	if err == nil {
		d.new = true
		return nil
	}
	if last := d.answers.last; last != nil && last.counts {
		d.new = true
	}
	if d.only != "" || d.new || !unread(err) {
		return err
	}
	errOld := d.attempt(ctx, remote.WriteV1MessageType, message1(groups), count(groups))
	d.old = errOld == nil
	if failed, ok := errors.AsType[*failedError](errOld); ok && neither(failed.code) {
		return err // it knows 2.0, and has said what is wrong
	}
	return errOld
}

// neither says whether an answer is that of who does not know a message.
func neither(code int) bool {
	return code == http.StatusUnsupportedMediaType || code == http.StatusNotAcceptable || code == http.StatusNotImplemented
}

// unread says whether an answer may be that of a destination which does not know
// remote write 2.0. One that takes everything for 1.0 finds nothing in a 2.0 request, and
// says that all is well: it lacks the headers that 2.0 demands of an answer.
func unread(err error) bool {
	if errors.Is(err, errUnconfirmed) {
		return true
	}
	if refused, ok := errors.AsType[*refusedError](err); ok {
		return refused.written == 0
	}
	failed, ok := errors.AsType[*failedError](err)
	return ok && (neither(failed.code) || failed.code == http.StatusInternalServerError)
}

var errUnconfirmed = errors.New("the destination does not say how much it has written, as remote write 2.0 demands: it may know 1.0 alone (protobuf_message: prometheus.WriteRequest)")

// errPage is told of a good answer with a page for people: that is from a proxy or a
// login form in front of the destination.
var errPage = errors.New("the destination answers with an HTML page, as a proxy or a login form in front of it may; remote write has none")

// tooOldSample is in Prometheus's answer to a sample that is older than
// out_of_order_time_window: some versions take that for an error of their own, with 500,
// and would give the same answer for ever.
const tooOldSample = "too old sample"

// attempt sends a message with so many samples.
func (d *destination) attempt(ctx context.Context, kind remote.WriteMessageType, message any, samples int) error {
	if d.secrets != nil { // the client reads them whoever else may
		if err := d.secrets(); err != nil {
			return &failedError{err: err}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	d.answers.last = nil
	var failed error // of an attempt that the client would repeat, which the spool does
	_, err := d.api.Write(ctx, kind, message, remote.WithWriteRetryCallback(func(err error) { failed = err; cancel() }))
	last := d.answers.last
	if last != nil && last.page && last.code/100 == 2 {
		return &failedError{code: last.code, err: errPage}
	}
	if err == nil {
		return last.short(kind, samples)
	}
	if failed != nil {
		err = failed
	}
	text := d.hide(texts.Cut(err.Error(), mostRead))
	if last != nil {
		text = texts.Hide(text, last.sent)
	}
	if _, cut := errors.AsType[*url.Error](err); last == nil || cut { // the last answer was a redirect
		if text != err.Error() || len(text) > mostFailed {
			err = errors.New(texts.Cut(text, mostFailed))
		}
		return &failedError{err: err}
	}
	text = "the destination answers " + strings.TrimPrefix(texts.Printable(texts.Cut(strings.TrimSpace(text), mostSaid)), "server returned ")
	code := last.code
	if code == http.StatusInternalServerError && strings.Contains(text, tooOldSample) {
		code = http.StatusBadRequest
	}
	switch code {
	case http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return &refusedError{code: last.code, text: text, written: last.takenOf(samples)}
	}
	if last.code/100 == 2 {
		return &failedError{code: last.code, err: errUnconfirmed}
	}
	return &failedError{code: last.code, err: errors.New(text), wait: last.wait}
}

// mostSaid bounds what is told of an answer, mostRead what is read of one, and mostFailed
// what is told of why there is none, in bytes.
const (
	mostSaid   = 400
	mostRead   = 64 << 10
	mostFailed = 2000
)

// answers keeps what the library does not tell of an answer, and reads no more of it than
// mostRead. It sends requests to the URL as it is written, which the library tidies up.
type answers struct {
	to   *url.URL
	next http.RoundTripper
	last *answer
}

type answer struct {
	code    int
	wait    time.Duration
	counts  bool // it says how much it has written, as only 2.0 does
	written int
	page    bool   // it is HTML
	sent    string // what authorized the request, without its scheme
}

// takenOf is how many of so many samples were taken, by what the answer says; none where that
// cannot be.
func (a *answer) takenOf(samples int) int {
	if a.written < 0 || a.written > samples {
		return 0
	}
	return a.written
}

// short is what a good answer leaves to be desired: it says that it has written less than was
// sent.
func (a *answer) short(kind remote.WriteMessageType, samples int) error {
	if a == nil || kind != remote.WriteV2MessageType || !a.counts || a.written >= samples {
		return nil
	}
	taken := a.takenOf(samples)
	return &refusedError{code: a.code, written: taken,
		text: fmt.Sprintf("the destination answers HTTP status %d, and has written %d of %d samples", a.code, taken, samples)}
}

// RoundTrip is that of http.RoundTripper.
func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPost { // who answers it has seen nothing of what was sent
		a.last = nil
		return nil, errors.New("the destination redirects to a page; only the statuses 307 and 308 redirect a request with its content")
	}
	if r.Response == nil { // no redirect has led to it
		asked := *r
		asked.URL, r = a.to, &asked
	}
	w, err := a.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	a.last = &answer{
		code: w.StatusCode, wait: retryAfter(w.Header.Get("Retry-After")),
		page: strings.HasPrefix(strings.ToLower(w.Header.Get("Content-Type")), "text/html"),
	}
	if w.Request != nil { // as it was in the end
		_, a.last.sent, _ = strings.Cut(w.Request.Header.Get("Authorization"), " ")
	}
	if text := w.Header.Get("X-Prometheus-Remote-Write-Samples-Written"); text != "" {
		a.last.counts = true
		a.last.written, _ = strconv.Atoi(text) // what is no number is none
	}
	w.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(whole{w.Body}, mostRead), w.Body}
	return w, nil
}

// whole reads what there is: an answer whose text breaks off is one all the same.
type whole struct{ io.Reader }

func (r whole) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil {
		err = io.EOF
	}
	return n, err
}

// retryAfter reads the header of that name: seconds, or a time.
func retryAfter(text string) time.Duration {
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		const most = int64(math.MaxInt64 / time.Second)
		return time.Duration(min(max(seconds, -most), most)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return time.Until(at)
	}
	return 0
}
