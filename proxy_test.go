package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"scriptbridge/internal/testkit"
)

// proxied is a bridge behind a reverse proxy.
type proxied struct {
	name  string
	flags []string // with URL for the proxy's address
	strip string   // of the path that the proxy is asked for
	add   string   // to what is left
	host  bool     // the proxy passes the client's Host on
	below string   // where the bridge is found behind the proxy
	// probe is the path of a target that Prometheus finds without the proxy.
	probe string
}

var proxiedBridges = []proxied{
	{name: "the proxy keeps the path", flags: []string{"--web.external-url=URL/monitor/bridge/"}, below: "/monitor/bridge", probe: "/monitor/bridge/probe"},
	{name: "it keeps the path and the host", flags: []string{"--web.external-url=URL/bridge"}, host: true, below: "/bridge", probe: "/bridge/probe"},
	{name: "it strips the path", flags: []string{"--web.external-url=URL/bridge", "--web.route-prefix=/"}, strip: "/bridge", below: "/bridge", probe: "/probe"},
	{name: "it strips the path and keeps the host", flags: []string{"--web.external-url=URL/bridge", "--web.route-prefix=/"}, strip: "/bridge", host: true, below: "/bridge", probe: "/probe"},
	{name: "it puts another one there", flags: []string{"--web.external-url=URL/bridge", "--web.route-prefix=inner/x/"}, strip: "/bridge", add: "/inner/x", below: "/bridge", probe: "/inner/x/probe"},
	{name: "the URL is a path", flags: []string{"--web.external-url=/bridge"}, below: "/bridge", probe: "/bridge/probe"},
	{name: "a prefix alone", flags: []string{"--web.route-prefix=/bridge"}, host: true, below: "/bridge", probe: "/bridge/probe"},
	{name: "no path", flags: []string{"--web.external-url=URL"}, host: true, below: "", probe: "/probe"},
	{name: "nothing is said", strip: "/bridge", below: "/bridge", probe: "/probe"},
}

// start starts the bridge and the proxy, and gives their addresses.
func (p *proxied) start(t *testing.T, flags ...string) (direct, outside *url.URL) {
	t.Helper()
	to := new(url.URL)
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetXForwarded()
		r.Out.URL.Scheme, r.Out.URL.Host = to.Scheme, to.Host
		path := strings.TrimPrefix(r.In.URL.EscapedPath(), p.strip)
		if path == "" && p.strip != "" {
			path = "/"
		}
		r.Out.URL.RawPath = p.add + path
		r.Out.URL.Path, _ = url.PathUnescape(r.Out.URL.RawPath)
		if !p.host {
			r.Out.Host = to.Host
		}
	}})
	t.Cleanup(proxy.Close)
	for _, f := range p.flags {
		flags = append(flags, strings.Replace(f, "URL", proxy.URL, 1))
	}
	started, err := url.Parse(startProgram(t, append(flags, "--web.listen-address=127.0.0.1:0")...))
	if err != nil {
		t.Fatal(err)
	}
	*to = *started
	outside, _ = url.Parse(proxy.URL + p.below + "/")
	return started, outside
}

// fetchPage fetches a page as a browser does, and says where it was in the end.
func fetchPage(t *testing.T, method, address string, form io.Reader) (status int, at *url.URL, text string) {
	t.Helper()
	r, err := http.NewRequest(method, address, form)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html,*/*")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Request.URL, string(body)
}

// leadsTo gives what a page leads to: links, its style sheet, where its forms go.
func leadsTo(t *testing.T, at *url.URL, page string) (all []*url.URL) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		for _, a := range n.Attr {
			if n.Type != html.ElementNode || a.Key != "href" && a.Key != "src" && a.Key != "action" || strings.HasPrefix(a.Val, "data:") {
				continue
			}
			to, err := at.Parse(a.Val)
			if err != nil {
				t.Fatal(err)
			}
			to.Fragment = ""
			all = append(all, to)
		}
	}
	return all
}

// Behind a proxy, whatever that does with the path, every link of every page leads to
// an answer, and none out of the bridge; so do redirects, and what Prometheus is told.
func TestBehindProxy(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "c.yml")
	tokens := filepath.Join(folder, "tokens")
	write(t, file, `scripts:
  - {name: "a/b", command: "echo v 1", dialect: prometheus, probe: true}
  - {name: plain, command: "echo w 2", dialect: prometheus, probe: true}
receive:
  coscale: {app_id: shop, access_tokens_file: `+tokens+`}
  collectd: {http_path: /collectd-post}
`, 0o600)
	write(t, tokens, "open-sesame-open-sesame\n", 0o600)
	for _, p := range proxiedBridges {
		t.Run(p.name, func(t *testing.T) {
			direct, outside := p.start(t, "--config.file="+file, "--web.enable-lifecycle", "--storage.path="+t.TempDir())
			base := strings.TrimSuffix(outside.String(), "/")
			testkit.Await(t, "the scripts", func() bool {
				status, _, _ := fetchPage(t, "GET", base+"/-/ready", nil)
				return status == http.StatusOK
			})
			crawl(t, base)
			p.redirects(t, base)
			p.targets(t, direct, base)
			for _, c := range []struct {
				method, path, form string
				status             int
			}{
				{"POST", "/api/v1/app/shop/login/", "accessToken=open-sesame-open-sesame", 200},
				{"POST", "/api/v1/app/shop/login/", "accessToken=wrong-sesame-wrong-sesame", 400},
				{"POST", "/-/reload", "", 200},
				{"POST", "/collectd-post", "[]", 403}, // a proxy has passed it on
				{"GET", "/debug/pprof/", "", 403},
			} {
				if status, _, text := fetchPage(t, c.method, base+c.path, strings.NewReader(c.form)); status != c.status {
					t.Errorf("%s %s: %d: %s", c.method, c.path, status, text)
				}
			}
		})
	}
}

// crawl follows everything from a bridge's first page on, and from that of an address
// where nothing is.
func crawl(t *testing.T, base string) {
	t.Helper()
	first, _ := url.Parse(base + "/")
	lost, _ := url.Parse(base + "/no/such//page")
	outside := strings.TrimSuffix(first.Path, "/")
	seen := map[string]bool{}
	for next := []*url.URL{first, lost}; len(next) > 0; next = next[1:] {
		to := next[0]
		if seen[to.String()] {
			continue
		}
		seen[to.String()] = true
		if !strings.HasPrefix(to.String(), base+"/") {
			t.Errorf("a link leads to %s", to)
			continue
		}
		method := "GET"
		if strings.HasSuffix(to.Path, "/run") {
			method = "POST"
		}
		status, at, text := fetchPage(t, method, to.String(), nil)
		if form := method == "POST" && status == http.StatusForbidden || to.Path == outside+"/probe" && status == http.StatusBadRequest; form {
			continue // it is there, and asks for more
		}
		if status != http.StatusOK && !strings.HasSuffix(to.Path, "/such/page") && to != lost {
			t.Errorf("a link leads to %s: %d", to, status)
		}
		if strings.Contains(text, "<!doctype html>") {
			next = append(next, leadsTo(t, at, text)...)
		}
	}
	for _, want := range []string{"/", "/metrics", "/scripts/a%2Fb", "/scripts/plain", "/receivers/coscale", "/?state=failing"} {
		if !seen[base+want] {
			t.Errorf("nothing leads to %s; seen: %q", want, slices.Sorted(maps.Keys(seen)))
		}
	}
}

// redirects asks for what is somewhere else.
func (p *proxied) redirects(t *testing.T, base string) {
	t.Helper()
	for from, want := range map[string]string{
		"/api/v1/scripts//plain": "/api/v1/scripts/plain",
		"//scripts/plain":        "/scripts/plain", "/scripts//plain?refresh=5": "/scripts/plain?refresh=5", "//metrics": "/metrics", "///": "/",
	} {
		if status, at, text := fetchPage(t, "GET", base+from, nil); status != http.StatusOK || at.String() != base+want {
			t.Errorf("%s leads to %s: %d %.200s", from, at, status, text)
		}
	}
	if p.below == "" || p.strip != "" {
		return
	}
	outside := strings.TrimSuffix(base, p.below)
	for _, from := range []string{"/", p.below, p.below + "?refresh=5"} {
		_, query, _ := strings.Cut(from, "?")
		status, at, _ := fetchPage(t, "GET", outside+from, nil)
		if at.RawQuery != query || status != http.StatusOK || !strings.HasPrefix(at.String(), base+"/") {
			t.Errorf("%s leads to %s: %d", from, at, status)
		}
	}
	for _, nothing := range []string{"/metrics", p.below + "x", p.below + "x/metrics", "/-/healthy", "/api/v1/app/shop/login/"} {
		if status, _, _ := fetchPage(t, "GET", outside+nothing, nil); status != http.StatusNotFound {
			t.Errorf("%s: %d", nothing, status)
		}
	}
	_, at, text := fetchPage(t, "GET", outside+"/far/away", nil)
	for _, to := range leadsTo(t, at, text) {
		if to.String() != outside+"/far/away" && !strings.HasPrefix(to.String(), base+"/") {
			t.Errorf("the page of an address where nothing is leads to %s", to)
		}
	}
}

// targets scrapes what Prometheus is told to, by the way by which it was told.
func (p *proxied) targets(t *testing.T, direct *url.URL, base string) {
	t.Helper()
	if p.flags == nil || p.name == "a prefix alone" {
		return // how the proxy is reached is not said
	}
	for _, from := range []string{base, direct.String() + strings.TrimSuffix(p.probe, "/probe")} {
		var list []target
		if err := json.Unmarshal(httpGet(t, from+"/discovery"), &list); err != nil || len(list) != 2 {
			t.Fatalf("%s: %v, %v", from, list, err)
		}
		for _, one := range list {
			labels := one.Labels
			address := "http://" + one.Targets[0] + labels["__metrics_path__"]
			if from == direct.String() && labels["__metrics_path__"] != p.probe {
				t.Errorf("asked without the proxy: %s", address)
			}
			page := httpGet(t, address+"?"+url.Values{"script": {labels["__param_script"]}}.Encode())
			if !bytes.Contains(page, []byte("script_success")) {
				t.Errorf("%s: %s", address, page)
			}
		}
	}
}

// Private pages stay closed to what a proxy passes on, by whatever name it was asked;
// whoever asks on this machine without it sees them.
func TestProxyOpensNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yml")
	write(t, file, "scripts: [{name: one, command: echo secret_series 1, dialect: prometheus}]\n", 0o600)
	for _, p := range proxiedBridges {
		t.Run(p.name, func(t *testing.T) {
			direct, outside := p.start(t, "--config.file="+file, "--web.enable-pprof", "--web.enable-lifecycle")
			prefix := strings.TrimSuffix(p.probe, "/probe")
			const hidden = "What the script printed, its command and its configuration are not shown"
			var text string
			testkit.Await(t, "the script", func() bool {
				_, _, text = fetchPage(t, "GET", outside.String()+"scripts/one", nil)
				return strings.Contains(text, "<title>one")
			})
			if !strings.Contains(text, hidden) {
				t.Errorf("by the proxy:\n%s", text)
			}
			if status, _, _ := fetchPage(t, "GET", outside.String()+"debug/pprof/heap", nil); status != http.StatusForbidden {
				t.Errorf("a profile, by the proxy: %d", status)
			}
			if _, _, text := fetchPage(t, "GET", direct.String()+prefix+"/scripts/one", nil); strings.Contains(text, hidden) {
				t.Errorf("on this machine:\n%s", text)
			}
			if status, at, text := fetchPage(t, "POST", direct.String()+prefix+"/scripts/one/run", nil); status != http.StatusConflict && (status != http.StatusOK || at.String() != direct.String()+prefix+"/scripts/one") { // a conflict: it runs already, or has just run
				t.Errorf("a run, on this machine: %d at %s: %.200s", status, at, text)
			}
			if status, _, _ := fetchPage(t, "GET", direct.String()+prefix+"/debug/pprof/heap", nil); status != http.StatusOK {
				t.Errorf("a profile, on this machine: %d", status)
			}
		})
	}
}

// One CPU profile can be recorded at a time; meanwhile all else is answered, and it ends
// when the asker has gone.
func TestProfileOfTheProgram(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yml")
	write(t, file, "scripts: [{name: one, command: echo v 1, dialect: prometheus}]\n", 0o600)
	base := startProgram(t, "--config.file="+file, "--web.listen-address=127.0.0.1:0", "--web.enable-pprof")
	profile := base + "/debug/pprof/profile?seconds="
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan struct{})
	go func() {
		defer close(left)
		for ctx.Err() == nil { // one that is refused, because of a short one of below, is asked for again
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, profile+"100", nil)
			if err != nil {
				return
			}
			if resp, err := http.DefaultClient.Do(r); err == nil {
				resp.Body.Close()
			}
		}
	}()
	testkit.Await(t, "the first one to be recorded", func() bool {
		status, _, text := fetchPage(t, "GET", profile+"0.001", nil)
		return status == http.StatusConflict && text == "another one is being recorded; try again when it has ended\n"
	})
	if page := httpGet(t, base+"/metrics"); !bytes.Contains(page, []byte("\ngo_goroutines ")) {
		t.Errorf("a scrape:\n%s", page)
	}
	for _, name := range []string{"heap", "goroutine", "trace?seconds=0.01"} {
		if status, _, text := fetchPage(t, "GET", base+"/debug/pprof/"+name, nil); status != http.StatusOK || len(text) < 100 {
			t.Errorf("%s meanwhile: %d", name, status)
		}
	}
	leave()
	<-left
	testkit.Await(t, "the next one", func() bool {
		status, _, text := fetchPage(t, "GET", profile+"0.001", nil)
		return status == http.StatusOK && strings.HasPrefix(text, "\x1f\x8b")
	})
}

// A value that cannot be used is told with its flag.
func TestLocationFlags(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yml")
	write(t, file, "scripts: []\n", 0o600)
	const like = "write it like https://monitoring.example/scriptbridge"
	for flag, want := range map[string]string{
		"--web.external-url=monitoring.example/x":   "is not a URL of http or https (" + like + ")",
		"--web.external-url=ftp://h/x":              "is not a URL of http or https (" + like + ")",
		"--web.external-url=localhost:9090/x":       "is not a URL of http or https (" + like + ")",
		"--web.external-url=https:///x":             "is not a URL of http or https (" + like + ")",
		"--web.external-url=//h/x":                  "is not a URL of http or https (" + like + ")",
		"--web.external-url=http://:80/x":           "is not a URL of http or https (" + like + ")",
		"--web.external-url='http://h/x'":           "is not a URL (" + like + ")",
		`--web.external-url="http://h/x"`:           "is not a URL (" + like + ")",
		"--web.external-url=http://h/%zz":           "is not a URL (" + like + ")",
		"--web.external-url=http://h/a b":           "has a path that is not a plain path (" + like + ")",
		"--web.external-url=http://h/a/../b":        "has a path that is not a plain path (" + like + ")",
		"--web.external-url=http://h/a//b":          "has a path that is not a plain path (" + like + ")",
		"--web.external-url=http://h/%2Fa":          "has a path that is not a plain path (" + like + ")",
		"--web.external-url=http://ann:secret@h/x":  "has a user in it (leave it out: users are set in the file of --web.config.file)",
		"--web.external-url=http://h/x?a=b":         "has more than a host and a path (leave out what follows ? or #)",
		"--web.external-url=http://h/x#":            "has more than a host and a path (leave out what follows ? or #)",
		"--web.route-prefix=/a/../b":                "is not a plain path (write it like /scriptbridge, or / for none)",
		"--web.route-prefix=/{x}":                   "is not a plain path (write it like /scriptbridge, or / for none)",
		"--web.route-prefix=/ä":                     "is not a plain path (write it like /scriptbridge, or / for none)",
		"--web.route-prefix=/\xff":                  "is not a plain path (write it like /scriptbridge, or / for none)",
		"--web.route-prefix=/<script>":              "is not a plain path (write it like /scriptbridge, or / for none)",
		"--web.route-prefix=/a\x01b":                "is not a plain path (write it like /scriptbridge, or / for none)",
		"--web.external-url=http://h:99999/x":       "has a port that is none (write it like https://monitoring.example/scriptbridge)",
		"--web.external-url=http://h:/x":            "has a port that is none (write it like https://monitoring.example/scriptbridge)",
		"--web.route-prefix=a b":                    "is not a plain path (write it like /scriptbridge, or / for none)",
		"--web.route-prefix=https://h/scriptbridge": "is not a plain path (write it like /scriptbridge, or / for none)",
		"--web.route-prefix=/scriptbridge?x=1":      "is not a plain path (write it like /scriptbridge, or / for none)",
	} {
		err := run(t.Context(), []string{"--config.file=" + file, flag}, io.Discard, io.Discard)
		if shown := strings.Replace(flag, "http://ann:secret@h/x", "…", 1); err == nil || err.Error() != shown+" "+want {
			t.Errorf("%s: %v", flag, err)
		}
	}
}
