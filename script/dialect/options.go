package dialect

import (
	"reflect"
	"strings"
)

// OptionNames gives the names of a dialect's options, which are the fields of a
// struct as config.Options.Decode reads it.
func OptionNames(options any) (names []string) {
	kind := reflect.TypeOf(options)
	for i := range kind.NumField() {
		name, _, _ := strings.Cut(kind.Field(i).Tag.Get("yaml"), ",")
		names = append(names, name)
	}
	return names
}
