package config

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"scriptbridge/config/internal/yamltree"
)

// level is a map of the file, by what messages call it, with the keys that it
// may have.
type level struct {
	thing string
	keys  []string
}

// knownLevels is the table that levels gives. It is filled when it is first
// asked for: the functions that read a file make it, and look into it.
var knownLevels struct {
	once sync.Once
	all  []level
}

// levels are all maps of a file, each once.
func levels() []level {
	knownLevels.once.Do(func() { knownLevels.all = findLevels() })
	return knownLevels.all
}

func findLevels() (all []level) {
	l := newLoader("")
	learn := func(thing string, keys []key) {
		one := level{thing: levelOf(thing)}
		if slices.ContainsFunc(all, func(known level) bool { return known.thing == one.thing }) {
			return
		}
		for _, k := range keys {
			if !k.refused() {
				one.keys = append(one.keys, k.name)
			}
		}
		all = append(all, one)
	}
	some := func(name string) *yamltree.Value { return mapOf(name, &yamltree.Value{Kind: yamltree.Map}) }
	listed := func(item *yamltree.Value) *yamltree.Value {
		return &yamltree.Value{Kind: yamltree.List, Items: []*yamltree.Value{item}}
	}
	script := mapOf("metrics", some("metric"))
	script.Add("parameters", some("parameter"))
	root := mapOf("global", &yamltree.Value{Kind: yamltree.Map})
	root.Add("scripts", listed(script))
	root.Add("discover", listed(&yamltree.Value{Kind: yamltree.Map}))
	root.Add("events", some("log"))
	receivers := mapOf("coscale", some("tls"))
	receivers.Add("statsd", &yamltree.Value{Kind: yamltree.Map})
	receivers.Add("collectd", &yamltree.Value{Kind: yamltree.Map})
	root.Add("receive", receivers)
	uploads := mapOf("coscale", some("spool"))
	uploads.Add("instrumental", some("spool"))
	root.Add("upload", uploads)
	(&entry{Report: &l.Report, learn: learn}).object(root, l.main()) // its errors are of no interest
	return all
}

// refused reports whether the key is known only for saying where it belongs.
func (k key) refused() bool {
	r := new(yamltree.Report)
	k.take(&entry{Report: r}, yamltree.Field{Key: k.name, Value: new(yamltree.Value)})
	return len(r.Errs) > 0 && strings.HasPrefix(r.Errs[0].Problem, strconv.Quote(k.name)+" ")
}

func mapOf(key string, v *yamltree.Value) *yamltree.Value {
	m := &yamltree.Value{Kind: yamltree.Map}
	m.Add(key, v)
	return m
}

// place says where a map stands.
func (l level) place() string {
	switch l.thing {
	case "":
		return "the file's top level"
	case "scripts[":
		return "an entry of scripts"
	case "discover[":
		return "an entry of discover"
	}
	if _, of, ok := strings.Cut(l.thing, "[: "); ok {
		return "an entry of " + strings.TrimSuffix(of, ": ")
	}
	return strings.ReplaceAll(l.thing, ": ", ".")
}

// levelOf is thing without what tells one entry of a list from the others.
func levelOf(thing string) string { return entryName.ReplaceAllString(thing, "$1") }

var entryName = regexp.MustCompile(`((?:\[)|(?:metrics: )|(?:parameters: ))(?:[0-9]+\])?(?: ?"(?:[^"\\]|\\.)*")?`)

// placesOf says which other maps than thing may have a key; empty for none.
func placesOf(key, thing string) string {
	thing = levelOf(thing)
	if IsOption(key) {
		where := " of an entry of scripts"
		if thing == "scripts[" || thing == "discover[" {
			where = ""
		}
		return "it is an option of a dialect: write it under options:" + where
	}
	var places []string
	for _, l := range levels() {
		if place := l.place(); l.thing != thing && slices.Contains(l.keys, key) && !slices.Contains(places, place) {
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

// optionKeys are the names of all dialects' options.
var optionKeys = []string{
	"config_timeout", "use_failed_output", "permissions", "raw_status", "lenient_numbers",
	"module", "id", "config", "module_paths", "python", "agent_package", "drop_fields", "text_values",
	"max_label_length", "max_label_values", "max_families",
}

// IsOption reports whether a dialect has an option of a name, which is of use
// where one stands in the wrong place.
func IsOption(name string) bool { return slices.Contains(optionKeys, name) }
