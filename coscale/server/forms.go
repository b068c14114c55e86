package server

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"scriptbridge/coscale"
)

// Bounds of what a client may send.
const (
	maxLogin  = 64 << 10 // bytes of a login's body, which anybody may send
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

// readForm reads the body of a request: urlencoded or JSON, whatever its header
// says, since curl calls everything a form; none is an empty form.
func readForm(r *http.Request, limit int64) (fields, error) {
	if enc := r.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return nil, refusal(http.StatusUnsupportedMediaType, "", "", "a body with Content-Encoding %.40q is not read", enc)
	}
	body, err := readBounded(r.Body, limit)
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

// readBounded reads all of a body, if that is not too much.
func readBounded(body io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, limit+1))
	switch {
	case err != nil:
		return nil, badRequest("the body cannot be read: %v", err)
	case int64(len(data)) > limit:
		return nil, tooLarge("the body", limit)
	}
	return data, nil
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

// gunzipData gives the JSON in cdata: base64 of gzip. A + that a client did not
// escape comes as a blank.
func gunzipData(cdata string) ([]byte, error) {
	packed, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(cdata, " ", "+"))
	if err != nil {
		return nil, badRequest("cdata is no base64: %v", err)
	}
	unzip, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, badRequest("cdata is no gzip: %v", err)
	}
	text, err := io.ReadAll(io.LimitReader(unzip, maxGunzip+1))
	switch {
	case err != nil:
		return nil, badRequest("cdata is no gzip: %v", err)
	case len(text) > maxGunzip:
		return nil, tooLarge("the JSON in cdata", maxGunzip)
	}
	return text, nil
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
