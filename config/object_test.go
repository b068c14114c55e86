package config

import (
	"strings"
	"testing"

	"scriptbridge/config/internal/yamltree"
)

// A mistake of ours in the reading of one key costs that key: the error tells
// where it stands and what happened, and all else is still read and judged.
func TestFaultWhileReading(t *testing.T) {
	failing := func(*entry, yamltree.Field) {
		var none *yamltree.Field
		none.Line++
	}
	for _, c := range []struct{ text, want string }{
		{"a: 1\nbad: 2\nb: x\nwrong: 3\n", `fuzz.yml:2: this is a fault of scriptbridge itself: runtime error: invalid memory address or nil pointer dereference (please report it; --log.level=debug tells where it is)
fuzz.yml:3: b "x" is not a whole number (write digits alone, such as 100)
fuzz.yml:4: unknown key "wrong"`},
		{"inner:\n  b: 7\n  bad: {}\n", `fuzz.yml:3: inner: this is a fault of scriptbridge itself: runtime error: invalid memory address or nil pointer dereference (please report it; --log.level=debug tells where it is)`},
		{"list: [1, bad, 3]\nb: x\n", `fuzz.yml:1: list[1]: this is a fault of scriptbridge itself: at "bad" (please report it; --log.level=debug tells where it is)
fuzz.yml:2: b "x" is not a whole number (write digits alone, such as 100)`},
		{"twice: {}\n", `fuzz.yml:1: this is a fault of scriptbridge itself: config: the key a is listed twice (please report it; --log.level=debug tells where it is)`},
	} {
		l := newLoader("fuzz.yml")
		var a, b int
		items := 0
		keys := []key{{"a", count(&a)}, {"bad", failing}, {"b", count(&b)}}
		l.read("fuzz.yml", []byte(c.text), append(keys,
			key{"inner", section(keys)},
			key{"list", each(func(_ *entry, item *yamltree.Value) {
				if item.Text == "bad" {
					panic(`at "bad"`)
				}
				items++
			})},
			key{"twice", section([]key{{"a", count(&a)}, {"a", count(&a)}})},
		))
		err := l.Join(nil)
		if err == nil || err.Error() != c.want {
			t.Errorf("%q:\ngot  %v\nwant %s", c.text, err, c.want)
		}
		if strings.HasPrefix(c.text, "list") && items != 2 {
			t.Errorf("%q: %d items were read", c.text, items)
		}
	}
}
