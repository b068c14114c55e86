package config

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/units"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v2"

	"scriptbridge/config/internal/yamltree"
)

// Value is one thing of a YAML file, which knows its line.
type Value = yamltree.Value

// ParseYAML reads a file that is not ours, within the bounds of one that is. The
// error is a joined list of *Error.
func ParseYAML(file string, text []byte) (*Value, error) {
	var r yamltree.Report
	v := yamltree.Parse(&r, file, text)
	return v, r.Join(nil)
}

// RenderYAML writes a value as block YAML.
func RenderYAML(v *Value) string { return yamltree.Render(v, false) }

// TextValue is a value that is a string, BareValue one that is a number or the
// like.
func TextValue(text string) *Value { return yamltree.Text(text) }

// BareValue is TextValue's other.
func BareValue(text string) *Value { return yamltree.Bare(text) }

// MapValue is an empty map, ListValue a list of strings.
func MapValue() *Value { return &Value{Kind: yamltree.Map} }

// ListValue is MapValue's other.
func ListValue(texts []string) *Value {
	v := &Value{Kind: yamltree.List}
	for _, text := range texts {
		v.Items = append(v.Items, TextValue(text))
	}
	return v
}

// IsSecretName reports whether what has this name is likely a secret.
func IsSecretName(name string) bool { return yamltree.IsSecretName(name) }

// YAML gives s as an entry of `scripts` would say it, defaults filled in,
// secrets hidden: the texts of env, and options whose key speaks of a
// password, a token or the like. The command is shown as it is.
func (s *Script) YAML() string { return yamltree.Render(written(reflect.ValueOf(s).Elem()), true) }

// written gives a struct as the map that it is read from, without the keys that
// say nothing, and with secrets hidden.
func written(v reflect.Value) *yamltree.Value {
	m := &yamltree.Value{Kind: yamltree.Map}
	for _, k := range keysOf(v.Type()) {
		if k.refused {
			continue
		}
		if one := k.written(v.FieldByIndex(k.index)); one != nil {
			m.Add(k.name, one)
		}
	}
	return m
}

// written gives the value of a key; nil where it is that of a key left out.
func (k *key) written(v reflect.Value) *yamltree.Value {
	if v.IsZero() {
		return nil
	}
	switch x := v.Interface().(type) {
	case interface{ value() *yamltree.Value }:
		return x.value()
	case time.Duration:
		return yamltree.Bare(model.Duration(x).String())
	case bool:
		if len(k.words) > 0 {
			return yamltree.Text(k.words[1])
		}
		return yamltree.Bare("true")
	}
	switch v.Kind() {
	case reflect.Pointer:
		switch v.Elem().Kind() {
		case reflect.Bool:
			return yamltree.Bare(strconv.FormatBool(v.Elem().Bool()))
		case reflect.Struct:
			return written(v.Elem())
		}
		return yamltree.Text(v.Elem().String())
	case reflect.String:
		return yamltree.Text(v.String())
	case reflect.Struct:
		return written(v)
	case reflect.Slice:
		list := &yamltree.Value{Kind: yamltree.List}
		for i := range v.Len() {
			if one := v.Index(i); one.Kind() == reflect.Struct {
				list.Items = append(list.Items, written(one))
			} else {
				list.Items = append(list.Items, yamltree.Text(one.String()))
			}
		}
		return list
	case reflect.Map:
		return writtenMap(v)
	}
	if k.tag.Get("unit") == "bytes" {
		return yamltree.Bare(units.Base2Bytes(v.Int()).String())
	}
	return yamltree.Bare(strconv.FormatInt(v.Int(), 10))
}

// writtenMap gives a map by names, sorted: of texts or of structs.
func writtenMap(v reflect.Value) *yamltree.Value {
	m := &yamltree.Value{Kind: yamltree.Map}
	names := v.MapKeys()
	slices.SortFunc(names, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, name := range names {
		var one *yamltree.Value
		switch x := v.MapIndex(name); {
		case x.Kind() == reflect.Struct:
			one = written(x)
		case x.Type() == reflect.TypeFor[Secret]():
			one = yamltree.Text(yamltree.Hidden)
		default:
			one = yamltree.Text(x.String())
		}
		m.Add(name.String(), one)
	}
	return m
}

// value gives the map as it is written.
func (m AnyMap) value() *yamltree.Value { return yamltree.Of(map[string]any(m)) }

// value gives the map as it is written, with the secrets in it.
func (m SecretTexts) value() *yamltree.Value {
	v := MapValue()
	for _, name := range slices.Sorted(maps.Keys(m)) {
		v.Add(name, yamltree.Text(m[name].Reveal()))
	}
	return v
}

// value gives the map as it is written, with the secrets in it.
func (h ConnectHeaders) value() *yamltree.Value {
	v := MapValue()
	for _, name := range slices.Sorted(maps.Keys(h)) {
		list := &yamltree.Value{Kind: yamltree.List}
		for _, one := range h[name] {
			list.Items = append(list.Items, yamltree.Text(one.Reveal()))
		}
		v.Add(name, list)
	}
	return v
}

// decodeAs has another package read what the keys of a struct say.
func decodeAs(keys, into any) error {
	text := "{}"
	if v := written(reflect.ValueOf(keys).Elem()); len(v.Fields) > 0 {
		text = yamltree.Render(v, false)
	}
	err := yaml.UnmarshalStrict([]byte(text), into)
	if err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	return nil
}
