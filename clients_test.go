package main

import (
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdFakeAPI starts a server that answers as a CoScale API would as far as push and
// wrap look, and writes what it is asked, logins apart, to the file asked: one
// line a request, the form's fields as they came and cdata unpacked. It knows
// no metric 404. -once lets it break the first connection that brings an event,
// after it has taken it.
func cmdFakeAPI(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: fakeapi [-once]")
	}
	asked, err := os.Create(ts.MkAbs("asked"))
	ts.Check(err)
	a := &fakeAPI{asked: asked, ids: map[string]int{}, breakNext: len(args) == 1 && args[0] == "-once"}
	server := httptest.NewServer(a)
	ts.Defer(func() {
		server.Close()
		asked.Close()
	})
	ts.Check(os.WriteFile(ts.MkAbs("token"), []byte("secret-token\n"), 0o600))
	ts.Setenv("SCRIPTBRIDGE_API_URL", server.URL)
	ts.Setenv("SCRIPTBRIDGE_API_APP_ID", "A")
	ts.Setenv("SCRIPTBRIDGE_API_TOKEN_FILE", ts.MkAbs("token"))
}

// apiFor is cmdFakeAPI for a test that runs the program itself.
func apiFor(t *testing.T, asked io.Writer) {
	t.Helper()
	server := httptest.NewServer(&fakeAPI{asked: asked, ids: map[string]int{}})
	t.Cleanup(server.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SCRIPTBRIDGE_API_URL", server.URL)
	t.Setenv("SCRIPTBRIDGE_API_APP_ID", "A")
	t.Setenv("SCRIPTBRIDGE_API_TOKEN_FILE", token)
}

type fakeAPI struct {
	mu        sync.Mutex
	asked     io.Writer
	ids       map[string]int // by path and body
	event     string         // the event taken last
	breakNext bool
}

// moment are the times of a request, which no scenario knows.
var moment = regexp.MustCompile(`\b1\d{9}\b`)

func (a *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/api/v1/app/A/")
	text, _ := io.ReadAll(r.Body)
	body := string(text)
	if path == "login/" {
		if body != "accessToken=secret-token" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"msg":"Invalid access token."}`)
			return
		}
		fmt.Fprint(w, `{"token":"session"}`)
		return
	}
	if path == "data/" {
		r.Body = io.NopCloser(strings.NewReader(body))
		body = unpacked(r)
	}
	query := r.URL.RawQuery
	if query != "" {
		query = "?" + query
	}
	fmt.Fprintf(a.asked, "%s %s%s %s\n", r.Method, path, moment.ReplaceAllString(query, "T"), moment.ReplaceAllString(strings.TrimSuffix(body, "\n"), "T"))
	switch {
	case r.Header.Get("HTTPAuthorization") != "session":
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"msg":"Log in."}`)
	case path == "data/" && strings.Contains(body, `"m":404,`):
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"msg":"No such metric."}`)
	case strings.HasPrefix(path, "events/") && strings.HasSuffix(path, "/data/") && r.Method == http.MethodPost:
		form := r.Clone(r.Context())
		form.Body = io.NopCloser(strings.NewReader(string(text)))
		_ = form.ParseForm()
		a.event = fmt.Sprintf(`{"id":9021,"timestamp":%s,"stopTime":null,"message":%q,"subject":%q,"version":1,"eventId":1}`,
			form.Form.Get("timestamp"), form.Form.Get("message"), form.Form.Get("subject"))
		if a.breakNext {
			a.breakNext = false
			panic(http.ErrAbortHandler)
		}
		fmt.Fprint(w, a.event)
	case r.Method == http.MethodGet:
		fmt.Fprintf(w, "[%s]", a.event)
	case r.Method == http.MethodPut:
		fmt.Fprint(w, a.event)
	case path == "data/":
		fmt.Fprint(w, `{"msg":"stored"}`)
	default:
		id, known := a.ids[path+body]
		if !known {
			id = len(a.ids) + 1
			a.ids[path+body] = id
		}
		fmt.Fprintf(w, `{"id":%d}`, id)
	}
}

// unpacked is the JSON that a request carries which is packed as by the CLI.
func unpacked(r *http.Request) string {
	zip, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(r.FormValue("cdata"))))
	if err != nil {
		return err.Error()
	}
	text, err := io.ReadAll(zip)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
