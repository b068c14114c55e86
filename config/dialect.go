package config

import (
	"reflect"
	"slices"
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
