package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"scriptbridge/config/internal/yamltree"
)

// key is one key of a map of the file: a field of the struct that the map is read
// into, and what the field's tags say.
//
//	yaml      its name; a field without one is no key, and ",inline" makes the
//	          fields of an embedded struct keys of the outer one's map
//	default   what is read where the file is silent
//	unset     for the reference: what holds then, if that is no value
//	required  what to write where it is missing
//	min, max  bounds, written as a value is; unit:"bytes" makes a number one of bytes,
//	          zero lets it be 0 as well, which is no limit
//	words     all that it may be; for a bool, what stands for false and for true
//	format    which of formats a text has, or of mapFormats the texts of a map
//	empty     says that a text may be empty
//	first     says that it is read before the others, which depend on it
//	refused   what is wrong with it here: it is known for the sake of that message,
//	          which remedy goes on
//	process   says that it is about processes, which some dialects start none of
//	write     what to write in the place of what is no map
//	aka       what other tools call it, and people who know those
//	doc       one line for the reference
type key struct {
	name     string
	index    []int
	typ      reflect.Type
	tag      reflect.StructTag
	words    []string
	min, max int64 // in the unit of the value; 0: no bound
	refused  bool
	first    bool
	required string
	silent   *yamltree.Value // the tag default; nil where there is none
}

// keysOf gives the keys of a struct in their order. A name that is there twice is the programmer's mistake, and panics: what is wrong with
// its value would be reported twice.
func keysOf(t reflect.Type) []key {
	if known, ok := knownKeys.Load(t); ok {
		return known.([]key)
	}
	keys := findKeys(t, nil)
	for i, k := range keys {
		if slices.ContainsFunc(keys[:i], func(o key) bool { return o.name == k.name }) {
			panic("config: the key " + k.name + " is listed twice")
		}
	}
	knownKeys.Store(t, keys)
	return keys
}

// knownKeys are those that keysOf has found, by type.
var knownKeys sync.Map

func findKeys(t reflect.Type, index []int) (keys []key) {
	for i := range t.NumField() {
		f := t.Field(i)
		at := append(slices.Clone(index), i)
		switch name, rest, _ := strings.Cut(f.Tag.Get("yaml"), ","); {
		case rest == "inline":
			keys = append(keys, findKeys(f.Type, at)...)
		case name != "" && name != "-":
			_, refused := f.Tag.Lookup("refused")
			k := key{name: name, index: at, typ: f.Type, tag: f.Tag, words: strings.Fields(f.Tag.Get("words")), refused: refused,
				first: f.Tag.Get("first") != "", required: f.Tag.Get("required")}
			if text := f.Tag.Get("default"); text != "" {
				k.silent = yamltree.Bare(text)
			}
			k.min, k.max = k.bound("min"), k.bound("max")
			keys = append(keys, k)
		}
	}
	return keys
}

// bound reads the tag min or max; 0 where there is none.
func (k *key) bound(name string) (n int64) {
	if text := k.tag.Get(name); text != "" {
		var p *yamltree.Problem
		if n, p = k.number(yamltree.Bare(text), k.typ); p != nil {
			panic("config: " + k.name + ": " + name + ": " + p.Text)
		}
	}
	return n
}

// number reads a whole number in the unit of the key.
func (k *key) number(v *yamltree.Value, typ reflect.Type) (int64, *yamltree.Problem) {
	switch {
	case typ == reflect.TypeFor[time.Duration]():
		d, p := v.Duration()
		return int64(d), p
	case k.tag.Get("unit") == "bytes":
		return v.Bytes()
	}
	n, p := v.Integer(typ.Bits())
	if p != nil && v.Kind == yamltree.Scalar && k.max != 0 {
		p.Remedy = fmt.Sprintf("write a whole number from %d to %d", k.min, k.max)
	}
	return n, p
}

// fill gives the fields of a struct that are zero their defaults, in its sections
// too.
func fill(to reflect.Value) {
	var e *entry
	keys := keysOf(to.Type())
	for i := range keys {
		k := &keys[i]
		field := to.FieldByIndex(k.index)
		if k.silent != nil && field.IsZero() {
			if e == nil {
				e = &entry{Report: new(yamltree.Report)}
			}
			e.read(k, yamltree.Field{Key: k.name, Value: k.silent}, field)
			if len(e.Errs) > 0 {
				panic("config: default: " + e.Errs[0].Error())
			}
		}
		if k.typ.Kind() == reflect.Struct && !k.refused && field.CanSet() {
			fill(field)
		}
	}
}
