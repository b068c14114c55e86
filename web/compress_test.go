package web

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"scriptbridge/internal/access"
)

// Pages and the style sheet are sent compressed to whoever takes that, and are the
// same then; the metrics page, which compresses by itself, is left alone.
func TestCompressed(t *testing.T) {
	o := crowd(200, time.Now()).options()
	o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Vary", "Accept, Accept-Encoding")
		io.WriteString(w, strings.Repeat("a 1\n", 1000))
	})
	h := handler(t, o)
	server := httptest.NewUnstartedServer(h)
	server.Config.BaseContext = access.BaseContext
	server.Start()
	defer server.Close()
	ask := func(method, path, encoding string) (*http.Response, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", "text/html")
		r.Header.Set("Accept-Encoding", encoding)
		w, err := server.Client().Transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Body.Close()
		body, err := io.ReadAll(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		return w, string(body)
	}
	_, home := ask("GET", "/", "identity")
	style := "/" + regexp.MustCompile(`style-\w+\.css`).FindString(home)
	for _, path := range []string{"/", "/scripts/disks", style, "/no/such/page"} {
		plain, text := ask("GET", path, "identity")
		packed, bytes := ask("GET", path, "gzip, deflate, br, zstd")
		if plain.Header.Get("Content-Encoding") != "" || packed.Header.Get("Content-Encoding") != "gzip" || packed.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: %v, compressed %v", path, plain.Header, packed.Header)
			continue
		}
		unpacked, err := gzip.NewReader(strings.NewReader(bytes))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(unpacked)
		// The page says how long ago things were.
		if err != nil || len(got) < len(text)-100 || len(got) > len(text)+100 || plain.StatusCode != packed.StatusCode {
			t.Errorf("%s: %d bytes, unpacked %d (%v)", path, len(text), len(got), err)
		}
		if most := len(text) * 2 / 3; len(bytes) > most || path == "/" && len(bytes) > 20_000 {
			t.Errorf("%s: of %d bytes %d are sent", path, len(text), len(bytes))
		}
		if w, body := ask("HEAD", path, "gzip"); w.StatusCode != plain.StatusCode || body != "" {
			t.Errorf("HEAD %s: %d %q", path, w.StatusCode, body)
		}
	}
	if w, body := ask("GET", "/metrics", "gzip"); w.Header.Get("Content-Encoding") != "" || len(w.Header.Values("Vary")) != 1 || len(body) != 4000 {
		t.Errorf("/metrics: %v", w.Header)
	}
}
