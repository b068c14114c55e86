package yamltree

import (
	"fmt"
	"strings"
	"testing"
)

// A file that would cost the parser more than the machine has is an error like
// others, and what it says up to the bounds is read.
func TestLimits(t *testing.T) {
	deep := "maps and lists stand in one another more than 100 deep"
	many := "a map or list has more than 10000 entries"
	indented := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(strings.Repeat(" ", i) + "a:\n")
		}
		return b.String()
	}
	for _, c := range []struct {
		name, text string
		want       string // the error; empty for none of the bounds
	}{
		{"lists in brackets", "a: " + strings.Repeat("[", 1_000_000), "big.yml:1: " + deep},
		{"lists in lines", "\n" + strings.Repeat("[\n", 1_000_000), "big.yml:102: " + deep},
		{"maps in braces", "a: " + strings.Repeat("{a: ", 500_000), "big.yml:1: " + deep},
		{"dashes", strings.Repeat("- ", 1_000_000), "big.yml:1: " + deep},
		{"question marks", strings.Repeat("? ", 1_000_000), "big.yml:1: " + deep},
		{"indented keys", indented(1500), "big.yml:101: " + deep},
		{"tags", "a: " + strings.Repeat("!!str ", 300_000), "big.yml:1: " + deep},
		{"tags and comments", "a:\n" + strings.Repeat(" !!str #\n", 200_000), "big.yml:101: " + deep},
		{"anchors", "a: " + strings.Repeat("&a ", 500_000), "big.yml:1: " + deep},
		{"anchors and tags", "a: " + strings.Repeat("&a !!str ", 200_000), "big.yml:1: " + deep},
		{"keys", strings.Repeat("k: x\n", 100_000), "big.yml:10001: " + many},
		{"keys of an inner map", "a:\n" + strings.Repeat("  k:\n    - x\n", 20_000), "big.yml:20002: " + many},
		{"items", "a:\n" + strings.Repeat("- x\n", 100_000), "big.yml:10002: " + many},
		{"items in brackets", "a: [" + strings.Repeat("1,\n", 20_000) + "]", "big.yml:10001: " + many},
		{"documents", strings.Repeat("---\n", 500_000), "big.yml:101: there are more than 100 documents"},
		{"bytes", strings.Repeat("# a comment\n", 200_000), "big.yml: has more than 2 MiB (divide it, and name the parts under include)"},
		{"a byte order mark", "\ufeff" + strings.Repeat("#", maxFile), ""},

		{"a list of ten thousand", "include:\n" + strings.Repeat("- x*.yml\n", 10_000), ""},
		{"lists one after the other", strings.Repeat("- [[[[[a]]], [b]]]\n- - - c\n", 1000), ""},
		{"keys that are deep and come back", strings.Repeat("a:\n  b:\n    c:\n    - d:\n        e: [f]\n", 500), ""},
		{"fifty deep", "a: " + strings.Repeat("[", 50) + strings.Repeat("]", 50), ""},
		{"ninety-nine deep", indented(99), ""},
	} {
		var r Report
		v := Parse(&r, "big.yml", []byte(c.text))
		err := r.Join(nil)
		switch {
		case c.want == "" && err != nil && (strings.Contains(err.Error(), "more than 100") || strings.Contains(err.Error(), "more than 2")):
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || err.Error() != c.want):
			t.Errorf("%s: the error is %v\nwant %s", c.name, err, c.want)
		case c.want != "" && v.Kind != Null:
			t.Errorf("%s: something was read", c.name)
		}
	}
}

// Merging multiplies: nine thousand times nine thousand keys are in two hundred
// kilobytes.
func TestMergeLimit(t *testing.T) {
	var text strings.Builder
	text.WriteString("a: &a {")
	for i := range 9000 {
		fmt.Fprintf(&text, "k%d: , ", i)
	}
	text.WriteString("}\nb:\n" + strings.Repeat("- <<: *a\n", 9000))
	var r Report
	Parse(&r, "big.yml", []byte(text.String()))
	want := `big.yml:3: holds more than 100000 values, aliases written out (use fewer aliases of aliases)
big.yml:14: << merges more than 100000 values (merge smaller maps)`
	if err := r.Join(nil); err == nil || err.Error() != want {
		t.Errorf("the error is %v\nwant %s", err, want)
	}
}
