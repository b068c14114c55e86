package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Of all that has an effect, nothing is done for a page of another site, nor on a
// loopback listener by a name that is not this machine's; Prometheus reads /metrics
// by any name, and on other listeners /probe too.
func TestForeignRequests(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	own := l.Addr().String()
	l.Close()
	write("s.sh", "#!/bin/sh\necho 'm 1'\n")
	if err := os.Chmod(write("tokens", "a-token-that-is-long-enough\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const common = "scripts: [{name: s, command: ./s.sh, dialect: prometheus, probe: true}]\nreceive:\n  collectd: {http_path: /collectd-post}\n"
	onWeb := write("web.yml", common+"  coscale: {app_id: a, access_tokens_file: tokens}\n")
	onOwn := write("own.yml", strings.Replace(common, "  collectd: {http_path: /collectd-post}\n", "", 1)+"  coscale: {app_id: a, access_tokens_file: tokens, listen: [\""+own+"\"]}\n")
	args := func(config, address string) []string {
		return []string{"--config.file=" + config, "--web.listen-address=" + address, "--web.enable-lifecycle", "--config.auto-reload-interval=0", "--web.allowed-host=Scriptbridge.Local"}
	}
	const login = "/api/v1/app/a/login/"
	for _, served := range []struct {
		name     string
		args     []string
		base     string // "": the web port
		loopback bool
		paths    []string // method, path and body, and what is answered to who may
	}{
		{"the web port", args(onWeb, "127.0.0.1:0"), "", true,
			[]string{"POST /-/reload  200", "GET /probe?script=s  200", "POST " + login + " accessToken=x 400", "GET " + login + "  405", "POST /collectd-post [] 200"}},
		{"an address of its own", args(onOwn, "127.0.0.1:0"), "http://" + own, true, []string{"POST " + login + " accessToken=x 400"}},
		{"all addresses", args(onOwn, "0.0.0.0:0"), "", false, []string{"POST /-/reload  200", "GET /probe?script=s  200"}},
	} {
		t.Run(served.name, func(t *testing.T) {
			url := startProgram(t, served.args...)
			if served.base != "" {
				eventually(t, func() error {
					c, err := net.Dial("tcp", own)
					if err == nil {
						c.Close()
					}
					return err
				})
				url = served.base
			}
			ask := func(method, path, body, host, header string) (int, string) {
				t.Helper()
				r, err := http.NewRequest(method, strings.Replace(url, "localhost", "127.0.0.1", 1)+path, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				if host != "" {
					r.Host = host
				}
				if name, value, ok := strings.Cut(header, ": "); ok {
					r.Header.Set(name, value)
				}
				if method == http.MethodPost {
					r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				}
				resp, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if resp.Header.Get("X-Content-Type-Options") != "nosniff" {
					t.Errorf("%s %s: a browser may guess what it is: %v", method, path, resp.Header)
				}
				text, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				return resp.StatusCode, string(text)
			}
			for _, path := range served.paths {
				words := strings.Split(path, " ")
				method, where, body, good := words[0], words[1], words[2], words[3]
				for _, c := range []struct {
					host, header string
					refused      bool
				}{
					{"", "", false},
					{"localhost:1", "", false},
					{"scriptbridge.local", "", false},
					{"evil.example", "", served.loopback},
					{"evil.example", "Origin: http://evil.example", served.loopback},
					{"", "Origin: http://evil.example", true},
					{"", "Sec-Fetch-Site: cross-site", true},
					{"", "Sec-Fetch-Site: same-site", true},
					{"", "Sec-Fetch-Site: none", false},
				} {
					if where == "/collectd-post" && c.host == "scriptbridge.local" {
						continue // it is private: for localhost alone
					}
					want := good
					if c.refused {
						want = "403"
					}
					if status, text := ask(method, where, body, c.host, c.header); fmt.Sprint(status) != want {
						t.Errorf("%s %s, host %q, %s: %d %s, want %s", method, where, c.host, c.header, status, text, want)
					}
				}
			}
			if served.base == "" {
				for _, header := range []string{"", "Sec-Fetch-Site: cross-site"} {
					if status, _ := ask(http.MethodGet, "/metrics", "", "prometheus-scrapes.example", header); status != 200 {
						t.Errorf("/metrics: %d", status)
					}
				}
			}
		})
	}
}
