package yamltree

import (
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// Plain gives what encoding/json would: nil, bool, int64, float64, string,
// []any, map[string]any. A number that Go cannot read is a string.
func (v *Value) Plain() any { return v.plain(plainNumber) }

// Exact is Plain with a json.Number for every number, in all its digits.
func (v *Value) Exact() any { return v.plain(exactNumber) }

// plain is Plain, with numbers as number makes them of their texts.
func (v *Value) plain(number func(text string) any) any {
	switch {
	case v == nil || v.Kind == Null:
		return nil
	case v.Kind == List:
		items := make([]any, len(v.Items))
		for i, item := range v.Items {
			items[i] = item.plain(number)
		}
		return items
	case v.Kind == Map:
		fields := make(map[string]any, len(v.Fields))
		for _, f := range v.Fields {
			fields[f.Key] = f.Value.plain(number)
		}
		return fields
	case v.str:
		return v.Text
	}
	if b, p := v.Bool(); p == nil {
		return b
	}
	return number(v.Text)
}

func plainNumber(text string) any {
	if n, err := strconv.ParseInt(text, 0, 64); err == nil {
		return n
	}
	if x, err := strconv.ParseFloat(text, 64); err == nil {
		return x
	}
	return text
}

func exactNumber(text string) any {
	if c := (text + " ")[0]; (c == '-' || '0' <= c && c <= '9') && json.Valid([]byte(text)) {
		return json.Number(text)
	}
	if n, ok := new(big.Int).SetString(text, 0); ok {
		return json.Number(n.String())
	}
	switch strings.ToLower(strings.TrimLeft(text, "+-")) {
	case ".inf":
		return infinity(text[0] == '-')
	case ".nan":
		return "NaN"
	}
	x, err := strconv.ParseFloat(text, 64)
	if errors.Is(err, strconv.ErrRange) {
		return infinity(x < 0)
	}
	if number, bad := json.Marshal(x); err == nil && bad == nil {
		return json.Number(number)
	}
	return text
}

func infinity(negative bool) json.Number {
	if negative {
		return "-1e999"
	}
	return "1e999"
}

// Of is the value that Exact gives x for.
func Of(x any) *Value {
	switch x := x.(type) {
	case nil:
		return &Value{Kind: Null}
	case string:
		return Text(x)
	case bool:
		v := &Value{Kind: Scalar, Text: "false"}
		if x {
			v.Text = "true"
		}
		return v
	case json.Number:
		return &Value{Kind: Scalar, Text: string(x)}
	case []any:
		v := &Value{Kind: List}
		for _, item := range x {
			v.Items = append(v.Items, Of(item))
		}
		return v
	case map[string]any:
		v := &Value{Kind: Map}
		for _, name := range slices.Sorted(maps.Keys(x)) {
			v.Add(name, Of(x[name]))
		}
		return v
	}
	panic("config: With takes what encoding/json gives")
}
