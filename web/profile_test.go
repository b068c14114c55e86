package web

import (
	"bytes"
	"net/http"
	"os"
	"strings"
	"testing"
)

// Profiles are for those who may see private pages, where the operator allows them at
// all; a page of another site starts none.
func TestProfiles(t *testing.T) {
	o := disksOnly().options()
	closed := handler(t, o)
	o.Profiling = true
	open := handler(t, o)
	foreign := request("GET", "/debug/pprof/profile?seconds=100")
	foreign.Header.Set("Sec-Fetch-Site", "cross-site")
	proxied := request("GET", "/debug/pprof/heap")
	proxied.Header.Set("X-Forwarded-For", "192.0.2.1")
	const off = "this is switched off; start scriptbridge with --web.enable-pprof to allow it\n"
	for _, c := range []struct {
		h      http.Handler
		r      *http.Request
		status int
		want   string
	}{
		{closed, request("GET", "/debug/pprof/"), 403, off},
		{closed, request("GET", "/debug/pprof/heap"), 403, off},
		{closed, stranger("GET", "/debug/pprof/profile"), 403, off},
		{open, stranger("GET", "/debug/pprof/"), 403, "this is for who may see private pages: this page is served on an address that other machines can reach, and no users are configured\n"},
		{open, stranger("GET", "/debug/pprof/cmdline"), 403, "this is for who may see private pages: this page is served on an address that other machines can reach, and no users are configured\n"},
		{open, proxied, 403, "this is for who may see private pages: a proxy passed this request on, so it may come from another machine\n"},
		{open, foreign, 403, "this is for who may see private pages: a page of another site asked for this in a browser\n"},
		{open, request("GET", "/debug/pprof"), 307, ""},
		{open, request("GET", "/debug/pprof/nosuch"), 404, "there is no profile of this name; /debug/pprof/ lists them\n"},
		{open, request("GET", "/debug/pprof/profile?seconds=x"), 400, "seconds=\"x\" cannot be used; write a number of seconds, 110 at most\n"},
		{open, request("GET", "/debug/pprof/profile?seconds=NaN"), 400, "seconds=\"NaN\" cannot be used; write a number of seconds, 110 at most\n"},
		{open, request("GET", "/debug/pprof/trace?seconds=-1"), 400, "seconds=\"-1\" cannot be used; write a number of seconds, 110 at most\n"},
		{open, request("GET", "/debug/pprof/trace?seconds=111"), 400, "seconds=\"111\" cannot be used; write a number of seconds, 110 at most\n"},
		{open, request("GET", "/debug/pprof/cmdline"), 200, strings.Join(os.Args, "\x00")},
	} {
		if w := answer(c.h, c.r); w.Code != c.status || w.Body.String() != c.want {
			t.Errorf("%s: %d %q, want %d %q", c.r.URL, w.Code, w.Body, c.status, c.want)
		}
	}
	list := answer(open, request("GET", "/debug/pprof/")).Body.String()
	for _, name := range []string{"heap", "goroutine", "allocs", "mutex", "block", "threadcreate"} {
		if !strings.Contains(list, "\n"+name+"\t") {
			t.Errorf("%s is not listed:\n%s", name, list)
		}
		w := answer(open, request("GET", "/debug/pprof/"+name+"?gc=1"))
		if w.Code != http.StatusOK || !bytes.HasPrefix(w.Body.Bytes(), []byte{0x1f, 0x8b}) {
			t.Errorf("%s: %d, %.20q", name, w.Code, w.Body)
		}
	}
	if w := answer(open, request("GET", "/debug/pprof/goroutine?debug=2")); !strings.Contains(w.Body.String(), "TestProfiles") {
		t.Errorf("stacks as text:\n%s", w.Body)
	}
	if _, pattern := http.DefaultServeMux.Handler(request("GET", "/debug/pprof/heap")); pattern != "" {
		t.Error("http.DefaultServeMux has profiles")
	}
}
