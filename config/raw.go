package config

import (
	"encoding/json"
	"maps"
	"slices"

	"scriptbridge/config/internal/yamltree"
)

// Raw is a value of the configuration as it stands there, with numbers in all
// their digits. As the type of a field it takes anything that Options.Decode
// meets. The zero value is null.
type Raw struct{ v *yamltree.Value }

// MarshalJSON writes the value. A number of YAML's that JSON does not know,
// such as 0x10 or .5, is written as JSON does: an infinity as 1e999, which is
// beyond every float64, and .nan, which JSON has nothing for, as the string NaN.
func (r Raw) MarshalJSON() ([]byte, error) { return json.Marshal(r.Plain()) }

// Plain gives what encoding/json would, its decoder with UseNumber: nil, bool,
// json.Number, string, []any, map[string]any.
func (r Raw) Plain() any { return r.v.Exact() }

// With gives o with more fields, which take the place of those of their name.
// Values are as Raw.Plain gives them; anything else is the caller's mistake,
// and panics.
func (o Options) With(fields map[string]any) Options {
	root := &yamltree.Value{Kind: yamltree.Map}
	if o.root != nil {
		root.Line = o.root.Line
		for _, f := range o.root.Fields {
			if _, replaced := fields[f.Key]; !replaced {
				root.Fields = append(root.Fields, f)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		root.Add(name, yamltree.Of(fields[name]))
	}
	if len(root.Fields) == 0 {
		return Options{}
	}
	return Options{root: root, file: o.file, thing: o.thing}
}

// text gives a field that is a single value; "" for any other.
func (o Options) text(name string) string {
	if o.root == nil {
		return ""
	}
	f := o.root.Get(name)
	if f == nil {
		return ""
	}
	s, ft := f.Value.Single()
	if ft != nil {
		return ""
	}
	return s
}
