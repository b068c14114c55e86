package config

import (
	"strings"
	"testing"

	"scriptbridge/config/internal/yamltree"
)

// failing is a value whose reading is a mistake of ours.
type failing struct{}

func (*failing) readValue(*entry, yamltree.Field) {
	var none *yamltree.Field
	none.Line++
}

type failingItem string

func (f *failingItem) readItem(_ *entry, item *yamltree.Value) bool {
	if *f = failingItem(item.Text); *f == "bad" {
		panic(`at "bad"`)
	}
	return true
}

type failingMap struct {
	A   int     `yaml:"a" min:"1"`
	Bad failing `yaml:"bad"`
	B   int     `yaml:"b" min:"1"`
}

// A mistake of ours in the reading of one key costs that key: the error tells
// where it stands and what happened, and all else is still read and judged.
func TestFaultWhileReading(t *testing.T) {
	type twice struct {
		A int `yaml:"a"`
		B int `yaml:"a"`
	}
	type file struct {
		failingMap `yaml:",inline"`
		Inner      failingMap    `yaml:"inner"`
		List       []failingItem `yaml:"list"`
		Twice      *twice        `yaml:"twice"`
	}
	for _, c := range []struct{ text, want string }{
		{"a: 1\nbad: 2\nb: x\nwrong: 3\n", `fuzz.yml:2: this is a fault of scriptbridge itself: runtime error: invalid memory address or nil pointer dereference (please report it; --log.level=debug tells where it is)
fuzz.yml:3: b "x" is not a whole number (write digits alone, such as 100)
fuzz.yml:4: unknown key "wrong" (known: a, bad, b, inner, list, twice)`},
		{"inner:\n  b: 7\n  bad: {}\n", `fuzz.yml:3: inner: this is a fault of scriptbridge itself: runtime error: invalid memory address or nil pointer dereference (please report it; --log.level=debug tells where it is)`},
		{"list: [1, bad, 3]\nb: x\n", `fuzz.yml:1: list[1]: this is a fault of scriptbridge itself: at "bad" (please report it; --log.level=debug tells where it is)
fuzz.yml:2: b "x" is not a whole number (write digits alone, such as 100)`},
		{"twice: {}\n", `fuzz.yml:1: this is a fault of scriptbridge itself: config: the key a is listed twice (please report it; --log.level=debug tells where it is)`},
	} {
		var r yamltree.Report
		var f file
		e := &entry{Report: &r, file: "fuzz.yml", load: newLoader(testDialects, "", nil)}
		e.object(yamltree.Field{Value: yamltree.Parse(&r, "fuzz.yml", []byte(c.text))}, &f)
		err := r.Join(nil)
		if err == nil || err.Error() != c.want {
			t.Errorf("%q:\ngot  %v\nwant %s", c.text, err, c.want)
		}
		if strings.HasPrefix(c.text, "list") && len(f.List) != 2 {
			t.Errorf("%q: %q were read", c.text, f.List)
		}
	}
}
