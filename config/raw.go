package config

import (
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// Raw is a value of the configuration as it stands there, with numbers in all
// their digits. As the type of a field it takes anything that Options.Decode
// meets. The zero value is null.
type Raw struct{ v *value }

// MarshalJSON writes the value. A number of YAML's that JSON does not know,
// such as 0x10 or .5, is written as JSON does: an infinity as 1e999, which is
// beyond every float64, and .nan, which JSON has nothing for, as the string NaN.
func (r Raw) MarshalJSON() ([]byte, error) { return json.Marshal(r.Plain()) }

// Plain gives what encoding/json would, its decoder with UseNumber: nil, bool,
// json.Number, string, []any, map[string]any.
func (r Raw) Plain() any { return r.v.exact() }

func (v *value) exact() any {
	switch {
	case v == nil || v.kind == null:
		return nil
	case v.kind == list:
		items := make([]any, len(v.items))
		for i, item := range v.items {
			items[i] = item.exact()
		}
		return items
	case v.kind == object:
		fields := make(map[string]any, len(v.fields))
		for _, f := range v.fields {
			fields[f.key] = f.value.exact()
		}
		return fields
	case v.str:
		return v.text
	}
	if b, ft := v.boolean(); ft == nil {
		return b
	}
	if c := (v.text + " ")[0]; (c == '-' || '0' <= c && c <= '9') && json.Valid([]byte(v.text)) {
		return json.Number(v.text)
	}
	if n, ok := new(big.Int).SetString(v.text, 0); ok {
		return json.Number(n.String())
	}
	switch strings.ToLower(strings.TrimLeft(v.text, "+-")) {
	case ".inf":
		return infinity(v.text[0] == '-')
	case ".nan":
		return "NaN"
	}
	x, err := strconv.ParseFloat(v.text, 64)
	if errors.Is(err, strconv.ErrRange) {
		return infinity(x < 0)
	}
	if text, bad := json.Marshal(x); err == nil && bad == nil {
		return json.Number(text)
	}
	return v.text
}

func infinity(negative bool) json.Number {
	if negative {
		return "-1e999"
	}
	return "1e999"
}

// With gives o with more fields, which take the place of those of their name.
// Values are as Raw.Plain gives them; anything else is the caller's mistake,
// and panics.
func (o Options) With(fields map[string]any) Options {
	root := &value{kind: object, size: 1}
	if o.root != nil {
		root.line = o.root.line
		for _, f := range o.root.fields {
			if _, replaced := fields[f.key]; !replaced {
				root.fields = append(root.fields, f)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		root.addValue(name, valueOf(fields[name]))
	}
	if len(root.fields) == 0 {
		return Options{}
	}
	return Options{root: root, file: o.file, thing: o.thing}
}

// valueOf is the value that exact gives x for.
func valueOf(x any) *value {
	switch x := x.(type) {
	case nil:
		return &value{kind: null}
	case string:
		return textValue(x)
	case bool:
		v := &value{kind: scalar, text: "false"}
		if x {
			v.text = "true"
		}
		return v
	case json.Number:
		return &value{kind: scalar, text: string(x)}
	case []any:
		v := &value{kind: list}
		for _, item := range x {
			v.items = append(v.items, valueOf(item))
		}
		return v
	case map[string]any:
		v := &value{kind: object}
		for _, name := range slices.Sorted(maps.Keys(x)) {
			v.addValue(name, valueOf(x[name]))
		}
		return v
	}
	panic("config: With takes what encoding/json gives")
}

// text gives a field that is a single value; "" for any other.
func (o Options) text(name string) string {
	if o.root == nil {
		return ""
	}
	f := o.root.get(name)
	if f == nil {
		return ""
	}
	s, ft := f.value.single()
	if ft != nil {
		return ""
	}
	return s
}
