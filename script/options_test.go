package script

import (
	"testing"

	"scriptbridge/config"
	"scriptbridge/script/dialect/all"
)

// TestOptionNames: the configuration knows the names of all options, to say
// where one belongs that stands in the wrong place.
func TestOptionNames(t *testing.T) {
	for _, d := range all.Dialects {
		for _, name := range d.Traits().Options {
			// Two of scalyr's are also keys of a script and of a discover entry.
			if name != "labels" && name != "agent_config" && !config.IsOption(name) {
				t.Errorf("%s: config.IsOption does not know %q", d.Name(), name)
			}
		}
	}
}
