package web

import (
	"math"
	"strings"
	"testing"
	"time"

	"scriptbridge/script"
)

// A chart says in words what it draws, has gaps where there is no value, and nothing but
// numbers whatever the values are.
func TestChart(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		values      []float64
		path, label string
	}{
		{[]float64{1, 3, 2}, "M105 27L111 3L117 15h1", "the last 3 values: from 1 to 3"},
		{[]float64{7}, "M117 15h1", "the last 1 value: from 7 to 7"},
		{[]float64{0, nan, inf, 2}, "M99 27h1M117 3h1", "the last 4 values: from 0 to 2"},
		{[]float64{inf, 0, inf, 2}, "M105 27h1M117 3h1", ""},
		{[]float64{-math.MaxFloat64, math.MaxFloat64}, "M111 27L117 3h1", ""},
		{[]float64{0, math.SmallestNonzeroFloat64}, "M111 15L117 15h1", ""},
		{[]float64{nan, inf}, "", ""},
		{nil, "", ""},
	} {
		got := string(chartOf("<x>", "<y>", c.values, rounded).SVG)
		path := ""
		if _, rest, ok := strings.Cut(got, ` d="`); ok {
			path, _, _ = strings.Cut(rest, `"`)
		}
		if path != c.path || !strings.Contains(got, c.label) || strings.Contains(got, "N") {
			t.Errorf("%v: %s", c.values, got)
		}
	}
	history := []*script.Verdict{{Duration: 2 * time.Second}, {Duration: 500 * time.Millisecond}}
	if got := durationChart(history[0], script.HistoryOf(history...)); got.Last != "2.0 s" || !strings.Contains(string(got.SVG), "from 500 ms to 2.0 s") || !strings.Contains(string(got.SVG), `d="M111 27L117 3h1"`) {
		t.Errorf("durations: %+v", got)
	}
	for v, want := range map[float64]string{0: "0", 1594465726: "1594000000", 0.123456: "0.1235", -2.5: "-2.5"} {
		if got := rounded(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}
