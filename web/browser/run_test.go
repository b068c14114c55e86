package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// runs is how often a script has run.
func (b bridge) runs(t *testing.T, name string) string {
	t.Helper()
	return strings.Join(regexp.MustCompile(`(?m)^scriptbridge_script_runs_total\{script="`+name+`".*`).FindAllString(b.get(t, "/metrics"), -1), "\n")
}

// testRunNow shows that the button runs a script, and that a page of another origin
// cannot.
func testRunNow(t *testing.T, p *tab, b bridge) {
	before := b.runs(t, "fine")
	p.do(chromedp.Navigate(b.base + "/scripts/fine"))
	if _, err := chromedp.RunResponse(p.ctx, chromedp.Click(chromedp.CSS(".act button"))); err != nil {
		t.Fatal(err)
	}
	if at := eval[string](p, `location.href`); at != b.base+"/scripts/fine" {
		t.Errorf("the button leads to %s", at)
	}
	await(t, "the script to run", func() bool { return b.runs(t, "fine") != before })

	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<form method="post" action="%s/scripts/fine/run"><button>Win</button></form>`, b.base)
	}))
	defer other.Close()
	before = b.runs(t, "fine")
	for _, origin := range []string{other.URL, strings.Replace(other.URL, "127.0.0.1", "localhost", 1)} {
		p.do(chromedp.Navigate(origin))
		answer, err := chromedp.RunResponse(p.ctx, chromedp.Click(chromedp.CSS("button")))
		if err != nil {
			t.Fatal(err)
		}
		if text := eval[string](p, `document.body.innerText`); answer.Status != http.StatusForbidden || strings.TrimSpace(text) != "a page of another site asked for this in a browser" {
			t.Errorf("a form at %s is answered %d %q", origin, answer.Status, text)
		}
	}
	if after := b.runs(t, "fine"); after != before {
		t.Errorf("a page of another site has run the script:\n%s\nbefore\n%s", after, before)
	}
}
