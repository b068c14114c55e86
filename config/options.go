package config

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"scriptbridge/config/internal/yamltree"
)

// Options is a dialect's own part of a script's configuration, kept as it
// stands in the file until the dialect decodes it. The zero value is no
// options. It is never changed and may be copied; compare with Equal.
type Options struct {
	root  *yamltree.Value // an object, or nil
	file  string
	thing string // whose options they are, for messages
}

// OptionsFrom makes Options of a command line's K=V, each V read as YAML.
func OptionsFrom(texts map[string]string) (Options, error) {
	var r yamltree.Report
	root := &yamltree.Value{Kind: yamltree.Map}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		before := len(r.Errs)
		v := yamltree.Parse(&r, "", []byte(texts[name]))
		for _, e := range r.Errs[before:] {
			e.Line, e.Thing = 0, "--option="+name
		}
		root.Fields = append(root.Fields, yamltree.Field{Key: name, Value: v})
	}
	if err := r.Join(nil); err != nil {
		return Options{}, err
	}
	if len(root.Fields) == 0 {
		return Options{}, nil
	}
	return Options{root: root}, nil
}

// IsZero reports whether there are no options.
func (o Options) IsZero() bool { return o.root == nil }

// Equal reports whether o and p say the same, wherever they stand.
func (o Options) Equal(p Options) bool {
	if o.root == nil || p.root == nil {
		return o.root == p.root
	}
	return yamltree.Render(o.root, false) == yamltree.Render(p.root, false)
}

// Decode reads o into the struct that into points to, strictly: a key without
// a field is an error, and so is a value of another type. A field's key is its
// yaml tag; what the options do not name keeps its value. Fields may be
// strings, booleans, signed numbers, time.Duration (read as everywhere in the file),
// slices, maps by string, structs, pointers, any, Raw, and what unmarshals text;
// a field of another type is the caller's mistake, and panics. The error joins
// every *Error found.
func (o Options) Decode(into any) error {
	if o.root == nil {
		return nil
	}
	d := &optionDecoder{options: o}
	d.decode("options", o.root.Line, o.root, reflect.ValueOf(into).Elem())
	return d.Join(nil)
}

type optionDecoder struct {
	yamltree.Report
	options Options
}

func (d *optionDecoder) fail(path string, line int, ft *yamltree.Problem) {
	d.Errs = append(d.Errs, &Error{
		Position: Position{File: d.options.file, Line: line},
		Thing:    d.options.thing,
		Problem:  path + " " + ft.Text,
		Remedy:   ft.Remedy,
	})
}

// decode reads v, which messages call path, into to.
func (d *optionDecoder) decode(path string, line int, v *yamltree.Value, to reflect.Value) {
	if raw, ok := to.Addr().Interface().(*Raw); ok {
		raw.v = v
		return
	}
	isSingle, ft := single(v, to)
	if ft != nil {
		d.fail(path, line, ft)
	}
	if isSingle {
		return
	}
	switch to.Kind() {
	case reflect.Pointer:
		if v.Kind != yamltree.Null {
			to.Set(reflect.New(to.Type().Elem()))
			d.decode(path, line, v, to.Elem())
		}
	case reflect.Interface:
		if p := v.Plain(); p != nil {
			to.Set(reflect.ValueOf(p))
		}
	case reflect.Struct:
		d.structure(path, line, v, to)
	case reflect.Map:
		if v.Kind != yamltree.Map && v.Kind != yamltree.Null {
			d.fail(path, line, yamltree.Problemf("write its keys and values beneath it, each as key: value", "is %s, not a map", v.Kind))
			return
		}
		m := reflect.MakeMap(to.Type())
		for _, f := range v.Fields {
			item := reflect.New(to.Type().Elem()).Elem()
			d.decode(path+"."+f.Key, f.Line, f.Value, item)
			m.SetMapIndex(reflect.ValueOf(f.Key).Convert(to.Type().Key()), item)
		}
		to.Set(m)
	case reflect.Slice:
		if v.Kind != yamltree.List && v.Kind != yamltree.Null {
			d.fail(path, line, yamltree.Problemf("begin each item with a dash, or write them in brackets, as in [a, b]", "is %s, not a list", v.Kind))
			return
		}
		s := reflect.MakeSlice(to.Type(), len(v.Items), len(v.Items))
		for i, item := range v.Items {
			d.decode(fmt.Sprintf("%s[%d]", path, i), item.Line, item, s.Index(i))
		}
		to.Set(s)
	default:
		panic("config: options cannot hold a " + to.Type().String())
	}
}

// structure reads a map into a struct.
func (d *optionDecoder) structure(path string, line int, v *yamltree.Value, to reflect.Value) {
	if v.Kind != yamltree.Map && v.Kind != yamltree.Null {
		d.fail(path, line, yamltree.Problemf("write its keys and values beneath it, each as key: value", "is %s, not a map", v.Kind))
		return
	}
	var names []string
	for i := range to.NumField() {
		f := to.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		names = append(names, name)
		if got := v.Get(name); got != nil {
			d.decode(path+"."+name, got.Line, got.Value, to.Field(i))
		}
	}
	for _, f := range v.Fields {
		if !slices.Contains(names, f.Key) {
			remedy := suggest(f.Key, names)
			if remedy == "" && path == "options" {
				remedy = placesOf(f.Key, path)
			}
			d.fail(path+"."+f.Key, f.Line, &yamltree.Problem{Text: "is not known", Remedy: remedy})
		}
	}
}

// single reads v into to and reports true if to's type is one of single values;
// any other type is left alone.
func single(v *yamltree.Value, to reflect.Value) (bool, *yamltree.Problem) {
	var ft *yamltree.Problem
	text, isText := to.Addr().Interface().(encoding.TextUnmarshaler)
	switch {
	case isText:
		var s string
		if s, ft = v.Single(); ft != nil {
			break
		}
		if err := text.UnmarshalText([]byte(s)); err != nil {
			ft = yamltree.Problemf("", "%q: %v", s, err)
		}
	case to.Type() == reflect.TypeFor[time.Duration]():
		var d time.Duration
		d, ft = v.Duration()
		to.SetInt(int64(d))
	case to.Kind() == reflect.String:
		var s string
		s, ft = v.Single()
		to.SetString(s)
	case to.Kind() == reflect.Bool:
		var b bool
		b, ft = v.Bool()
		to.SetBool(b)
	case to.CanInt():
		var n int64
		n, ft = v.Integer(to.Type().Bits())
		to.SetInt(n)
	case to.CanFloat():
		var x float64
		x, ft = v.Float()
		to.SetFloat(x)
	default:
		return false, nil
	}
	return true, ft
}
