package web

import (
	"net/url"
	"testing"
	"time"
)

// Whatever a script is called, its link leads to its page, its button runs it, and what
// that answers leads back.
func TestRunNowOfAnyName(t *testing.T) {
	names := []string{"db:5432", "javascript:alert(1)", "a/b", "/etc", "a//b", "a%2Fb", "../b", "a?b#c", "run", "run/run", "-", "a;b", `a\b`, `"'<&>`, "\u65e5\u672c"}
	f := &fakes{}
	for _, name := range names {
		f.views = append(f.views, member(1, newScript(name, "coscale", "/opt/a"), time.Now()))
	}
	o, ran := f.options(), ""
	o.Lifecycle, o.RunNow = true, func(name string) error { ran = name; return nil }
	h := handler(t, o)
	led := func(from *url.URL, to string) *url.URL {
		u, err := from.Parse(to)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	root := &url.URL{Path: "/"}
	links := find(page(t, h, request("GET", "/")), "th.name")
	if len(links) != len(names) {
		t.Fatalf("%d links", len(links))
	}
	for _, heading := range links {
		link := find(heading, "a")[0]
		at := led(root, attribute(link, "href"))
		button := led(at, attribute(find(page(t, h, request("GET", at.String())), "form.act")[0], "action"))
		w := answer(h, request("POST", button.String()))
		if name := text(link); w.Code != 303 || ran != name || led(button, w.Header().Get("Location")).String() != at.String() {
			t.Errorf("%q: %s is answered with %d, leads to %q, and %q was run", name, button, w.Code, w.Header().Get("Location"), ran)
		}
	}
}
