package config

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Options is a dialect's own part of a script's configuration, kept as it
// stands in the file until the dialect decodes it. The zero value is no
// options. It is never changed and may be copied; compare with Equal.
type Options struct {
	root  *value // an object, or nil
	file  string
	thing string // whose options they are, for messages
}

// OptionsFrom makes Options of a command line's K=V, each V read as YAML.
func OptionsFrom(texts map[string]string) (Options, error) {
	var r report
	root := &value{kind: object, size: 1}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		before := len(r.errs)
		v := parse(&r, "", []byte(texts[name]))
		for _, e := range r.errs[before:] {
			e.Line, e.Thing = 0, "--option="+name
		}
		root.fields = append(root.fields, field{key: name, value: v})
	}
	if err := r.join(nil); err != nil {
		return Options{}, err
	}
	if len(root.fields) == 0 {
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
	return render(o.root, false) == render(p.root, false)
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
	d.decode("options", o.root.line, o.root, reflect.ValueOf(into).Elem())
	return d.join(nil)
}

type optionDecoder struct {
	report
	options Options
}

func (d *optionDecoder) fail(path string, line int, ft *fault) {
	d.errs = append(d.errs, &Error{
		Position: Position{File: d.options.file, Line: line},
		Thing:    d.options.thing,
		Problem:  path + " " + ft.problem,
		Remedy:   ft.remedy,
	})
}

// decode reads v, which messages call path, into to.
func (d *optionDecoder) decode(path string, line int, v *value, to reflect.Value) {
	if raw, ok := to.Addr().Interface().(*Raw); ok {
		raw.v = v
		return
	}
	single, ft := v.into(to)
	if ft != nil {
		d.fail(path, line, ft)
	}
	if single {
		return
	}
	switch to.Kind() {
	case reflect.Pointer:
		if v.kind != null {
			to.Set(reflect.New(to.Type().Elem()))
			d.decode(path, line, v, to.Elem())
		}
	case reflect.Interface:
		if p := v.plain(); p != nil {
			to.Set(reflect.ValueOf(p))
		}
	case reflect.Struct:
		d.structure(path, line, v, to)
	case reflect.Map:
		if v.kind != object && v.kind != null {
			d.fail(path, line, faultf("write its keys and values beneath it, each as key: value", "is %s, not a map", v.kind))
			return
		}
		m := reflect.MakeMap(to.Type())
		for _, f := range v.fields {
			item := reflect.New(to.Type().Elem()).Elem()
			d.decode(path+"."+f.key, f.line, f.value, item)
			m.SetMapIndex(reflect.ValueOf(f.key).Convert(to.Type().Key()), item)
		}
		to.Set(m)
	case reflect.Slice:
		if v.kind != list && v.kind != null {
			d.fail(path, line, faultf("begin each item with a dash, or write them in brackets, as in [a, b]", "is %s, not a list", v.kind))
			return
		}
		s := reflect.MakeSlice(to.Type(), len(v.items), len(v.items))
		for i, item := range v.items {
			d.decode(fmt.Sprintf("%s[%d]", path, i), item.line, item, s.Index(i))
		}
		to.Set(s)
	default:
		panic("config: options cannot hold a " + to.Type().String())
	}
}

// structure reads a map into a struct.
func (d *optionDecoder) structure(path string, line int, v *value, to reflect.Value) {
	if v.kind != object && v.kind != null {
		d.fail(path, line, faultf("write its keys and values beneath it, each as key: value", "is %s, not a map", v.kind))
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
		if got := v.get(name); got != nil {
			d.decode(path+"."+name, got.line, got.value, to.Field(i))
		}
	}
	for _, f := range v.fields {
		if !slices.Contains(names, f.key) {
			remedy := suggest(f.key, names)
			if remedy == "" && path == "options" {
				remedy = placesOf(f.key, path)
			}
			d.fail(path+"."+f.key, f.line, &fault{"is not known", remedy})
		}
	}
}

// into reads v into to and reports true if to's type is one of single values;
// any other type is left alone.
func (v *value) into(to reflect.Value) (bool, *fault) {
	var ft *fault
	text, isText := to.Addr().Interface().(encoding.TextUnmarshaler)
	switch {
	case isText:
		var s string
		if s, ft = v.single(); ft != nil {
			break
		}
		if err := text.UnmarshalText([]byte(s)); err != nil {
			ft = faultf("", "%q: %v", s, err)
		}
	case to.Type() == reflect.TypeFor[time.Duration]():
		var d time.Duration
		d, ft = v.duration()
		to.SetInt(int64(d))
	case to.Kind() == reflect.String:
		var s string
		s, ft = v.single()
		to.SetString(s)
	case to.Kind() == reflect.Bool:
		var b bool
		b, ft = v.boolean()
		to.SetBool(b)
	case to.CanInt():
		var n int64
		n, ft = v.integer(to.Type().Bits())
		to.SetInt(n)
	case to.CanFloat():
		var x float64
		x, ft = v.float()
		to.SetFloat(x)
	default:
		return false, nil
	}
	return true, ft
}
