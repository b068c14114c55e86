package relative

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

// What is asked for leads to what is meant, wherever the server's root is, and never to
// another host.
func TestCleanPaths(t *testing.T) {
	h := CleanPaths(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	for asked, want := range map[string]string{
		"/": "", "/a/b": "", "/a/": "", "/a%2F%2Fb": "", "/a%20b": "", "/a;b/...": "", "*": "",
		"//": "/", "//a": "/a", "/a//b": "/a/b", "/a//b?x=%2F/../y": "/a/b?x=%2F/../y", "/a/./b": "/a/b", "/a/../b": "/b",
		"//evil.example/x": "/evil.example/x", "///evil.example": "/evil.example", "/a//": "/a/", "/a//b%2F%2Fc": "/a/b%2F%2Fc", "//a:b": "/a:b", "/.//a:b": "/a:b",
	} {
		for _, root := range []string{"https://mon.example", "https://mon.example/deep/bridge"} {
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			if asked != "*" {
				u, err := url.Parse("http://h" + asked)
				if err != nil {
					t.Fatal(err)
				}
				r.URL = u
			} else {
				r.URL = &url.URL{Path: "*"}
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if want == "" {
				if w.Code != http.StatusNoContent {
					t.Errorf("%s leads to %s", asked, w.Header().Get("Location"))
				}
				continue
			}
			seen, err := url.Parse(root + asked)
			if err != nil {
				t.Fatal(err)
			}
			to, err := seen.Parse(w.Header().Get("Location"))
			if err != nil || w.Code != http.StatusTemporaryRedirect || to.String() != root+want {
				t.Errorf("%s leads to %s (%q, %d), not to %s%s", seen, to, w.Header().Get("Location"), w.Code, root, want)
			}
		}
	}
}
