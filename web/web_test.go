package web

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"scriptbridge/collector"
	"scriptbridge/internal/access"
	"scriptbridge/internal/peer"
	"scriptbridge/script"
)

// disksOnly is a bridge with the script disks alone.
func disksOnly() *fakes {
	v, series, refusals := diskView(time.Now())
	return &fakes{
		views:    []script.View{v},
		series:   map[string][]collector.SeriesView{"disks": series},
		refusals: map[string][]collector.Refusal{"disks": refusals},
	}
}

func handler(t testing.TB, o Options) http.Handler {
	t.Helper()
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// request is one that may see everything, by its listener and host.
func request(method, target string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r.Host = "localhost"
	return r.WithContext(from(access.BaseContext(bound{addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}), ourselves, nil))
}

// from says who is at the other end.
func from(ctx context.Context, who peer.User, err error) context.Context {
	return access.WithPeer(ctx, func() (peer.User, error) { return who, err })
}

// ourselves, and another user.
var (
	ourselves = peer.User{Name: "uid 0", Own: true}
	another   = peer.User{Name: "uid 61001"}
)

// browser is a request that asks for a page.
func browser(method, target string) *http.Request {
	r := request(method, target)
	r.Header.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
	return r
}

// stranger is one that may not.
func stranger(method, target string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	return r.WithContext(access.BaseContext(bound{addr: &net.TCPAddr{IP: net.IPv4zero}}))
}

func answer(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// page gives the document that a request is answered with.
func page(t testing.TB, h http.Handler, r *http.Request) *html.Node {
	t.Helper()
	w := answer(h, r)
	if w.Code != http.StatusOK {
		t.Fatalf("%s: status %d: %s", r.URL, w.Code, w.Body)
	}
	doc, err := html.Parse(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// find gives the elements of a kind, below n, in order: "tr", "tr.class" or
// ".class".
func find(n *html.Node, kind string) []*html.Node {
	tag, class, _ := strings.Cut(kind, ".")
	var found []*html.Node
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && (tag == "" || d.Data == tag) &&
			(class == "" || strings.Contains(" "+attribute(d, "class")+" ", " "+class+" ")) {
			found = append(found, d)
		}
	}
	return found
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// text is what one reads of an element, blanks run together.
func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func textsOf(nodes []*html.Node) []string {
	var list []string
	for _, n := range nodes {
		list = append(list, text(n))
	}
	return list
}

func TestEndpoints(t *testing.T) {
	ready := false
	o := disksOnly().options()
	o.Late = func() []string {
		if ready {
			return nil
		}
		return []string{"script a\x1bb", "receiver statsd", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"}
	}
	o.TelemetryPath = "/prom/metrics"
	h := handler(t, o)
	for _, c := range []struct {
		request, body string
		status        int
		allow         string
	}{
		{"GET /-/healthy", "scriptbridge is healthy\n", 200, ""},
		{"HEAD /-/healthy", "scriptbridge is healthy\n", 200, ""}, // a recorder keeps what a server leaves out
		{"GET /-/ready", "scriptbridge is not ready; it waits for script a\u241bb, receiver statsd, c, d, e, f, g, h, i, j and 2 more\n", 503, ""},
		{"GET /prom/metrics", "metrics\n", 200, ""},
		{"GET /metrics", "404 page not found\n", 404, ""},
		{"GET /scripts/nobody", "there is no script of this name\n", 404, ""},
		{"GET /scripts/", "404 page not found\n", 404, ""},
		{"GET /anything", "404 page not found\n", 404, ""},
		{"POST /", "Method Not Allowed\n", 405, "GET, HEAD"},
		{"DELETE /scripts/disks", "Method Not Allowed\n", 405, "GET, HEAD"},
		{"POST /prom/metrics", "Method Not Allowed\n", 405, "GET, HEAD"},
		{"GET /-/reload", "Method Not Allowed\n", 405, "POST"},
		{"GET /-/quit", "Method Not Allowed\n", 405, "POST"},
	} {
		method, target, _ := strings.Cut(c.request, " ")
		w := answer(h, request(method, target))
		if w.Code != c.status || w.Body.String() != c.body || w.Header().Get("Allow") != c.allow {
			t.Errorf("%s: %d %q, Allow %q; want %d %q, %q", c.request, w.Code, w.Body, w.Header().Get("Allow"), c.status, c.body, c.allow)
		}
	}
	ready = true
	if w := answer(h, request("GET", "/-/ready")); w.Code != 200 || w.Body.String() != "scriptbridge is ready\n" {
		t.Errorf("ready: %d %q", w.Code, w.Body)
	}
}

func TestLifecycle(t *testing.T) {
	var reloadErr error
	calls := ""
	o := disksOnly().options()
	o.Reload = func() error { calls += "reload "; return reloadErr }
	o.Quit = func() { calls += "quit " }
	check := func(what string, r *http.Request, status int, body string) {
		t.Helper()
		if w := answer(handler(t, o), r); w.Code != status || w.Body.String() != body {
			t.Errorf("%s: %d %q, want %d %q", what, w.Code, w.Body, status, body)
		}
	}
	const off = "this is switched off; start scriptbridge with --web.enable-lifecycle to allow it\n"
	check("reload, off", request("POST", "/-/reload"), 403, off)
	check("quit, off", request("POST", "/-/quit"), 403, off)
	if calls != "" {
		t.Fatalf("calls while it was off: %s", calls)
	}

	o.Lifecycle = true
	const crossSite = "a page of another site asked for this in a browser\n"
	foreign := request("POST", "/-/quit")
	foreign.Header.Set("Sec-Fetch-Site", "cross-site")
	check("quit from a foreign page", foreign, 403, crossSite)
	old := request("POST", "/-/reload")
	old.Header.Set("Origin", "https://evil.example")
	check("reload from a foreign page in an old browser", old, 403, crossSite)
	rebound := request("POST", "/-/reload")
	rebound.Host = "evil.example"
	rebound.Header.Set("Origin", "http://evil.example")
	rebound.Header.Set("Sec-Fetch-Site", "same-origin")
	check("reload by a name that was made to lead here", rebound, 403, "this address answers requests for localhost, 127.0.0.1 and [::1]; --web.allowed-host and "+access.HostsFile()+" can give it other names\n")
	if calls != "" {
		t.Fatalf("calls from foreign pages: %s", calls)
	}

	check("reload", request("POST", "/-/reload"), 200, "reloaded\n")
	reloadErr = errors.Join(errors.New("a.yml:3: interval 0s is too short"), errors.New("a.yml:9: unknown key comand"))
	check("reload, refused", request("POST", "/-/reload"), 500,
		"not reloaded, the previous configuration stays in use:\na.yml:3: interval 0s is too short\na.yml:9: unknown key comand\n")
	remote := request("POST", "/-/reload")
	check("reload, refused, where all may ask", remote.WithContext(access.BaseContext(bound{addr: &net.TCPAddr{IP: net.IPv4zero}})), 500,
		"not reloaded, the previous configuration stays in use; the log says why\n")
	check("quit", request("POST", "/-/quit"), 200, "quitting\n")
	if calls != "reload reload reload quit " {
		t.Errorf("calls: %q", calls)
	}
}

func TestHeaders(t *testing.T) {
	h := handler(t, disksOnly().options())
	for _, target := range []string{"/", "/scripts/disks"} {
		for _, method := range []string{"GET", "HEAD"} {
			got := answer(h, request(method, target)).Header()
			for name, want := range map[string]string{
				"Content-Type":            "text/html; charset=utf-8",
				"Cache-Control":           "no-store",
				"X-Content-Type-Options":  "nosniff",
				"Referrer-Policy":         "same-origin",
				"Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
			} {
				if got.Get(name) != want {
					t.Errorf("%s %s: %s: %q, want %q", method, target, name, got.Get(name), want)
				}
			}
		}
	}
}

// The pages need no script, and load nothing but their style sheet, which is
// there and may be cached.
func TestPagesStandAlone(t *testing.T) {
	h := handler(t, disksOnly().options())
	for _, target := range []string{"/", "/scripts/disks", "/?refresh=5", "/scripts/disks?refresh=5"} {
		doc := page(t, h, request("GET", target))
		for n := range doc.Descendants() {
			for _, a := range n.Attr {
				if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
					t.Errorf("%s: <%s> has the attribute %s, which the policy forbids", target, n.Data, a.Key)
				}
			}
		}
		scripts := 0
		if strings.Contains(target, "refresh") {
			scripts = 1
		}
		if len(find(doc, "script")) != scripts || len(find(doc, "style"))+len(find(doc, "img")) > 0 {
			t.Errorf("%s: an element that the policy forbids", target)
		}
		for _, js := range find(doc, "script") {
			at, err := request("GET", target).URL.Parse(attribute(js, "src"))
			if err != nil {
				t.Fatal(err)
			}
			w := answer(h, request("GET", at.Path))
			if w.Code != 200 || w.Header().Get("Content-Type") != "text/javascript; charset=utf-8" || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") ||
				text(js) != "" || attribute(js, "data-every") != "5" {
				t.Errorf("%s: %d %v", at, w.Code, w.Header())
			}
		}
		for _, link := range find(doc, "link") {
			if attribute(link, "rel") != "stylesheet" {
				continue
			}
			r := request("GET", target)
			sheet, err := r.URL.Parse(attribute(link, "href"))
			if err != nil {
				t.Fatal(err)
			}
			w := answer(h, request("GET", sheet.Path))
			if w.Code != 200 || w.Header().Get("Content-Type") != "text/css; charset=utf-8" || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
				t.Errorf("%s: %d %v", sheet, w.Code, w.Header())
			}
		}
		if lang := attribute(find(doc, "html")[0], "lang"); lang != "en" || text(find(doc, "title")[0]) == "" {
			t.Errorf("%s: lang %q, title %q", target, lang, text(find(doc, "title")[0]))
		}
	}
}

func TestTelemetryPath(t *testing.T) {
	const end = " (the default is /metrics)"
	for path, want := range map[string]string{
		"/metrics":   "",
		"/a/b":       "",
		"metrics":    `--web.telemetry-path "metrics" does not begin with a slash` + end,
		"":           `--web.telemetry-path "" does not begin with a slash` + end,
		"/":          `--web.telemetry-path "/" is the path of the status page` + end,
		"/m/":        `--web.telemetry-path "/m/" is not a plain path` + end,
		"/{x}":       `--web.telemetry-path "/{x}" is not a plain path` + end,
		"/-/ready":   `--web.telemetry-path "/-/ready" is taken by another endpoint` + end,
		"/scripts/a": `--web.telemetry-path "/scripts/a" is taken by another endpoint` + end,
		"/probe":     `--web.telemetry-path "/probe" is taken by another endpoint` + end,
	} {
		o := disksOnly().options()
		o.TelemetryPath = path
		got := ""
		if _, err := New(o); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", path, got, want)
		}
	}
}

// A script is run now where the operator allows it, for a page of our own; a browser is
// led to its page, or told why not.
func TestRunNow(t *testing.T) {
	f := shop()
	o := f.options()
	var ran []string
	var runErr error
	o.RunNow = func(name string) error { ran = append(ran, name); return runErr }
	const target = "/scripts/a%2Fb%20%3F/run"
	button := func() bool {
		return len(find(page(t, handler(t, o), stranger("GET", "/scripts/disks")), "form.act")) > 0
	}
	check := func(what string, r *http.Request, code int, location, body string) {
		t.Helper()
		w := answer(handler(t, o), r)
		if w.Code != code || w.Header().Get("Location") != location || !strings.Contains(w.Body.String(), body) {
			t.Errorf("%s: %d, to %q: %s", what, w.Code, w.Header().Get("Location"), w.Body)
		}
	}
	check("off", request("POST", target), 403, "", "this is switched off")
	if button() {
		t.Error("there is a button that does nothing")
	}
	o.Lifecycle = true
	foreign := request("POST", target)
	foreign.Header.Set("Sec-Fetch-Site", "cross-site")
	check("foreign", foreign, 403, "", "a page of another site asked for this in a browser")
	rebound := request("POST", target)
	rebound.Host = "evil.example"
	check("a name that was made to lead here", rebound, 403, "", "this address answers requests for localhost")
	check("GET", request("GET", target), 405, "", "")
	if len(ran) > 0 {
		t.Fatalf("it was run: %q", ran)
	}
	if !button() {
		t.Error("there is no button")
	}
	own := request("POST", target)
	own.Header.Set("Sec-Fetch-Site", "same-origin")
	check("from our page", own, 303, "../a%2Fb%20%3F", "the script is run now\n")
	runErr = script.ErrRunning
	check("running", request("POST", target), 409, "", "the script is running already\n")
	inBrowser := browser("POST", target)
	inBrowser.Header.Set("Accept", "text/html")
	check("running, in a browser", inBrowser, 409, "", "<h1>Not run</h1>\n<p>Sorry, the script is running already.</p>\n<p><a href=\"./../../\">")
	runErr = script.ErrNoScript
	check("none", request("POST", target), 404, "", "there is no script of this name\n")
	if len(ran) != 4 || ran[0] != "a/b ?" {
		t.Errorf("it was run: %q", ran)
	}
}

// Where nothing is, a browser gets a page with a way back, and others a text.
func TestMissingPages(t *testing.T) {
	h := handler(t, disksOnly().options())
	for target, c := range map[string]struct{ text, html string }{
		"/anything":         {"404 page not found\n", "there is no page at this address"},
		"/a/b%2Fc/":         {"404 page not found\n", "there is no page at this address"},
		"/scripts/":         {"404 page not found\n", "there is no page at this address"},
		"/scripts/nobody":   {"there is no script of this name\n", "there is no script of this name"},
		"/scripts/a%2F%3Cb": {"there is no script of this name\n", "there is no script of this name"},
		"/receivers/none":   {"there is no receiver of this name\n", "there is no receiver of this name"},
	} {
		if w := answer(h, request("GET", target)); w.Code != 404 || w.Body.String() != c.text || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
			t.Errorf("%s: %d %q", target, w.Code, w.Body)
		}
		r := browser("GET", target)
		w := answer(h, r)
		doc, err := html.Parse(w.Body)
		if err != nil || w.Code != 404 || w.Header().Get("Content-Type") != "text/html; charset=utf-8" || w.Header().Get("Content-Security-Policy") == "" {
			t.Fatalf("%s: %d %v, %v", target, w.Code, w.Header(), err)
		}
		if got := textsOf(find(find(doc, "main")[0], "p")); got[0] != "Sorry, "+c.html+"." || got[1] != "All scripts, receivers and uploads" {
			t.Errorf("%s: %q", target, got)
		}
		back, err := r.URL.Parse(attribute(find(find(doc, "main")[0], "a")[0], "href"))
		if err != nil || back.Path != "/" {
			t.Errorf("%s: the way back is %v, %v", target, back, err)
		}
		for _, link := range find(doc, "link") {
			if sheet, err := r.URL.Parse(attribute(link, "href")); attribute(link, "rel") == "stylesheet" && (err != nil || answer(h, request("GET", sheet.Path)).Code != 200) {
				t.Errorf("%s: the style sheet is not at %s", target, sheet)
			}
		}
		if text(find(doc, "h1")[0]) != "Not found" || text(find(doc, "title")[0]) != "Not found – scriptbridge" || attribute(find(doc, "html")[0], "lang") != "en" {
			t.Errorf("%s: it has no title, heading or language", target)
		}
	}
	// What is no question of a path stays what it was.
	for target, status := range map[string]int{"POST /": 405, "GET /-/reload": 405, "DELETE /scripts/disks": 405, "POST /anything": 404, "GET /metrics": 200, "GET /": 200} {
		method, path, _ := strings.Cut(target, " ")
		if w := answer(h, browser(method, path)); w.Code != status || status == 405 && w.Header().Get("Allow") == "" {
			t.Errorf("%s: %d, Allow %q", target, w.Code, w.Header().Get("Allow"))
		}
	}
}

// A page that cannot be made is said so, and the log says why.
func TestRenderFails(t *testing.T) {
	broken, err := parse(`{{define "main"}}{{.NoSuchField}}{{end}}`)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Options: disksOnly().options()}
	w := httptest.NewRecorder()
	s.render(w, http.StatusOK, broken, frame{})
	if w.Code != 500 || w.Body.String() != "the page could not be made; the log says why\n" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}
