package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"scriptbridge/config/internal/yamltree"
)

// level is a kind of map in the file, with the keys that it may have.
type level struct {
	name string // as in scripts[].metrics[]; empty for the top level
	keys []string
}

// levels are all kinds of maps of a file, an inner one before the outer.
var levels = sync.OnceValue(func() []level { return findLevels(nil, "", reflect.TypeFor[Config]()) })

func findLevels(all []level, name string, t reflect.Type) []level {
	this := level{name: name}
	for _, k := range keysOf(t) {
		if k.refused {
			continue
		}
		this.keys = append(this.keys, k.name)
		if inner, many := k.inner(); inner != nil {
			at := strings.TrimPrefix(name+"."+k.name, ".")
			if many {
				at += "[]"
			}
			all = findLevels(all, at, inner)
		}
	}
	return append(all, this)
}

// inner gives the struct that a key's map, or each of the maps in it, is read into;
// nil where it has none.
func (k *key) inner() (t reflect.Type, many bool) {
	t = k.typ
	if t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t, many = t.Elem(), true
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || len(keysOf(t)) == 0 {
		return nil, false
	}
	return t, many
}

// place says where a map stands.
func (l level) place() string {
	if l.name == "" {
		return "the file's top level"
	}
	if name, many := strings.CutSuffix(l.name, "[]"); many {
		return "an entry of " + name[strings.LastIndexByte(name, '.')+1:]
	}
	return l.name
}

// placesOf says which other kinds of maps than the one named at may have a key;
// empty for none.
func (d Dialects) placesOf(key, at string) string {
	if d.hasOption(key) {
		where := " of an entry of scripts"
		if at == "scripts[]" || at == "discover[]" {
			where = ""
		}
		return "it is an option of a dialect: write it under options:" + where
	}
	var places []string
	for _, l := range levels() {
		if place := l.place(); l.name != at && slices.Contains(l.keys, key) && !slices.Contains(places, place) {
			places = append(places, place)
		}
	}
	switch len(places) {
	case 0:
		return ""
	case 1:
		return "it belongs to " + places[0]
	}
	return "it belongs to " + alternatives(places[:min(len(places), 3)])
}

// alternatives lists words as "a, b or c".
func alternatives(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
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
// changed, left out, added or swapped, or of another case, or the end of one left out; "" when none is near.
func Nearest(word string, names []string) string {
	word = strings.Trim(word, yamltree.Curly)
	for _, name := range names {
		if strings.EqualFold(word, name) {
			return name
		}
	}
	best, limit := "", 1+len(word)/4
	for _, name := range names {
		if d := distance(word, name); d <= limit && d < len(name) {
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

// distance is that of optimal string alignment: the letters to insert, remove or
// replace, or neighbours to swap.
func distance(a, b string) int {
	var before []int // the row before the last
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			change := row[j]
			if a[i] != b[j] {
				change++
			}
			next[j+1] = min(change, next[j]+1, row[j+1]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
