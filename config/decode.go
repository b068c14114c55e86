package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"scriptbridge/config/internal/yamltree"
	"scriptbridge/internal/panics"
)

// entry is one map of a file while it is read; it knows where it stands and what
// messages call it.
type entry struct {
	*yamltree.Report
	file   string // as messages name it
	folder string // absolute: what relative paths start from
	thing  string // what messages call it
	// path is what messages call an entry of a dialect's options, in front of its
	// keys; such an entry has no rules but the types of its fields.
	path string
	// level is the kind of map that it is, as levels names it.
	level    string
	dialects Dialects
	load     *loader // nil where the file is not one of ours
	only     string  // the one key that an included file may have
	// taken says that statsd_exporter's mapper takes the file; see mappingFile.
	taken bool
}

// What a type may have beside its tags, for the little that they cannot say.
type (
	// starter is called before its keys are read, to take over other settings.
	starter interface{ start(e *entry) }
	// keyReader reads its keys itself; read does so by the tags.
	keyReader interface {
		readKey(e *entry, in *yamltree.Value, f yamltree.Field, read func())
	}
	// finisher checks its keys against each other. f is the map; clean: nothing in it
	// was wrong.
	finisher interface {
		finish(e *entry, f yamltree.Field, clean bool)
	}
	// itemReader is an item of a list; false leaves it out.
	itemReader interface {
		readItem(e *entry, v *yamltree.Value) bool
	}
	// valueReader reads a value of any kind.
	valueReader interface {
		readValue(e *entry, f yamltree.Field)
	}
)

func (e *entry) fail(line int, remedy, format string, args ...any) {
	problem := fmt.Sprintf(format, args...)
	if e.path != "" {
		problem = e.path + " " + problem
	}
	e.failAs(line, remedy, problem)
}

func (e *entry) failAs(line int, remedy, problem string) {
	e.Errs = append(e.Errs, &Error{Position: Position{File: e.file, Line: line}, Thing: e.thing, Problem: problem, Remedy: remedy})
}

// failKey reports what is wrong with one key.
func (e *entry) failKey(f yamltree.Field, p *yamltree.Problem) {
	if f.Value != nil {
		p = f.Value.Explain(p)
	}
	e.failAs(f.Line, p.Remedy, e.name(f.Key)+" "+p.Text)
}

// name is what messages call a key.
func (e *entry) name(key string) string {
	if e.path != "" {
		return e.path + "." + key
	}
	return key
}

// guard reads something that stands at line. A panic is an error like others:
// it costs that alone, and the rest is still read.
func (e *entry) guard(line int, read func()) {
	err := panics.Try(func() error { read(); return nil })
	if err != nil {
		e.Errs = append(e.Errs, &Error{Position: Position{File: e.file, Line: line}, Thing: e.thing, Problem: err.Error(), Cause: err})
	}
}

// inner is an entry for something inside e, which messages call name and levels
// level.
func (e *entry) inner(name, level string) *entry {
	i := *e
	i.only = ""
	switch {
	case e.path != "":
		i.path = e.path + "." + name
	case i.thing != "":
		i.thing += ": " + name
	default:
		i.thing = name
	}
	i.level = strings.TrimPrefix(e.level+"."+level, ".")
	return &i
}

// object reads the map f into the struct that into points to. Its keys are read
// in their order, whatever their order in the file; any other field is an error.
// An empty value is a map without fields.
func (e *entry) object(f yamltree.Field, into any) {
	v := f.Value
	if v.Kind != yamltree.Map && v.Kind != yamltree.Null {
		e.fail(f.Line, "write its keys and values beneath it, each as key: value"+asIn(keysOf(reflect.TypeOf(into).Elem())), "is %s, not a map", v.Kind)
		return
	}
	before := len(e.Errs)
	to := reflect.ValueOf(into).Elem()
	keys := keysOf(to.Type())
	fill(to)
	if s, ok := into.(starter); ok {
		s.start(e)
	}
	for _, first := range []bool{true, false} {
		for i := range keys {
			k := &keys[i]
			if f := v.Get(k.name); f != nil && first == k.first {
				e.guard(f.Line, func() { e.key(k, v, *f, into, to) })
			}
		}
	}
	e.unknown(v, keys)
	for i := range keys {
		if k := &keys[i]; k.required != "" && v.Get(k.name) == nil {
			e.fail(f.Line, k.required, "has no %s", k.name)
		}
	}
	if last, ok := into.(finisher); ok {
		last.finish(e, f, len(e.Errs) == before)
	}
}

// asIn names the key that a map must have, for who has left it out.
func asIn(keys []key) string {
	for i := range keys {
		if k := &keys[i]; k.required != "" {
			return ", as in " + k.name + ": …"
		}
	}
	return ""
}

// key reads one key of the struct that into points to, which is in.
func (e *entry) key(k *key, in *yamltree.Value, f yamltree.Field, into any, to reflect.Value) {
	switch {
	case e.only != "" && e.only != k.name:
		e.fail(f.Line, "an included file has "+e.only+":", "%q is allowed only in the main file", k.name)
		return
	case k.refused:
		e.fail(f.Line, k.tag.Get("remedy"), "%q %s", k.name, k.tag.Get("refused"))
		return
	case e.taken && k.tag.Get("mapper") != "":
		return
	}
	read := func() { e.read(k, f, to.FieldByIndex(k.index)) }
	if r, ok := into.(keyReader); ok {
		r.readKey(e, in, f, read)
		return
	}
	read()
}

// unknown reports the fields that are none of keys.
func (e *entry) unknown(v *yamltree.Value, keys []key) {
	isKey := func(f yamltree.Field) bool {
		for i := range keys {
			if keys[i].name == f.Key {
				return true
			}
		}
		return false
	}
	if !slices.ContainsFunc(v.Fields, func(f yamltree.Field) bool { return !isKey(f) }) {
		return
	}
	var known, names []string // names: the refused ones too
	for _, k := range keys {
		names = append(names, k.name)
		if !k.refused {
			known = append(known, k.name)
		}
	}
	for _, f := range v.Fields {
		if isKey(f) {
			continue
		}
		like := suggest(f.Key, names)
		switch {
		case e.path != "":
			if like == "" && e.path == "options" {
				like = e.dialects.placesOf(f.Key, e.path)
			}
			e.failKey(f, &yamltree.Problem{Text: "is not known", Remedy: cmp.Or(like, e.listed(known))})
			continue
		case e.load != nil:
			like = cmp.Or(misused(f, e.level), alsoKnown(f.Key, keys), e.dialects.placesOf(f.Key, e.level), like)
		}
		e.fail(f.Line, cmp.Or(like, e.listed(known)), "unknown key %q", f.Key)
	}
}

// mostListed is how many keys a message lists.
const mostListed = 12

// listed says which keys there are.
func (e *entry) listed(known []string) string {
	switch {
	case len(known) == 0:
		return "leave it out: there are none"
	case len(known) <= mostListed:
		return "known: " + strings.Join(known, ", ")
	case e.load != nil:
		return "docs/configuration.md lists those that there are"
	}
	return ""
}

// alsoKnown asks whether a word of other tools is the key that means the same.
func alsoKnown(word string, keys []key) string {
	word = strings.ToLower(word)
	for _, k := range keys {
		if slices.Contains(strings.Fields(k.tag.Get("aka")), word) {
			return fmt.Sprintf("did you mean %q?", k.name)
		}
	}
	return ""
}

// misused says what to write in the place of a key that is a script's name, or
// that holds nothing but an anchor.
func misused(f yamltree.Field, level string) string {
	switch {
	case level == "scripts[]" && f.Value.Kind == yamltree.Null:
		return "if it is the script's name, write name: " + f.Key
	case level == "scripts[]" && f.Value.Get("command") != nil:
		return "write name: " + f.Key + " in its place, and what is beneath it in the same column"
	case level == "" && f.Value.Anchored:
		return "there is no place for an anchor alone: put it on the first entry that uses it"
	}
	return ""
}
