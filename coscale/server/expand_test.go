package server

import (
	"fmt"
	"testing"

	"scriptbridge/coscale"
)

// TestExpandBound asks for more than fits in one answer.
func TestExpandBound(t *testing.T) {
	h, _ := newTestHandler(t, "", nil)
	const depth, servers = 16, 1000
	for i := range depth {
		parent := ""
		if i > 0 {
			parent = fmt.Sprint("&parentId=", 11+i)
		}
		must(t, h, "POST", "/servergroups/", fmt.Sprint("name=g", i, parent))
	}
	for i := range servers {
		must(t, h, "POST", "/servers/", fmt.Sprint("name=s", i))
		for g := range int64(depth) {
			if err := h.registry.join(coscale.ServerGroups, 12+g, coscale.Servers, 17+int64(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	const query = "?expand=servergroups&expand=servers"
	must(t, h, "GET", "/servergroups/12/"+query, "")
	w := ask(h, "GET", "/api/v1/app/A/servergroups/"+query, h.testSession(), "", "")
	want := `400 {"msg":"more than 100000 objects would be in the answer; ask for one group, or expand less"}`
	if got := fmt.Sprintf("%d %.200s", w.Code, w.Body); got != want {
		t.Errorf("all groups: %s, want %s", got, want)
	}
}

// TestAllow: whoever asks by a wrong method is told the right ones. A browser
// asks so first, without a session; that is no failed login.
func TestAllow(t *testing.T) {
	h, _ := newTestHandler(t, "", func(o *HandlerOptions) {
		o.Refused = func(reason string, n int) { t.Errorf("%d counted as refused for %s", n, reason) }
	})
	for _, c := range [][3]string{
		{"OPTIONS", "/servergroups/", "GET, POST, PUT, DELETE"},
		{"OPTIONS", "/nothing/here/", "GET, POST, PUT, DELETE"},
		{"PUT", "/servers/", "GET, POST"},
		{"GET", "/data/", "POST"},
	} {
		session := h.testSession()
		if c[0] == "OPTIONS" {
			session = ""
		}
		w := ask(h, c[0], "/api/v1/app/A"+c[1], session, "", "")
		if w.Code != 405 || w.Header().Get("Allow") != c[2] || w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s %s: %d %v", c[0], c[1], w.Code, w.Header())
		}
	}
}
