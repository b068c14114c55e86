package yamltree

import (
	"fmt"
	"strings"
	"testing"
)

// TestParse: what a text file of cases cannot hold.
func TestParse(t *testing.T) {
	var laughs strings.Builder
	laughs.WriteString("k0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 6; i++ {
		alias := fmt.Sprintf("*a%d", i-1)
		fmt.Fprintf(&laughs, "k%d: &a%d [%s]\n", i, i, strings.Repeat(alias+", ", 9)+alias)
	}
	for _, tt := range []struct{ name, text, want, errors string }{
		{"byte order mark and CRLF", "\ufeffa: 1\r\nb:\r\n  - c\r\n", "a: 1\nb: [c]\n", ""},
		{"UTF-8", "a: 1\nb: \xff\n", "", "x.yml:2:4: the text is not UTF-8 (save the file as UTF-8)"},
		{"tab", "a:\n\t- b\n", "", "x.yml:2:1: a tab is used where only spaces are allowed (use spaces instead)"},
		{"comments", "# a\n---\n# b\n", "", ""},
		{"aliases to aliases", laughs.String(), "", "x.yml:5: holds more than 100000 values, aliases written out (use fewer aliases of aliases)"},
		{"merged list", "a: &a {x: 1, w: 1}\nb: &b {w: 2, z: 2}\nc:\n  <<: [*a, *b]\n  x: 3\n",
			"a:\n  x: 1\n  w: 1\nb:\n  w: 2\n  z: 2\nc:\n  x: 3\n  w: 1\n  z: 2\n", ""},
		{"anchored anew", "a: &a 1\nb: *a\nc: &a 2\nd: *a\n", "a: 1\nb: 1\nc: 2\nd: 2\n", ""},
		{"tagged alias", "a: &a 1\nb: !!str 2\nc: *a\n", "a: 1\nb: \"2\"\nc: 1\n", ""},
		{"in itself", "a: &a [*a]\n", "a:\n  - null\n", "x.yml:1: *a has no anchor &a before it (put the value in quotes if the * is part of it)"},
		{"UTF-16", "\xff\xfea\x00:\x00", "", "x.yml:1: the text is UTF-16 (save the file as UTF-8)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r Report
			v := Parse(&r, "x.yml", []byte(tt.text))
			errors := ""
			if err := r.Join(nil); err != nil {
				errors = err.Error()
			}
			if errors != tt.errors {
				t.Errorf("errors:\n got %s\nwant %s", errors, tt.errors)
			}
			if want := map[string]string{"anchored anew": "x.yml:3: the anchor &a is in line 1 already; from here on *a means this one"}[tt.name]; want != "" && (len(r.Warnings) != 1 || r.Warnings[0].Error() != want) || want == "" && len(r.Warnings) != 0 {
				t.Errorf("warnings %q, want %q", r.Warnings, want)
			}
			if got := Render(v, false); tt.want != "" && got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
		})
	}
}

// TestExcerpt: what the cases of bad-yaml.txtar do not show.
func TestExcerpt(t *testing.T) {
	var r Report
	Parse(&r, "x.yml", []byte("a: 1\nb: caf\xe9 x\n"))
	if got, want := WithExcerpts(r.Join(nil)).Error(), "x.yml:2:7: the text is not UTF-8 (save the file as UTF-8)\n  2 | b: caf\ufffd x\n    |       ^"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	r = Report{}
	Parse(&r, "x.yml", []byte("a: 1\r\nb: \"c\r\nd: 2\r\n"))
	if got, want := WithExcerpts(r.Join(nil)).Error(), "x.yml:2:4: b: the quote \" is not closed (close it with another \", or put the value in quotes of the other kind if the \" is part of it)\n  2 | b: \"c\n    |    ^"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if WithExcerpts(nil) != nil {
		t.Error("no error became one")
	}
}

// TestSyntaxErrorsKeepSecrets: an error's own text, which goes to the log and to
// pages, has nothing of what the file gives a value to; and what people see at
// their terminal has no value behind a word that looks like a secret.
func TestSyntaxErrorsKeepSecrets(t *testing.T) {
	for _, tt := range []struct {
		text  string
		shown bool // it is no secret to who looks at the file
	}{
		{text: `a: [/bin/x, --auth, hunter2, "y]`},
		{text: `a: [/bin/x, "--auth", "hunter2", "y]`},
		{text: `a: [/bin/x, '--Auth-Value' , 'hunter2', "y]`},
		{text: `a: [/bin/x, --password=hunter2, "y]`},
		{text: `a: [/bin/x, --pass, hunter2, "y]`},
		{text: `a: [/bin/x, --access-key, hunter2, "y]`},
		{text: `a: [/bin/x, -H, "X-Credential: hunter2", 'y]`},
		{text: `a: {Authorization: Bearer hunter2, x`},
		{text: `a: {authorization : hunter2, x`},
		{text: `a: {h: BEARER hunter2, x`},
		{text: `a: {"passwd": hunter2, x`},
		{text: `a: {api.token: hunter2, x`},
		{text: "a:\n  - --auth\n  - \"hunter2"},
		{text: "a:\r\n  - '--auth'\r\n  - 'hunter2\r\n"},
		{text: "a: [x, --token,\n  hunter2, \"x]"},
		{text: "a:\n  \"auth\":\n    'hunter2"},
		{text: "a:\n  auth:\n    user: hunter2: x"},
		{text: "a: ./x.sh --login hunter2: x", shown: true},
		{text: "a:hunter2\nb: c\n", shown: true},
		{text: "a: @hunter2", shown: true},
		{text: "a: |hunter2\n b", shown: true},
		{text: "a: \"x\" hunter2", shown: true},
		{text: "a: [b, , hunter2, }", shown: true},
	} {
		var r Report
		Parse(&r, "x.yml", []byte(tt.text))
		err := r.Join(nil)
		if err == nil {
			t.Errorf("%q is YAML", tt.text)
			continue
		}
		if !strings.HasPrefix(err.Error(), "x.yml:") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error's text is %q", tt.text, err)
		}
		if told := WithExcerpts(err).Error(); strings.Contains(told, "hunter2") != tt.shown {
			t.Errorf("%q is told as\n%s", tt.text, told)
		}
	}
}
