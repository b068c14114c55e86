package server

import (
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"scriptbridge/coscale"
	"scriptbridge/record"
)

// checkSink fails the test for a batch that no sink should see.
type checkSink struct{ t *testing.T }

func (s checkSink) Put(b *record.Batch) error {
	last := make(map[string]int64)
	for _, smp := range b.Samples {
		at := smp.Time.Unix()
		if smp.Meta == nil || math.IsNaN(smp.Value) || math.IsInf(smp.Value, 0) || at < 1e8 || at > testNow.Unix()+86400 {
			s.t.Errorf("put %+v", smp)
		}
		key := smp.Name + smp.Subject.Kind.String() + smp.Subject.Name
		for _, l := range smp.Labels {
			key += l.Name + "\x00" + l.Value + "\x01"
		}
		if at < last[key] {
			s.t.Errorf("%q goes back from %d to %d", key, last[key], at)
		}
		last[key] = at
	}
	for _, e := range b.Events {
		if e.ID == "" || e.Meta == nil || e.Start.IsZero() {
			s.t.Errorf("put %+v", e)
		}
	}
	return nil
}

// fuzzHandler makes a handler with a metric of each sort, a server and events.
func fuzzHandler(t *testing.T) *Handler {
	h, _ := newTestHandler(t, "", func(o *HandlerOptions) { o.Sink = checkSink{t} })
	must(t, h, "POST", "/servers/", "name=web-01")
	for _, m := range []string{"name=a&dataType=DOUBLE", "name=b&dataType=COUNT", "name=c&dataType=HISTOGRAM"} {
		must(t, h, "POST", "/metrics/", m)
	}
	must(t, h, "POST", "/events/", "name=Backups")
	must(t, h, "POST", "/events/31/data/", "message=m")
	return h
}

// checkAnswer asks, and fails the test for an answer that a client could not
// read.
func checkAnswer(t *testing.T, h *Handler, method, path, body string) {
	t.Helper()
	w := ask(h, method, path, h.testSession(), "", body)
	switch w.Code {
	case 200, 400, 403, 404, 405, 409, 413:
	default:
		t.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	if !json.Valid(w.Body.Bytes()) || w.Body.Len() == 0 {
		t.Errorf("%s %s: not JSON: %q", method, path, w.Body)
	}
	if w.Code != 200 {
		var e coscale.ErrorBody
		if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || e.Msg == "" {
			t.Errorf("%s %s: %s", method, path, w.Body)
		}
	}
}

// requests are those of the pairs, as seeds.
func requests(f *testing.F, use func(method, path, body string)) {
	paths, err := filepath.Glob("testdata/handler/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range txtar.Parse(text).Files {
			if file.Name == "request" {
				head, body, _ := strings.Cut(string(file.Data), "\n\n")
				line, _, _ := strings.Cut(head, "\n")
				method, path, _ := strings.Cut(line, " ")
				use(method, path, strings.TrimPrefix(strings.TrimSpace(body), "cdata-of "))
			}
		}
	}
}

// FuzzHandler sends anything anywhere below the application, logged in.
func FuzzHandler(f *testing.F) {
	requests(f, func(method, path, body string) { f.Add(method, path, body) })
	f.Fuzz(func(t *testing.T, method, path, body string) {
		u, err := url.Parse(path)
		if err != nil || u.Host != "" || strings.Contains(path, "login") {
			return
		}
		if _, err := http.NewRequest(method, "http://x/", nil); err != nil || method == "" {
			return
		}
		target := "/api/v1/app/A/" + url.PathEscape(strings.TrimPrefix(u.Path, "/api/v1/app/A/"))
		target = strings.ReplaceAll(target, "%2F", "/") + "?" + u.Query().Encode()
		checkAnswer(t, fuzzHandler(t), method, target, body)
	})
}

// FuzzInsertData sends anything as data, plain and packed.
func FuzzInsertData(f *testing.F) {
	requests(f, func(_, _, body string) {
		if form, err := url.ParseQuery(body); err == nil {
			body = form.Get("data")
		}
		f.Add(body)
	})
	f.Fuzz(func(t *testing.T, text string) {
		h := fuzzHandler(t)
		for _, body := range []string{
			"data=" + url.QueryEscape(text),
			"cdata=" + url.QueryEscape(packed(text)),
			"cdata=" + url.QueryEscape(text),
		} {
			checkAnswer(t, h, "POST", "/api/v1/app/A/data/", body)
		}
	})
}
