package record

import (
	"math"
	"testing"
)

func TestStatsDMilliseconds(t *testing.T) {
	for _, ms := range []float64{0, 1, 0.1, 1.001, 57, 320, 1001, 4999, 123456789, 0.000001, -3} {
		if got := StatsDMilliseconds(ms / 1000); got != ms {
			t.Errorf("%v ms become %v", ms, got)
		}
	}
	if got := StatsDMilliseconds(1e308); !math.IsInf(got, 1) {
		t.Errorf("too much becomes %v", got)
	}
}

func TestStatsDName(t *testing.T) {
	for id, want := range map[string]string{
		"web.hits": "web.hits", "a/b  c-d": "a-b_c-d", "Grüße(x):": "Grex", "ключ": "", "x ": "x_", "..": "..",
	} {
		if got := StatsDName(id); got != want {
			t.Errorf("%q: %q, want %q", id, got, want)
		}
	}
}
