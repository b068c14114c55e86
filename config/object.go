package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"scriptbridge/config/internal/yamltree"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/panics"
)

// entry is one thing of a file while it is read; it knows where it stands and
// what messages call it.
type entry struct {
	*yamltree.Report
	file   string // as messages name it
	folder string // absolute: what relative paths start from
	thing  string
	// places says that the file is one of ours, so that a key that is in the
	// wrong place may belong to another one of it.
	places bool
	// learn, if not nil, is told the keys of each map that is read.
	learn func(thing string, keys []key)
}

func (e *entry) fail(line int, remedy, format string, args ...any) {
	e.Errs = append(e.Errs, &Error{
		Position: Position{File: e.file, Line: line},
		Thing:    e.thing,
		Problem:  fmt.Sprintf(format, args...),
		Remedy:   remedy,
	})
}

func (e *entry) fault(f yamltree.Field, ft *yamltree.Problem) {
	e.fail(f.Line, ft.Remedy, "%s %s", f.Key, ft.Text)
}

// key is one key that an object may have, and what reads it.
type key struct {
	name string
	take take
}

// take reads one field into its place, or says in e what is wrong with it.
type take func(e *entry, f yamltree.Field)

// object reads v's fields in the order of keys, whatever their order in the
// file; any other field is an error. An empty v is an object without fields. A
// name that is twice among keys is the caller's mistake, and panics: what is
// wrong with its value would be told twice.
func (e *entry) object(v *yamltree.Value, keys []key) {
	if v.Kind != yamltree.Map && v.Kind != yamltree.Null {
		e.fail(v.Line, "write its keys and values beneath it, each as key: value", "is %s, not a map", v.Kind)
		return
	}
	names := make([]string, len(keys))
	for i, k := range keys {
		if slices.Contains(names[:i], k.name) {
			panic("config: the key " + k.name + " is listed twice")
		}
		names[i] = k.name
		if f := v.Get(k.name); f != nil {
			e.guard(f.Line, func() { k.take(e, *f) })
		}
	}
	if e.learn != nil {
		e.learn(e.thing, keys)
	}
	for _, f := range v.Fields {
		if slices.Contains(names, f.Key) {
			continue
		}
		remedy := suggest(f.Key, names)
		if e.places {
			remedy = cmp.Or(placesOf(f.Key, e.thing), remedy)
		}
		e.fail(f.Line, remedy, "unknown key %q", f.Key)
	}
}

// guard reads something that stands at line. A panic is an error like others:
// it costs that alone, and the rest is still read.
func (e *entry) guard(line int, read func()) {
	err := panics.Try(func() error { read(); return nil })
	if err != nil {
		e.Errs = append(e.Errs, &Error{Position: Position{File: e.file, Line: line}, Thing: e.thing, Problem: err.Error(), Cause: err})
	}
}

// inner is an entry for something inside e, which messages call name.
func (e *entry) inner(name string) *entry {
	i := *e
	if i.thing != "" {
		name = i.thing + ": " + name
	}
	i.thing = name
	return &i
}

// section is an object under a key.
func section(keys []key) take {
	return func(e *entry, f yamltree.Field) { e.inner(f.Key).object(f.Value, keys) }
}

// each reads a list with one, item by item.
func each(one func(e *entry, item *yamltree.Value)) take {
	return func(e *entry, f yamltree.Field) {
		if f.Value.Kind != yamltree.List && f.Value.Kind != yamltree.Null {
			e.fault(f, yamltree.Problemf("begin each item with a dash and a space, on a line of its own", "is %s, not a list", f.Value.Kind))
			return
		}
		for i, item := range f.Value.Items {
			inner := e.inner(fmt.Sprintf("%s[%d]", f.Key, i))
			inner.guard(item.Line, func() { one(inner, item) })
		}
	}
}

// refused is a key with a place elsewhere, or none yet.
func refused(problem, remedy string) take {
	return func(e *entry, f yamltree.Field) { e.fail(f.Line, remedy, "%q %s", f.Key, problem) }
}

// text reads any single value but an empty one.
func text(into *string) take {
	return func(e *entry, f yamltree.Field) {
		s, ft := f.Value.Single()
		switch {
		case ft != nil:
			e.fault(f, ft)
		case s == "":
			e.fault(f, yamltree.Problemf("give it a value", "is empty"))
		default:
			*into = s
		}
	}
}

// optional is a text that may be empty, which says something else than its
// absence.
func optional(into **string, check func(string) *yamltree.Problem) take {
	return func(e *entry, f yamltree.Field) {
		s, ft := f.Value.Single()
		if ft == nil && check != nil {
			ft = check(s)
		}
		if ft != nil {
			e.fault(f, ft)
			return
		}
		*into = &s
	}
}

// word reads one of words.
func word(into *string, words ...string) take {
	return func(e *entry, f yamltree.Field) {
		s, ft := f.Value.Single()
		if ft == nil && !slices.Contains(words, s) {
			ft = yamltree.Problemf("write "+alternatives(words), "%q is not known", s)
		}
		if ft != nil {
			e.fault(f, ft)
			return
		}
		*into = s
	}
}

// alternatives lists words as "a, b or c".
func alternatives(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// path reads a path and makes it absolute, from the folder of the file.
func path(into *string) take {
	return func(e *entry, f yamltree.Field) {
		var s string
		text(&s)(e, f)
		if s != "" {
			*into = fsx.Absolute(e.folder, s)
		}
	}
}

func boolean(into *bool) take {
	return func(e *entry, f yamltree.Field) {
		b, ft := f.Value.Bool()
		if ft != nil {
			e.fault(f, ft)
			return
		}
		*into = b
	}
}

// duration reads one that is at least least.
func duration(into *time.Duration, least time.Duration) take {
	return func(e *entry, f yamltree.Field) {
		d, ft := f.Value.Duration()
		if ft == nil && d < least {
			ft = yamltree.Problemf("write "+least.String()+" or more", "%s is too short", f.Value.Text)
		}
		if ft != nil {
			e.fault(f, ft)
			return
		}
		*into = d
	}
}

// count reads a whole number from 1.
func count(into *int) take {
	return func(e *entry, f yamltree.Field) {
		n, ft := f.Value.Integer(0)
		if ft == nil && n < 1 {
			ft = yamltree.Problemf("write 1 or more", "%d is too small", n)
		}
		if ft != nil {
			e.fault(f, ft)
			return
		}
		*into = int(n)
	}
}

// texts reads a map of single values; check judges each name and text. The
// texts are in no message: they may be secrets.
func texts[T ~string](into *map[string]T, check func(name, text string) *yamltree.Problem) take {
	return func(e *entry, f yamltree.Field) {
		if f.Value.Kind != yamltree.Map && f.Value.Kind != yamltree.Null {
			e.fault(f, yamltree.Problemf("write names and values beneath it, each as name: value", "is %s, not a map", f.Value.Kind))
			return
		}
		for _, t := range f.Value.Fields {
			s, ft := t.Value.Single()
			if ft != nil && t.Value.Kind == yamltree.Null {
				ft.Remedy = `write "" for an empty one`
			}
			if ft == nil {
				ft = check(t.Key, s)
			}
			if ft != nil {
				e.fail(t.Line, ft.Remedy, "%s: %q %s", f.Key, t.Key, ft.Text)
				continue
			}
			if *into == nil {
				*into = make(map[string]T)
			}
			(*into)[t.Key] = T(s)
		}
	}
}

// suggest asks whether a mistyped key is the one of names that it is nearest
// to; empty when none is near.
func suggest(key string, names []string) string {
	if best := Nearest(key, names); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return ""
}

// Nearest gives the one of names that a mistyped word is nearest to: letters
// changed, left out or added, or the end of one left out; "" when none is near.
func Nearest(word string, names []string) string {
	best, limit := "", 1+len(word)/4
	for _, name := range names {
		if d := distance(word, name); d <= limit {
			best, limit = name, d-1
		}
	}
	if best != "" || len(word) < 3 {
		return best
	}
	for _, name := range names {
		if !strings.HasPrefix(name, word) {
			continue
		}
		if best != "" {
			return ""
		}
		best = name
	}
	return best
}

// distance is Levenshtein's: the letters to insert, remove or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
