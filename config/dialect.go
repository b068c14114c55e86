package config

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"

	"scriptbridge/config/internal/yamltree"
)

// Dialect is what the configuration must know of a dialect.
type Dialect struct {
	Name string
	// Modules says that its scripts are modules, which options name instead of a
	// command, and that discover finds them in the configuration of an agent.
	Modules bool
	// Folders says that its scripts are folders, which a directory names instead of
	// a command, and that it starts no process.
	Folders bool
	// Declares says that its scripts may declare their interval and timeout.
	Declares bool
	// Home, if not empty, is a folder in the user's home: the default of discover's
	// directory.
	Home string
	// Options is a struct as Options.Decode reads it; nil for none.
	Options any
}

// Dialects are those that a configuration may name. The first one is that of an
// entry that names none.
type Dialects []Dialect

// first is the name of the first one.
func (d Dialects) first() string {
	if len(d) == 0 {
		return ""
	}
	return d[0].Name
}

// find gives a dialect by its name. One that is not known is an error later, where
// its scripts are made.
func (d Dialects) find(name string) Dialect {
	for _, one := range d {
		if one.Name == name {
			return one
		}
	}
	return Dialect{Name: name}
}

// named gives the names of those that are such.
func (d Dialects) named(such func(Dialect) bool) (names []string) {
	for _, one := range d {
		if such(one) {
			names = append(names, one.Name)
		}
	}
	return names
}

// modules names those whose scripts are modules.
func (d Dialects) modules() []string { return d.named(func(one Dialect) bool { return one.Modules }) }

// folders names those whose scripts are folders.
func (d Dialects) folders() []string { return d.named(func(one Dialect) bool { return one.Folders }) }

// hasOption reports whether a name is that of an option and of no other key.
func (d Dialects) hasOption(name string) bool {
	if slices.ContainsFunc(levels(), func(l level) bool { return slices.Contains(l.keys, name) }) {
		return false
	}
	return slices.ContainsFunc(d, func(one Dialect) bool {
		return one.Options != nil && slices.ContainsFunc(keysOf(reflect.TypeOf(one.Options)), func(k key) bool { return k.name == name })
	})
}

// Options is a dialect's own part of a script's configuration, kept as it
// stands in the file until the dialect decodes it. The zero value is no
// options. It is never changed and may be copied; compare with Equal.
type Options struct {
	root     *yamltree.Value // a map, or nil
	file     string
	thing    string   // whose options they are, for messages
	dialects Dialects // for where a misplaced option belongs
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

// written is what the options say, wherever they stand.
func (o Options) written() string {
	if o.root == nil {
		return ""
	}
	return yamltree.Render(o.root, false)
}

// Decode reads o into the struct that into points to, strictly: a key without
// a field is an error, and so is a value of another type. A field's key is its
// yaml tag, and the tag default holds where the options say nothing and the field
// is zero; see key. Fields may be strings, booleans, signed numbers, time.Duration
// (read as everywhere in the file), slices, maps by string, structs, pointers, any,
// Raw, and what unmarshals text. The error joins every *Error found.
func (o Options) Decode(into any) error {
	if o.root == nil {
		fill(reflect.ValueOf(into).Elem())
		return nil
	}
	var r yamltree.Report
	e := &entry{Report: &r, file: o.file, thing: o.thing, path: "options", dialects: o.dialects}
	e.object(yamltree.Field{Line: o.root.Line, Value: o.root}, into)
	return r.Join(nil)
}

// value gives the options as they are written.
func (o Options) value() *yamltree.Value { return o.root }

// readValue keeps the options for the dialect.
func (o *Options) readValue(e *entry, f yamltree.Field) {
	switch {
	case f.Value.Kind == yamltree.Null:
	case f.Value.Kind != yamltree.Map:
		e.failKey(f, yamltree.Problemf("write names and values beneath it, each as name: value", "is %s, not a map", f.Value.Kind))
	case len(f.Value.Fields) > 0:
		*o = Options{root: f.Value, file: e.file, thing: e.thing, dialects: e.dialects}
	}
}

// Raw is a value of the configuration as it stands there, with numbers in all
// their digits. As the type of a field it takes anything that Options.Decode
// meets. The zero value is null.
type Raw struct{ v *yamltree.Value }

// readValue takes any value.
func (r *Raw) readValue(_ *entry, f yamltree.Field) { r.v = f.Value }

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
	return Options{root: root, file: o.file, thing: o.thing, dialects: o.dialects}
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
	s, p := f.Value.Single()
	if p != nil {
		return ""
	}
	return s
}
