package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"scriptbridge/coscale"
	"scriptbridge/internal/admit"
)

// Bounds of what a client may send.
const (
	maxLogin  = 8 << 10  // bytes of a login's body, which anybody may send
	maxBody   = 1 << 20  // bytes of a body that holds no data
	maxData   = 32 << 20 // bytes of one that does
	maxCdata  = 16 << 20 // bytes of a form with cdata
	maxGunzip = 10 << 20 // bytes of cdata's JSON
)

// fields are what a client gave by name, in a form or in a JSON object, by
// names in lower case: no client gives two that differ in case only.
type fields map[string]string

func (f fields) lookup(name string) (string, bool) {
	value, ok := f[strings.ToLower(name)]
	return value, ok
}

func (f fields) get(name string) string { return f[strings.ToLower(name)] }

// number reads a whole number; without one, or with an empty one, it is other.
func (f fields) number(name string, other int64) (int64, error) {
	text := f.get(name)
	if text == "" {
		return other, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n >= 1<<53 || n <= -1<<53 { // which JSON can hold
		return 0, badRequest("%s: %.40q is no whole number", name, text)
	}
	return n, nil
}

// fieldsOf takes the first value of each name, as valid UTF-8.
func fieldsOf(values url.Values) fields {
	f := make(fields, len(values))
	for name, all := range values {
		f[strings.ToLower(name)] = strings.ToValidUTF8(all[0], "\uFFFD")
	}
	return f
}

// plain refuses a body that is packed.
func (c *call) plain() error {
	if enc := c.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return refusal(http.StatusUnsupportedMediaType, "", "", "a body with Content-Encoding %.40q is not read", enc)
	}
	return nil
}

// form reads the body of a request: urlencoded or JSON, whatever its header says, since
// curl calls everything a form; none is an empty form.
func (c *call) form(limit int64) (fields, error) {
	if err := c.plain(); err != nil {
		return nil, err
	}
	if small := c.begin(limit); !small {
		leave, err := c.acquire(small)
		if err != nil {
			return nil, err
		}
		defer leave()
	}
	body, err := io.ReadAll(c.body)
	if err != nil {
		return nil, err
	}
	text := bytes.TrimLeft(body, " \t\r\n")
	if len(text) > 0 && (text[0] == '{' || text[0] == '[') {
		return readJSONForm(text)
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, badRequest("the form cannot be read: %v", err)
	}
	return fieldsOf(values), nil
}

// change reads the form of a change, and the version of what it is to change; 0 for any.
func (c *call) change() (form fields, version int64, err error) {
	if form, err = c.form(maxBody); err == nil {
		version, err = form.number("version", 0)
	}
	return form, version, err
}

// begin waits for the beginning of the body: all of it when it is small.
func (c *call) begin(limit int64) (small bool) {
	c.paced = &admit.Paced{R: c.Body}
	body := newBoundedReader(namedReader{c.paced, "the body cannot be read"}, "the body", limit)
	c.body, small = admit.Begin(body, c.ContentLength)
	return small
}

// maxReading is how many bodies are taken apart at once: what they become is many times
// their size.
const maxReading = 4

// acquire waits for a permit to take the body apart. One permit is for small bodies only,
// which are here already: nobody keeps others from sending such by being slow. Who is
// slow does not keep his.
func (c *call) acquire(small bool) (leave func(), err error) {
	permits := []admit.Semaphore{c.h.reading}
	if !small {
		permits = []admit.Semaphore{c.h.large, c.h.reading}
	}
	leave, ok := admit.Acquire(c.Context(), permits...)
	if !ok {
		return nil, refusal(http.StatusServiceUnavailable, "busy", "", "Too many send data at this time; send it again later.")
	}
	c.paced.Hurry(c.w, c.until)
	return leave, nil
}

// readJSONForm reads the fields of a JSON object. What is in one and is no text
// is kept as it is written: 60, true, {"a":1}. A list is the data
// themselves, as the vendor's Swagger description has them.
func readJSONForm(text []byte) (fields, error) {
	if text[0] == '[' {
		return fields{"data": string(text)}, nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		return nil, badRequest("the JSON cannot be read: %v", err)
	}
	f := make(fields, len(object))
	for name, raw := range object {
		var s string
		switch {
		case string(raw) == "null":
			continue
		case json.Unmarshal(raw, &s) != nil:
			s = strings.ToValidUTF8(string(raw), "\uFFFD")
		}
		f[strings.ToLower(name)] = s
	}
	return f, nil
}

// boundedReader gives at most so many bytes of something.
type boundedReader struct {
	r     io.Reader
	left  int64
	what  string
	limit int64
}

func newBoundedReader(r io.Reader, what string, limit int64) *boundedReader {
	return &boundedReader{r: r, left: limit, what: what, limit: limit}
}

func (b *boundedReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p[:min(int64(len(p)), b.left+1)])
	if b.left -= int64(n); b.left < 0 {
		return 0, tooLarge(b.what, b.limit)
	}
	return n, err
}

// namedReader says what could not be read.
type namedReader struct {
	r    io.Reader
	what string
}

func (n namedReader) Read(p []byte) (int, error) {
	got, err := n.r.Read(p)
	return got, n.name(err)
}

func (n namedReader) name(err error) error {
	var ours *apiError
	if err == nil || err == io.EOF || errors.As(err, &ours) { //nolint:errorlint // io.Reader says io.EOF itself
		return err
	}
	if errors.Is(err, admit.ErrSlow) {
		return refusal(http.StatusServiceUnavailable, "busy", "", "%s: %v; send it again later.", n.what, err)
	}
	return badRequest("%s: %v", n.what, err)
}

// unescaped are blanks that were a + which the client did not escape.
type unescaped struct{ io.Reader }

func (u unescaped) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	for i := range p[:n] {
		if p[i] == ' ' {
			p[i] = '+'
		}
	}
	return n, err
}

// apiError is an answer that is not a success.
type apiError struct {
	status int
	body   coscale.ErrorBody
	reason string // that it is counted by; empty: it is not
}

// refusal is an answer that is not a success; reason and kind may be empty.
func refusal(status int, reason, kind, format string, args ...any) error {
	return &apiError{status, coscale.ErrorBody{Msg: fmt.Sprintf(format, args...), Type: kind}, reason}
}

func (e *apiError) Error() string { return e.body.Msg }

func badRequest(format string, args ...any) error {
	return refusal(http.StatusBadRequest, "malformed", "", format, args...)
}

func tooLarge(what string, limit int64) error {
	size := fmt.Sprintf("%d MiB", limit>>20)
	if limit < 1<<20 {
		size = fmt.Sprintf("%d KiB", limit>>10)
	}
	return refusal(http.StatusRequestEntityTooLarge, "too_large", "", "%s has more than %s; send it in parts", what, size)
}

func notFound(format string, args ...any) error {
	return refusal(http.StatusNotFound, "", "", format, args...)
}

// conflict is a 409; the type is free of DUPLICATE, which clients take for a
// success, and of DISABLED.
func conflict(kind, format string, args ...any) error {
	return refusal(http.StatusConflict, "", kind, format, args...)
}

func duplicate(noun string, id int64) error {
	return &apiError{status: http.StatusConflict, body: coscale.ErrorBody{Msg: fmt.Sprintf("A %s with this name exists.", noun), Type: coscale.Duplicate, ID: id}}
}

// asAPIError finds the answer in an error; one that has none is ours, and is
// not the client's business.
func asAPIError(err error) *apiError {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e
	}
	return &apiError{status: http.StatusServiceUnavailable, body: coscale.ErrorBody{Msg: "This cannot be kept now; send it again later."}, reason: "unavailable"}
}

// message is the body of answers that have nothing else to say.
func message(format string, args ...any) any {
	return coscale.ErrorBody{Msg: fmt.Sprintf(format, args...)}
}
