package script

import (
	"reflect"
	"strings"
	"testing"

	"scriptbridge/config"
)

// TestOptionNames: the configuration knows the names of all options, to say
// where one belongs that stands in the wrong place.
func TestOptionNames(t *testing.T) {
	for _, options := range []any{coscaleOptions{}, instrumentalOptions{}, prometheusOptions{}, scalyrOptions{}} {
		kind := reflect.TypeOf(options)
		for i := range kind.NumField() {
			name, _, _ := strings.Cut(kind.Field(i).Tag.Get("yaml"), ",")
			// Two of scalyr's are also keys of a script and of a discover entry.
			if name != "labels" && name != "agent_config" && !config.IsOption(name) {
				t.Errorf("%s: config.IsOption does not know %q", kind.Name(), name)
			}
		}
	}
}
