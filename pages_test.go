package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"scriptbridge/internal/testkit"
)

// Whatever a script is called, the link on the status page leads to its page, and
// from there back. A name for which no browser would go there is refused.
func TestEveryScriptHasAPage(t *testing.T) {
	names := []string{
		"a", "a/b", "a//b", "//", "/a", "a/", "a/../b", "../a", "./a", "a/..", "...", "..a", "a..", ".a", "%2e%2e", "%2E.", "%", "%2F", "?x=1", "#top", "a b", "a+b", "a;b", "a&b", "a:b", "http://x/",
		`\`, `..\..`, "ä", "日本", "<b>", `"`, "'", "~", "*", "{name}", "-",
	}
	if runtime.GOOS == "windows" { // where it is a root, as / is elsewhere
		names = slices.DeleteFunc(names, func(name string) bool { return name == `\` })
	}
	folder := t.TempDir()
	file := filepath.Join(folder, "c.yml")
	var config strings.Builder
	config.WriteString("scripts:\n")
	for _, name := range names {
		fmt.Fprintf(&config, "  - {name: %q, command: \"true\", dialect: nagios}\n", name)
	}
	if err := os.WriteFile(file, []byte(config.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	base, err := url.Parse(startProgram(t, "--config.file="+file, "--web.listen-address=127.0.0.1:0") + "/")
	if err != nil {
		t.Fatal(err)
	}
	var status []byte
	testkit.Await(t, "the scripts", func() bool { // which come after the port is open
		status = httpGet(t, base.String())
		return bytes.Contains(status, fmt.Appendf(nil, "%d scripts", len(names)))
	})
	for i, name := range names {
		var page *url.URL
		for _, link := range linksOf(t, status) {
			if link.text == name && strings.HasPrefix(link.href, "scripts/") {
				page, err = base.Parse(link.href)
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		if page == nil {
			t.Errorf("%q (%d) is not on the status page", name, i)
			continue
		}
		resp, err := http.Get(page.String())
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		text := httpGet(t, page.String())
		if resp.StatusCode != http.StatusOK || resp.Request.URL.String() != page.String() || !strings.Contains(html.UnescapeString(string(text)), "<title>"+name+" –") {
			t.Errorf("%q at %s: %d at %s", name, page, resp.StatusCode, resp.Request.URL)
		}
		back := false
		for _, link := range linksOf(t, text) {
			to, err := page.Parse(link.href)
			back = back || err == nil && to.String() == base.String()
		}
		if !back {
			t.Errorf("%q at %s does not lead back", name, page)
		}
	}
	for _, c := range []struct{ name, command, want string }{
		{`name: "."`, "true", `c.yml:1: scripts[0]: name "." cannot be the end of an address, and so have a page (give another name:)`},
		{`name: ".."`, "true", `c.yml:1: scripts[0]: name ".." cannot be the end of an address, and so have a page (give another name:)`},
		{`name: "/"`, "true", `c.yml:1: scripts[0]: name "/" cannot be the end of an address, and so have a page (give another name:)`},
		{`name: ""`, "true", `c.yml:1: scripts[0]: name is empty (give it a value)`},
		{`interval: 1m`, "/srv/...sh", `c.yml:1: scripts[0]: name ".." cannot be the end of an address, and so have a page (give another name:)`},
	} {
		t.Chdir(folder)
		if err := os.WriteFile("c.yml", fmt.Appendf(nil, "scripts: [{%s, command: %q}]\n", c.name, c.command), 0o600); err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		_ = run(t.Context(), []string{"check", "c.yml"}, &stderr, &stderr)
		if got, _, _ := strings.Cut(stderr.String(), "\n"); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

type pageLink struct{ href, text string }

// linksOf gives the links of a page.
func linksOf(t *testing.T, page []byte) (links []pageLink) {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode || n.Data != "a" {
			continue
		}
		link := pageLink{}
		for _, a := range n.Attr {
			if a.Key == "href" {
				link.href = a.Val
			}
		}
		for c := range n.Descendants() {
			if c.Type == html.TextNode {
				link.text += c.Data
			}
		}
		links = append(links, link)
	}
	return links
}
