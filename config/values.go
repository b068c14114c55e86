package config

import (
	"cmp"
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"scriptbridge/config/internal/yamltree"
)

// read reads a value into to, by its type and the tags of its key.
func (e *entry) read(k *key, f yamltree.Field, to reflect.Value) {
	if r, ok := to.Addr().Interface().(valueReader); ok {
		r.readValue(e, f)
		return
	}
	if single, p := e.single(k, f.Value, to); single {
		if p != nil {
			e.failKey(f, p)
		}
		return
	}
	switch to.Kind() {
	case reflect.Pointer:
		e.pointer(k, f, to)
	case reflect.Interface:
		if p := f.Value.Plain(); p != nil {
			to.Set(reflect.ValueOf(p))
		}
	case reflect.Struct:
		f.Line = f.Value.Line
		e.inner(f.Key, f.Key).object(f, to.Addr().Interface())
	case reflect.Map:
		e.mapping(k, f, to)
	case reflect.Slice:
		e.list(k, f, to)
	default:
		panic("config: no field can be a " + to.Type().String())
	}
}

// pointer reads what may be absent: a text that may be empty, or a section, which
// exists where its map does; what is wrong with that as a whole is reported at its
// key.
func (e *entry) pointer(k *key, f yamltree.Field, to reflect.Value) {
	if f.Value.Kind == yamltree.Null && e.path != "" {
		return
	}
	made := reflect.New(to.Type().Elem())
	if made.Elem().Kind() != reflect.Struct || e.path != "" {
		before := len(e.Errs)
		e.read(k, f, made.Elem())
		if len(e.Errs) == before {
			to.Set(made)
		}
		return
	}
	inner := e.inner(f.Key, f.Key)
	e.load.config.At[inner.level] = Position{File: e.file, Line: f.Line}
	inner.object(f, made.Interface())
	if f.Value.Kind == yamltree.Map || f.Value.Kind == yamltree.Null {
		to.Set(made)
	}
}

// mapping reads a map by names: of texts that have a format, of structs, or, in a
// dialect's options, of anything.
func (e *entry) mapping(k *key, f yamltree.Field, to reflect.Value) {
	if f.Value.Kind != yamltree.Map && f.Value.Kind != yamltree.Null {
		remedy := cmp.Or(k.tag.Get("write"), "write names and values beneath it, each as name: value")
		if e.path != "" {
			remedy = "write its keys and values beneath it, each as key: value"
		}
		e.failKey(f, yamltree.Problemf(remedy, "is %s, not a map", f.Value.Kind))
		return
	}
	if to.IsNil() && len(f.Value.Fields) > 0 || e.path != "" {
		to.Set(reflect.MakeMap(to.Type()))
	}
	format := mapFormats[k.tag.Get("format")]
	e.tellApart(format, f)
	for _, one := range f.Value.Fields {
		made := reflect.New(to.Type().Elem()).Elem()
		switch {
		case e.path != "":
			one.Key = f.Key + "." + one.Key
			e.read(k, one, made)
			one.Key = strings.TrimPrefix(one.Key, f.Key+".")
		case made.Kind() == reflect.Struct:
			inner := e.inner(fmt.Sprintf("%s: %q", f.Key, one.Key), f.Key+"[]")
			if format.check != nil {
				if p := format.check(one.Key, ""); p != nil {
					inner.failAs(one.Line, p.Remedy, p.Text)
				}
			}
			inner.object(yamltree.Field{Key: one.Key, Line: one.Line, Value: one.Value}, made.Addr().Interface())
		default: // in no message, for it may be a secret
			text, p := one.Value.Single()
			if p != nil && one.Value.Kind == yamltree.Null {
				p.Remedy = `write "" for an empty one`
			}
			if p == nil && made.Type() == reflect.TypeFor[Secret]() {
				e.warnOfLikeName(f.Key, one, text)
				text, p = e.readSecret(text)
			}
			if p == nil && format.check != nil {
				p = format.check(one.Key, text)
			}
			if p != nil {
				e.fail(one.Line, p.Remedy, "%s: %q %s", f.Key, one.Key, p.Text)
				continue
			}
			made.SetString(text)
		}
		to.SetMapIndex(reflect.ValueOf(one.Key).Convert(to.Type().Key()), made)
	}
}

// tellApart refuses names in a map that mean one thing.
func (e *entry) tellApart(format mapFormat, f yamltree.Field) {
	if format.one == nil {
		return
	}
	seen := make(map[string]string)
	for _, field := range f.Value.Fields {
		one := format.one(field.Key)
		if before, twice := seen[one]; twice {
			e.fail(field.Line, "keep one of the two", "%s: %q and %q are one name", f.Key, before, field.Key)
		}
		seen[one] = field.Key
	}
}

// list reads a list, item by item. One of texts may be a single text.
func (e *entry) list(k *key, f yamltree.Field, to reflect.Value) {
	items, isList := f.Value.Items, f.Value.Kind == yamltree.List
	made := reflect.New(to.Type().Elem()).Elem()
	_, texts := made.Addr().Interface().(itemReader)
	texts = !texts && made.Kind() == reflect.String && e.path == ""
	switch {
	case texts && f.Value.Kind == yamltree.Map:
		e.failKey(f, yamltree.Problemf("write one value, or several in brackets, as in [a, b]", "is a map, not a list"))
		return
	case texts && !isList:
		items = []*yamltree.Value{f.Value}
	case !isList && f.Value.Kind != yamltree.Null:
		remedy := "begin each item with a dash and a space, on a line of its own"
		if e.path != "" {
			remedy = "begin each item with a dash, or write them in brackets, as in [a, b]"
		} else if f.Key == "scripts" && named(f.Value) {
			remedy = "begin each with a dash and a space, and give it its name: - name: " + f.Value.Fields[0].Key
		}
		e.failKey(f, yamltree.Problemf(remedy, "is %s, not a list", f.Value.Kind))
		return
	}
	if e.path != "" {
		to.Set(reflect.MakeSlice(to.Type(), 0, len(items)))
	}
	for i, item := range items {
		made := reflect.New(to.Type().Elem()).Elem()
		name := fmt.Sprintf("%s[%d]", f.Key, i)
		one := yamltree.Field{Key: name, Line: item.Line, Value: item}
		keep := true
		switch {
		case e.path != "":
			e.read(k, one, made)
		case texts:
			one.Key = f.Key
			before := len(e.Errs)
			e.read(k, one, made)
			keep = len(e.Errs) == before
		default:
			inner := e.inner(name, f.Key+"[]")
			keep = false
			inner.guard(item.Line, func() { keep = inner.item(one, made) })
		}
		if keep {
			to.Set(reflect.Append(to, made))
		}
	}
}

// named says that a map has entries by their names, as other tools have them.
func named(v *yamltree.Value) bool {
	return len(v.Fields) > 0 && !slices.ContainsFunc(v.Fields, func(f yamltree.Field) bool { return f.Value.Kind != yamltree.Map })
}

// item reads a struct, or what reads itself, in a list.
func (e *entry) item(f yamltree.Field, to reflect.Value) bool {
	into := to.Addr().Interface()
	if to.Kind() == reflect.Pointer {
		to.Set(reflect.New(to.Type().Elem()))
		into = to.Interface()
	}
	if r, ok := into.(itemReader); ok {
		return r.readItem(e, f.Value)
	}
	e.object(f, into)
	return true
}

// single reads a single value, and reports true if to's type is one of these.
func (e *entry) single(k *key, v *yamltree.Value, to reflect.Value) (bool, *yamltree.Problem) {
	var p *yamltree.Problem
	text, isText := to.Addr().Interface().(encoding.TextUnmarshaler)
	switch {
	case isText:
		var s string
		if s, p = v.Single(); p != nil {
			break
		}
		if err := text.UnmarshalText([]byte(s)); err != nil {
			p = yamltree.Problemf("", "%q: %v", s, err)
		}
	case to.Kind() == reflect.String:
		p = e.text(k, v, to)
	case to.Kind() == reflect.Bool && len(k.words) > 0:
		word := reflect.New(reflect.TypeFor[string]()).Elem()
		p = e.text(k, v, word)
		to.SetBool(word.String() == k.words[1])
	case to.Kind() == reflect.Bool:
		var b bool
		b, p = v.Bool()
		to.SetBool(b)
	case to.CanInt():
		var n int64
		if n, p = k.number(v, to.Type()); p == nil {
			p = k.within(v, n)
		}
		if p == nil {
			to.SetInt(n)
		}
	case to.CanFloat():
		var x float64
		x, p = v.Float()
		to.SetFloat(x)
	default:
		return false, nil
	}
	return true, p
}

// within holds a number against the bounds of its key.
func (k *key) within(v *yamltree.Value, n int64) *yamltree.Problem {
	switch {
	case n == 0 && k.tag.Get("zero") != "":
	case k.min != 0 && n < k.min:
		text, what := v.Text, "is too small"
		if k.typ == reflect.TypeFor[time.Duration]() {
			what = "is too short"
		} else if k.tag.Get("unit") == "" {
			text = fmt.Sprint(n)
		}
		return yamltree.Problemf("write "+k.tag.Get("min")+" or more", "%s %s", text, what)
	case k.max != 0 && n > k.max:
		return yamltree.Problemf("write "+k.tag.Get("max")+" or less", "%s is too much", v.Text)
	}
	return nil
}

// text reads a text into to, which it leaves alone where there is something wrong
// with it.
func (e *entry) text(k *key, v *yamltree.Value, to reflect.Value) *yamltree.Problem {
	if k.tag.Get("empty") == "null" && (v.Kind == yamltree.Null || v.Kind == yamltree.Scalar) && v.Text == "" {
		return nil
	}
	s, p := v.Single()
	form := formats[k.tag.Get("format")]
	switch {
	case p != nil:
	case len(k.words) > 0 && !slices.Contains(k.words, s):
		p = yamltree.Problemf("write "+alternatives(k.words), "%q is not known", s)
	case s == "" && e.path == "" && k.typ.Kind() != reflect.Pointer && k.tag.Get("empty") == "" && !form.empty:
		p = yamltree.Problemf("give it a value", "is empty")
	case form.read != nil:
		s, p = form.read(e, s)
	}
	if p == nil {
		to.SetString(s)
	}
	return p
}

// readValue takes any map.
func (m *AnyMap) readValue(e *entry, f yamltree.Field) {
	if f.Value.Kind != yamltree.Map && f.Value.Kind != yamltree.Null {
		e.failKey(f, yamltree.Problemf("write names and values beneath it, each as name: value", "is %s, not a map", f.Value.Kind))
		return
	}
	*m, _ = f.Value.Exact().(map[string]any)
}

// readValue takes lists of texts, or single ones, each of which can name a secret.
func (h *ConnectHeaders) readValue(e *entry, f yamltree.Field) {
	if f.Value.Kind != yamltree.Map && f.Value.Kind != yamltree.Null {
		e.failKey(f, yamltree.Problemf("write a header's name, and beneath it a list of values", "is %s, not a map", f.Value.Kind))
		return
	}
	*h = make(ConnectHeaders)
	e.tellApart(mapFormats["header"], f)
	for _, one := range f.Value.Fields {
		items := one.Value.Items
		if one.Value.Kind != yamltree.List {
			items = []*yamltree.Value{one.Value}
		}
		for _, item := range items {
			text, p := item.Single()
			if p == nil {
				e.warnOfLikeName(f.Key, one, text)
				text, p = e.readSecret(text)
			}
			if p == nil {
				p = checkHeaderForm(one.Key, text)
			}
			if p != nil {
				e.fail(one.Line, p.Remedy, "%s: %q %s", f.Key, one.Key, p.Text)
				break
			}
			(*h)[one.Key] = append((*h)[one.Key], Secret(text))
		}
	}
}
