package config

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"scriptbridge/internal/panics"
)

// entry is one thing of a file while it is read; it knows where it stands and
// what messages call it.
type entry struct {
	*report
	file   string // as messages name it
	folder string // absolute: what relative paths start from
	thing  string
}

func (e *entry) fail(line int, remedy, format string, args ...any) {
	e.errs = append(e.errs, &Error{
		Position: Position{File: e.file, Line: line},
		Thing:    e.thing,
		Problem:  fmt.Sprintf(format, args...),
		Remedy:   remedy,
	})
}

func (e *entry) fault(f field, ft *fault) { e.fail(f.line, ft.remedy, "%s %s", f.key, ft.problem) }

// key is one key that an object may have, and what reads it.
type key struct {
	name string
	take take
}

// take reads one field into its place, or says in e what is wrong with it.
type take func(e *entry, f field)

// object reads v's fields in the order of keys, whatever their order in the
// file; any other field is an error. An empty v is an object without fields. A
// name that is twice among keys is the caller's mistake, and panics: what is
// wrong with its value would be told twice.
func (e *entry) object(v *value, keys []key) {
	if v.kind != object && v.kind != null {
		e.fail(v.line, "write its keys and values beneath it, each as key: value", "is %s, not a map", v.kind)
		return
	}
	names := make([]string, len(keys))
	for i, k := range keys {
		if slices.Contains(names[:i], k.name) {
			panic("config: the key " + k.name + " is listed twice")
		}
		names[i] = k.name
		if f := v.get(k.name); f != nil {
			e.guard(f.line, func() { k.take(e, *f) })
		}
	}
	if e.learn != nil {
		e.learn(e.thing, keys)
	}
	for _, f := range v.fields {
		if slices.Contains(names, f.key) {
			continue
		}
		remedy := suggest(f.key, names)
		if e.places {
			remedy = cmp.Or(placesOf(f.key, e.thing), remedy)
		}
		e.fail(f.line, remedy, "unknown key %q", f.key)
	}
}

// guard reads something that stands at line. A panic is an error like others:
// it costs that alone, and the rest is still read.
func (e *entry) guard(line int, read func()) {
	err := panics.Try(func() error { read(); return nil })
	if err != nil {
		e.errs = append(e.errs, &Error{Position: Position{File: e.file, Line: line}, Thing: e.thing, Problem: err.Error(), Cause: err})
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
	return func(e *entry, f field) { e.inner(f.key).object(f.value, keys) }
}

// each reads a list with one, item by item.
func each(one func(e *entry, item *value)) take {
	return func(e *entry, f field) {
		if f.value.kind != list && f.value.kind != null {
			e.fault(f, faultf("begin each item with a dash and a space, on a line of its own", "is %s, not a list", f.value.kind))
			return
		}
		for i, item := range f.value.items {
			inner := e.inner(fmt.Sprintf("%s[%d]", f.key, i))
			inner.guard(item.line, func() { one(inner, item) })
		}
	}
}

// refused is a key with a place elsewhere, or none yet.
func refused(problem, remedy string) take {
	return func(e *entry, f field) { e.fail(f.line, remedy, "%q %s", f.key, problem) }
}

// text reads any single value but an empty one.
func text(into *string) take {
	return func(e *entry, f field) {
		s, ft := f.value.single()
		switch {
		case ft != nil:
			e.fault(f, ft)
		case s == "":
			e.fault(f, faultf("give it a value", "is empty"))
		default:
			*into = s
		}
	}
}

// optional is a text that may be empty, which says something else than its
// absence.
func optional(into **string, check func(string) *fault) take {
	return func(e *entry, f field) {
		s, ft := f.value.single()
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
	return func(e *entry, f field) {
		s, ft := f.value.single()
		if ft == nil && !slices.Contains(words, s) {
			ft = faultf("write "+alternatives(words), "%q is not known", s)
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
	return func(e *entry, f field) {
		var s string
		text(&s)(e, f)
		if s != "" {
			*into = absolute(e.folder, s)
		}
	}
}

func absolute(folder, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(folder, path)
}

func boolean(into *bool) take {
	return func(e *entry, f field) {
		b, ft := f.value.boolean()
		if ft != nil {
			e.fault(f, ft)
			return
		}
		*into = b
	}
}

// duration reads one that is at least least.
func duration(into *time.Duration, least time.Duration) take {
	return func(e *entry, f field) {
		d, ft := f.value.duration()
		if ft == nil && d < least {
			ft = faultf("write "+least.String()+" or more", "%s is too short", f.value.text)
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
	return func(e *entry, f field) {
		n, ft := f.value.integer(0)
		if ft == nil && n < 1 {
			ft = faultf("write 1 or more", "%d is too small", n)
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
func texts[T ~string](into *map[string]T, check func(name, text string) *fault) take {
	return func(e *entry, f field) {
		if f.value.kind != object && f.value.kind != null {
			e.fault(f, faultf("write names and values beneath it, each as name: value", "is %s, not a map", f.value.kind))
			return
		}
		for _, t := range f.value.fields {
			s, ft := t.value.single()
			if ft != nil && t.value.kind == null {
				ft.remedy = `write "" for an empty one`
			}
			if ft == nil {
				ft = check(t.key, s)
			}
			if ft != nil {
				e.fail(t.line, ft.remedy, "%s: %q %s", f.key, t.key, ft.problem)
				continue
			}
			if *into == nil {
				*into = make(map[string]T)
			}
			(*into)[t.key] = T(s)
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
