package config

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
		{"UTF-8", "a: 1\nb: \xff\n", "", "x.yml:2: the text is not UTF-8 (save the file as UTF-8)"},
		{"tab", "a:\n\t- b\n", "", `x.yml:2: found character '\t' that cannot start any token`},
		{"comments", "# a\n---\n# b\n", "", ""},
		{"aliases to aliases", laughs.String(), "", "x.yml:5: holds more than 100000 values, aliases written out"},
		{"merged list", "a: &a {x: 1, w: 1}\nb: &b {w: 2, z: 2}\nc:\n  <<: [*a, *b]\n  x: 3\n",
			"a:\n  x: 1\n  w: 1\nb:\n  w: 2\n  z: 2\nc:\n  x: 3\n  w: 1\n  z: 2\n", ""},
		{"anchored anew", "a: &a 1\nb: *a\nc: &a 2\nd: *a\n", "a: 1\nb: 1\nc: 2\nd: 2\n", ""},
		{"tagged alias", "a: &a 1\nb: !!str 2\nc: *a\n", "a: 1\nb: \"2\"\nc: 1\n", ""},
		{"in itself", "a: &a [*a]\n", "a:\n  - null\n", "x.yml:1: *a has no anchor &a before it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r report
			v := parse(&r, "x.yml", []byte(tt.text))
			errors := ""
			if err := r.join(nil); err != nil {
				errors = err.Error()
			}
			if errors != tt.errors {
				t.Errorf("errors:\n got %s\nwant %s", errors, tt.errors)
			}
			if got := render(v, false); tt.want != "" && got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
		})
	}
}
