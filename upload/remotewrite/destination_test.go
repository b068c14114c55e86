package remotewrite

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/prometheus/client_golang/exp/api/remote"
	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/model/labels"

	"scriptbridge/config"
)

// What is not a destination's own answer is no success, and teaches nothing of what it
// knows; what would be the same for ever is a refusal, whatever its status.
func TestAnswers(t *testing.T) {
	groups := []group{{samples: []sample{{labels: labels.FromStrings("__name__", "a"), value: 1, at: 1, family: new(family)}}}}
	for _, c := range []struct {
		name    string
		answer  func(w http.ResponseWriter, r *http.Request)
		refused bool
		text    string
	}{
		{"a page", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.WriteHeader(http.StatusOK)
		}, false, errPage.Error()},
		{"a login form", func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				w.WriteHeader(http.StatusOK)
				return
			}
			http.Redirect(w, r, "/login", http.StatusFound)
		}, false, `Post "http://receiver.example/login": the destination redirects to a page; only the statuses 307 and 308 redirect a request with its content`},
		{"too old", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "too old sample", http.StatusInternalServerError)
		}, true, "the destination answers HTTP status 500 Internal Server Error: too old sample"},
		{"another error", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "oops", http.StatusInternalServerError)
		}, false, "the destination answers HTTP status 500 Internal Server Error: oops"},
	} {
		to := newReceiver(remote.WriteV2MessageType, remote.WriteV1MessageType)
		odd := true
		to.answer = func(w http.ResponseWriter, r *http.Request) bool {
			if odd {
				c.answer(w, r)
			}
			return odd
		}
		d := to.to(t, "")
		err := d.send(t.Context(), groups)
		if _, refused := errors.AsType[*refusedError](err); err == nil || err.Error() != c.text || refused != c.refused {
			t.Errorf("%s: %T %v\nwant %s", c.name, err, err, c.text)
		}
		odd = false
		if err := d.send(t.Context(), groups); err != nil || !d.new || d.old {
			t.Errorf("%s: then %v, new %v, old %v", c.name, err, d.new, d.old)
		}
	}
}

// handed has requests answered by a function, as a transport that gives secrets does: what
// is answered knows the request as it was sent.
type handed func(r *http.Request) *http.Response

func (f handed) RoundTrip(r *http.Request) (*http.Response, error) {
	w := f(r)
	w.Request = r
	return w, nil
}

// answerOf is an answer with a body that breaks off.
func answerOf(code int, header http.Header, body string) *http.Response {
	return &http.Response{StatusCode: code, Status: fmt.Sprint(code, " ", http.StatusText(code)), Header: header, Body: io.NopCloser(io.MultiReader(strings.NewReader(body), iotest.ErrReader(errors.New("broken off"))))}
}

func one() []group {
	return []group{{samples: []sample{{labels: labels.FromStrings("__name__", "a"), value: 1, at: 1, family: new(family)}}}}
}

// A URL is asked as it is written.
func TestURLAsWritten(t *testing.T) {
	for _, path := range []string{"/api/v1/write", "/write/", "/a//b", "/a%2Fb/c/?tenant=1", "/a/../b", "", "/?x=%2F", "/%41"} {
		got := ""
		d, err := newDestination("http://receiver.example"+path, &http.Client{Transport: handed(func(r *http.Request) *http.Response {
			got = r.URL.String()
			return answerOf(http.StatusNoContent, http.Header{}, "")
		})}, string(remote.WriteV1MessageType), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.send(t.Context(), one()); err != nil || got != "http://receiver.example"+path {
			t.Errorf("%s: %s, %v", path, got, err)
		}
	}
}

// The status and the headers of an answer count, though its body breaks off, or never ends.
func TestBrokenAnswer(t *testing.T) {
	for _, c := range []struct {
		code    int
		refused bool
		text    string
	}{
		{http.StatusOK, false, ""},
		{http.StatusBadRequest, true, "the destination answers HTTP status 400 Bad Request: so"},
		{http.StatusServiceUnavailable, false, "the destination answers HTTP status 503 Service Unavailable: so"},
	} {
		d, err := newDestination("http://receiver.example/", &http.Client{Transport: handed(func(*http.Request) *http.Response {
			return answerOf(c.code, http.Header{"X-Prometheus-Remote-Write-Samples-Written": {"1"}}, "so")
		})}, "", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		err = d.send(t.Context(), one())
		if _, refused := errors.AsType[*refusedError](err); refused != c.refused || fmt.Sprint(err) != cmp.Or(c.text, "<nil>") {
			t.Errorf("%d: %v", c.code, err)
		}
	}
}

// What a destination says of the request is told without what was sent to authorize it,
// also where no file has that.
func TestAuthorizationEchoed(t *testing.T) {
	d, err := newDestination("http://receiver.example/", &http.Client{Transport: handed(func(r *http.Request) *http.Response {
		r.Header.Set("Authorization", "Bearer fetched-token-1")
		return answerOf(http.StatusBadRequest, http.Header{}, "bad: Authorization: Bearer fetched-token-1 (fetched%2dtoken-1)")
	})}, string(remote.WriteV1MessageType), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	const want = "the destination answers HTTP status 400 Bad Request: bad: Authorization: Bearer <secret> (<secret>)"
	if err := d.send(t.Context(), one()); err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}

// Secrets are sent to the destination alone.
func TestRedirectsAndSecrets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("secret-1"), 0o600); err != nil {
		t.Fatal(err)
	}
	var got []string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Host, r.Header.Get("X-Token"), r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusNoContent)
	}))
	defer other.Close()
	elsewhere := strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
	to := ""
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, to, http.StatusTemporaryRedirect)
	}))
	defer first.Close()
	for _, c := range []struct {
		to     string
		secret bool
		text   string
	}{
		{elsewhere, true, fmt.Sprintf("Post %q: the destination redirects to localhost, which is not given the secrets; write its URL if it is to have them", elsewhere)},
		{elsewhere, false, ""},
		{other.URL, true, ""},
		{first.URL, false, fmt.Sprintf("Post %q: stopped after 10 redirects", first.URL)},
		{first.URL, true, fmt.Sprintf("Post %q: stopped after 10 redirects", first.URL)},
	} {
		to, got = c.to, nil
		cfg := &config.UploadRemoteWrite{URL: first.URL, ProtobufMessage: string(remote.WriteV1MessageType), RemoteTimeout: time.Minute, Client: promconfig.DefaultHTTPClientConfig}
		if c.secret {
			cfg.HTTP.HTTPHeaders = map[string]config.HTTPHeader{"X-Token": {Files: []string{file}}}
			cfg.Client.HTTPHeaders = &promconfig.Headers{Headers: map[string]promconfig.Header{"X-Token": {Files: []string{file}}}}
		}
		d, err := destinationOf(cfg)
		if err != nil {
			t.Fatal(err)
		}
		err = d.send(t.Context(), one())
		if fmt.Sprint(err) != cmp.Or(c.text, "<nil>") || c.text != "" && got != nil {
			t.Errorf("%s, secret %v: %v, asked %q", c.to, c.secret, err, got)
		}
	}
}

// However long a destination asks to wait, it is a time ahead.
func TestRetryAfterOdd(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": 0, "3": 3 * time.Second, "-3": -3 * time.Second, "soon": 0, "1e9": 0,
		"10000000000": 10 * time.Minute, "99999999999999999999": 10 * time.Minute, "-10000000000": -10 * time.Minute,
	} {
		if got := min(max(retryAfter(text), -10*time.Minute), 10*time.Minute); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
