package config

import "testing"

// TestPlacesOfIsCheap: a file may have tens of thousands of unknown keys, and
// each is looked for in all other maps.
func TestPlacesOfIsCheap(t *testing.T) {
	if got, want := testDialects.placesOf("interval", "events"), "it belongs to global, an entry of scripts or an entry of discover"; got != want {
		t.Errorf("places %q, want %q", got, want)
	}
	if n := testing.AllocsPerRun(10, func() { testDialects.placesOf("nowhere", "events") }); n > 100 {
		t.Errorf("a key that is nowhere takes %v allocations", n)
	}
}

// What somebody types who means a name, and what is too far from any.
func TestNearest(t *testing.T) {
	names := []string{"serve", "check", "try", "status", "init", "c"}
	for word, want := range map[string]string{
		"serv": "serve", "sevre": "serve", "Serve": "serve", "chekc": "check", "hceck": "check", "tyr": "try", "yrt": "", "stat": "status",
		"statuss": "status", "inti": "init", "tr": "try", "": "", "x": "", "quite another": "",
	} {
		if got := Nearest(word, names); got != want {
			t.Errorf("%q: %q, not %q", word, got, want)
		}
	}
}
