package api

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"

	"scriptbridge/collector"
	"scriptbridge/config"
	"scriptbridge/receive"
	"scriptbridge/record"
	"scriptbridge/script"
	"scriptbridge/script/dialect"
	"scriptbridge/status"
	"scriptbridge/upload"
)

// crowd is n scripts, each with twenty runs, and what the metrics page has of them.
type crowd []script.View

func (c crowd) Views() []script.View          { return c }
func (crowd) Containment() script.Containment { return "cgroups" }
func (c crowd) View(name string) (script.View, bool) {
	for _, v := range c {
		if v.Script.Name == name {
			return v, true
		}
	}
	return script.View{}, false
}
func (crowd) Count(record.Kind, string) int                           { return 7 }
func (crowd) Series(record.Kind, string) []collector.SeriesView       { return nil }
func (crowd) Refusals(record.Kind, string) ([]collector.Refusal, int) { return nil, 0 }

func newCrowd(n int) (c crowd) {
	now := time.Now()
	for i := range n {
		name := fmt.Sprintf("script-%04d", i)
		s := &script.Script{Script: dialect.Script{Script: &config.Script{Name: name, Command: []string{"/opt/" + name}}, File: "/opt/" + name}, Dialect: "coscale"}
		v := script.View{Script: s, State: script.Idle, Next: now.Add(time.Minute), Interval: time.Minute, Timeout: 10 * time.Second}
		var runs []*script.Verdict
		for j := range 20 {
			run := &script.Verdict{Start: now.Add(-time.Duration(j) * time.Minute), Duration: time.Duration(i+j) * time.Millisecond, Result: record.OK, Samples: 7}
			if (i+j)%20 == 3 {
				run.Result, run.ExitCode, run.Err, run.Stderr = record.Error, 1, errors.New("exit code 1; its last words: cannot connect"), "cannot connect"
			}
			runs = append(runs, run)
		}
		v.Last, v.History = runs[0], script.HistoryOf(runs...)
		c = append(c, v)
	}
	return c
}

func newServer(t testing.TB, c crowd, hidden string) *Server {
	t.Helper()
	s, err := New(Options{
		Sources: status.Sources{
			Scripts: c, Page: c, Version: "1.2.3",
			Receivers:    func() []receive.View { return []receive.View{{Name: "statsd", Up: true}} },
			Uploads:      func() []upload.State { return []upload.State{{Name: "coscale", Error: "a word of it"}} },
			Late:         func() []string { return nil },
			ConfigStatus: func() (bool, time.Time, error) { return false, time.Now(), errors.New("a word of it") },
		},
		Logger: log.NewNopLogger(),
		Hidden: func(*http.Request) string { return hidden },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// serve has a real server answer, so that what a client gets is seen.
func serve(t testing.TB, h http.Handler) string {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

var next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "next: "+r.URL.Path) })

// ask gives the answer as it is on the wire.
func ask(t testing.TB, method, url string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w, err := (&http.Transport{DisableCompression: true, DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	body, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w, string(body)
}

// What the API does not own goes on, CoScale's API above all; what it owns always
// gets JSON.
func TestPaths(t *testing.T) {
	url := serve(t, newServer(t, newCrowd(2), "").Before(next))
	for _, c := range []struct {
		method, path string
		status       int
		body         string // or its beginning
	}{
		{"GET", "/api/v1/status", 200, `{"private":true,"version":"1.2.3","started":"`},
		{"GET", "/api/v1/scripts", 200, `{"private":true,"scripts":[{"name":"script-0000",`},
		{"GET", "/api/v1/scripts/script-0001", 200, `{"private":true,"name":"script-0001",`},
		{"GET", "/api/v1/receivers", 200, `{"private":true,"receivers":[{"name":"statsd","state":"open",`},
		{"GET", "/api/v1/receivers/statsd", 200, `{"private":true,"name":"statsd","state":"open",`},
		{"GET", "/api/v1/uploads", 200, `{"private":true,"uploads":[{"name":"coscale","state":"failing",`},
		{"GET", "/api/v1/uploads/coscale", 200, `{"private":true,"name":"coscale","state":"failing",`},
		{"HEAD", "/api/v1/status", 200, ""},
		{"GET", "/api/v1/scripts/a%2Fb%0A", 404, `{"status":"error","error":"there is no script \"a/b\\n\""}` + "\n"},
		{"GET", "/api/v1/receivers/x", 404, `{"status":"error","error":"there is no receiver \"x\""}` + "\n"},
		{"GET", "/api/v1/uploads/x", 404, `{"status":"error","error":"there is no upload \"x\""}` + "\n"},
		{"GET", "/api/v1/status/x", 404, `{"status":"error","error":"there is nothing at this address"}` + "\n"},
		{"GET", "/api/v1/scripts/a/b", 404, `{"status":"error","error":"there is nothing at this address"}` + "\n"},
		{"POST", "/api/v1/scripts", 405, `{"status":"error","error":"this is asked for with GET"}` + "\n"},
		{"DELETE", "/api/v1/scripts/x", 405, `{"status":"error","error":"this is asked for with GET"}` + "\n"},
		{"GET", "/api/v1/app/x/status", 200, "next: /api/v1/app/x/status"},
		{"POST", "/api/v1/users/login/", 200, "next: /api/v1/users/login/"},
		{"GET", "/api/v1/statuses", 200, "next: /api/v1/statuses"},
		{"GET", "/api/v1/", 200, "next: /api/v1/"},
		{"GET", "/", 200, "next: /"},
	} {
		w, body := ask(t, c.method, url+c.path)
		if w.StatusCode != c.status || !strings.HasPrefix(body, c.body) || c.status != 200 && body != c.body {
			t.Errorf("%s %s: %d %q, want %d %q", c.method, c.path, w.StatusCode, body, c.status, c.body)
		}
		if kind := w.Header.Get("Content-Type"); strings.HasPrefix(c.body, "{") && kind != "application/json" {
			t.Errorf("%s %s: %s", c.method, c.path, kind)
		}
		if allow := w.Header.Get("Allow"); (c.status == 405) != (allow == "GET, HEAD") {
			t.Errorf("%s %s: Allow: %s", c.method, c.path, allow)
		}
	}
}

// Whoever has a document is told so, be it compressed or not, until it is another one.
func TestETag(t *testing.T) {
	s := newServer(t, newCrowd(20), "")
	at := time.Now()
	s.ConfigStatus = func() (bool, time.Time, error) { return true, at, nil }
	url := serve(t, s.Before(next)) + "/api/v1/status"
	first, text := ask(t, "GET", url)
	tag := first.Header.Get("ETag")
	if !strings.HasPrefix(tag, `W/"`) || first.Header.Get("Cache-Control") != "private, no-cache" || first.Header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("headers %v", first.Header)
	}
	for _, c := range []struct {
		name    string
		headers []string
		status  int
	}{
		{"the same", []string{"If-None-Match", tag}, 304},
		{"one of several", []string{"If-None-Match", `"x", ` + tag}, 304},
		{"not weak", []string{"If-None-Match", strings.TrimPrefix(tag, "W/")}, 304},
		{"any", []string{"If-None-Match", "*"}, 304},
		{"compressed", []string{"If-None-Match", tag, "Accept-Encoding", "gzip"}, 304},
		{"another", []string{"If-None-Match", `W/"x"`}, 200},
		{"none", nil, 200},
	} {
		w, body := ask(t, "GET", url, c.headers...)
		if w.StatusCode != c.status || w.Header.Get("ETag") != tag || (c.status == 304) != (body == "") {
			t.Errorf("%s: %d, ETag %s, %d bytes", c.name, w.StatusCode, w.Header.Get("ETag"), len(body))
		}
	}
	w, packed := ask(t, "GET", url, "Accept-Encoding", "gzip")
	unpacked, err := gzip.NewReader(strings.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(unpacked)
	if err != nil || string(body) != text || len(packed) > len(text)/3 || w.Header.Get("Content-Encoding") != "gzip" || w.Header.Get("ETag") != tag {
		t.Errorf("%d bytes became %d, headers %v (%v)", len(text), len(packed), w.Header, err)
	}
	for _, refused := range []string{"", "identity", "gzip;q=0", "br"} {
		if w, body := ask(t, "GET", url, "Accept-Encoding", refused); w.Header.Get("Content-Encoding") != "" || body != text {
			t.Errorf("Accept-Encoding %q: %v", refused, w.Header)
		}
	}
	at = at.Add(time.Second)
	if w, body := ask(t, "GET", url, "If-None-Match", tag); w.StatusCode != 200 || body == text {
		t.Errorf("another document: %d", w.StatusCode)
	}
}

// Errors are private, here as on the pages; what a terminal would obey is escaped.
func TestHidden(t *testing.T) {
	c := newCrowd(1)
	c[0].Last.Result, c[0].Last.Err = record.Error, errors.New("a word of it \x1b[2J\u202e")
	for hidden, want := range map[string]int{"": 3, "nobody is let in": 0} {
		url := serve(t, newServer(t, c, hidden).Before(next))
		w, body := ask(t, "GET", url+"/api/v1/status")
		if got := strings.Count(body, "a word of it"); got != want || w.StatusCode != 200 {
			t.Errorf("hidden %q: %d, %d times in %s", hidden, w.StatusCode, got, body)
		}
		if hidden == "" && !strings.Contains(body, `a word of it \u001b[2J\u202e"`) {
			t.Errorf("not escaped: %q", body)
		}
		if hidden != "" && !strings.HasPrefix(body, `{"private":false,"hidden":"nobody is let in",`) {
			t.Error(body)
		}
	}
}

func benchmark(b *testing.B, path string) {
	s := newServer(b, newCrowd(1000), "").Before(next)
	r := httptest.NewRequest("GET", path, nil)
	r.Header.Set("Accept-Encoding", "gzip")
	b.ReportAllocs()
	var size int
	for b.Loop() {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		size = w.Body.Len()
	}
	b.ReportMetric(float64(size), "B/answer")
}

func BenchmarkStatus1000(b *testing.B)  { benchmark(b, "/api/v1/status") }
func BenchmarkScripts1000(b *testing.B) { benchmark(b, "/api/v1/scripts") }
