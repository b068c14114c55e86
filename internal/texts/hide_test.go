package texts

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"mime/quotedprintable"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestHide(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"a secret and an abc", "a <secret> and an <secret>"},
		{"abcd abc", "<secret> <secret>"},
		{"a+b%26%22 a b&\" a%20b&%22 a b&amp;&#34;", "<secret> <secret> <secret> <secret>"},
		{`{"a b\u0026\""}`, `{"<secret>"}`},
		{"nothing of it: 100% & more, C:\\dir, a+b", "nothing of it: 100% & more, C:\\dir, a+b"},
		{"%zz &nosuch; &#x; \\ \\u12 %", "%zz &nosuch; &#x; \\ \\u12 %"},
	} {
		if got := Hide(c.text, "", "abc", "secret", "abcd", `a b&"`); got != c.want {
			t.Errorf("%s: %s, not %s", c.text, got, c.want)
		}
	}
}

// lower has the hexadecimal digits of %XX in lower case.
func lower(s string) string {
	for i := 0; i+2 < len(s); i++ {
		if s[i] == '%' {
			s = s[:i] + strings.ToLower(s[i:i+3]) + s[i+3:]
		}
	}
	return s
}

// each spells every byte, or every character, by a format.
func each(s, format string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, format, s[i])
	}
	return b.String()
}

// spellingsOf are the ways in which a text may come back.
func spellingsOf(s string) map[string]string {
	quoted, _ := json.Marshal(s)
	var mail strings.Builder
	w := quotedprintable.NewWriter(&mail)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	query := url.QueryEscape(s)
	all := map[string]string{
		"plain":                 s,
		"query":                 query,
		"query, lower case":     lower(query),
		"query, twice":          url.QueryEscape(query),
		"query, but the slash":  strings.ReplaceAll(query, "%2F", "/"),
		"path":                  url.PathEscape(s),
		"every byte":            each(s, "%%%02x"),
		"JSON":                  string(quoted[1 : len(quoted)-1]),
		"JSON, with its slash":  strings.ReplaceAll(string(quoted[1:len(quoted)-1]), "/", `\/`),
		"Go":                    strings.Trim(strconv.QuoteToASCII(s), `"`),
		"HTML":                  html.EscapeString(s),
		"HTML, twice":           html.EscapeString(html.EscapeString(s)),
		"HTML of a query":       html.EscapeString(query),
		"mail":                  strings.ReplaceAll(mail.String(), "=\r\n", ""),
		"base64":                base64.StdEncoding.EncodeToString([]byte(s)),
		"base64 of a URL":       base64.RawURLEncoding.EncodeToString([]byte(s)),
		"base64, in a query":    url.QueryEscape(base64.RawStdEncoding.EncodeToString([]byte(s))),
		"basic authentication":  base64.StdEncoding.EncodeToString([]byte("u:" + s)),
		"with a longer name":    base64.StdEncoding.EncodeToString([]byte("us:" + s)),
		"with an even longer":   base64.StdEncoding.EncodeToString([]byte("use:" + s)),
		"in the middle of more": base64.StdEncoding.EncodeToString([]byte("token=" + s + "&x=1")),
	}
	if isPlain(s) {
		all["JSON, every character"] = each(s, `\u%04x`)
		all["HTML, every character"] = each(s, "&#x%x;")
	}
	return all
}

// Whatever a secret is made of, no spelling of it is shown.
func TestHideSpellings(t *testing.T) {
	for _, secret := range []string{"S3cr+et/tok==", `p"a\s's`, "%41%2Bx%", "a&amp;b&#43;c", "motörhead😀", "with a blank", "=3D=", "<b>&</b>"} {
		for name, spelled := range spellingsOf(secret) {
			text := "echo accessToken=" + spelled + ", said the server"
			if got := Hide(text, "another", secret); got != "echo accessToken=<secret>, said the server" && got != "echo <secret>, said the server" {
				t.Errorf("%s of %q: %s became %s", name, secret, text, got)
			}
		}
	}
}

// FuzzHide: what hides is gone, the rest stays, and nothing takes long.
func FuzzHide(f *testing.F) {
	f.Add(`\\\\\\\\\\\\\\\\\\\\\\u005c`, `\\\\\\\\`)
	f.Add("%25252525252525%2541", "%%%%")
	f.Add("&amp;amp;amp;amp;#38;", "&&;;")
	f.Fuzz(func(t *testing.T, text, secret string) {
		got := Hide(text, secret)
		if secret == "" && got != text {
			t.Fatalf("%q became %q", text, got)
		}
		if utf8.ValidString(secret) && secret != "" && !strings.Contains(Hidden, secret) {
			if got := Hide("<"+text+"|"+secret+"|", secret); strings.Contains(strings.ReplaceAll(got, Hidden, ""), "|"+secret+"|") {
				t.Fatalf("%q is in %q", secret, got)
			}
		}
	})
}
