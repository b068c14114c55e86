package web

import (
	"math"
	"strconv"
	"testing"
	"time"

	"scriptbridge/internal/texts"
)

func TestDurations(t *testing.T) {
	for _, c := range []struct {
		d                   time.Duration
		roughly, took, span string
	}{
		{0, "1 s", "0 µs", "0 s"},
		{250 * time.Microsecond, "1 s", "250 µs", "0.00025 s"},
		{310 * time.Millisecond, "1 s", "310 ms", "0.31 s"},
		{5 * time.Second, "5 s", "5.0 s", "5 s"},
		{90 * time.Second, "90 s", "90.0 s", "1 min 30 s"},
		{5 * time.Minute, "5 min", "5 min", "5 min"},
		{90 * time.Minute, "90 min", "1 h 30 min", "1 h 30 min"},
		{49*time.Hour + 400*time.Millisecond, "2 d", "2 d 1 h", "2 d 1 h 0.4 s"},
	} {
		if got := roughly(c.d); got != c.roughly {
			t.Errorf("roughly(%v) = %q, want %q", c.d, got, c.roughly)
		}
		if got := took(c.d); got != c.took {
			t.Errorf("took(%v) = %q, want %q", c.d, got, c.took)
		}
		if got := texts.Span(c.d); got != c.span {
			t.Errorf("Span(%v) = %q, want %q", c.d, got, c.span)
		}
	}
}

func TestMoments(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("", 3600))
	earlier := shownTime{Text: "12 s ago", Exact: "2026-03-01 11:59:48 +0100", ISO: "2026-03-01T10:59:48Z"}
	if got := ago(now.Add(-12*time.Second), now); got != earlier {
		t.Errorf("ago: %+v, want %+v", got, earlier)
	}
	for _, c := range []struct {
		got  shownTime
		want string
	}{
		{ago(time.Time{}, now), ""},
		{ago(now, now), "just now"},
		{ago(now.Add(time.Hour), now), "in 60 min"}, // an event may say so
		{soon(time.Time{}, now), ""},
		{soon(now.Add(-time.Minute), now), "now"},
		{soon(now.Add(48*time.Second), now), "in 48 s"},
	} {
		if c.got.Text != c.want {
			t.Errorf("got %q, want %q", c.got.Text, c.want)
		}
	}
}

func TestNumber(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -100: "-100"} {
		if got := number(n); got != want {
			t.Errorf("number(%d) = %q, want %q", n, got, want)
		}
	}
	if got := count(1, "script") + ", " + count(2, "script"); got != "1 script, 2 scripts" {
		t.Error(got)
	}
}

// A value can be compared with what was printed, and is exact.
func TestPlainNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1: "1", -3: "-3", 1594465726: "1594465726", 1.3847673906190476e+09: "1384767390.6190476", 1e-5: "0.00001",
		9007199254740993: "9007199254740992", 1e20: "100000000000000000000", 1e21: "1e+21", -1e300: "-1e+300", 1e-7: "1e-07", 5e-324: "5e-324",
		math.Inf(1): "+Inf", math.Inf(-1): "-Inf",
	} {
		got := plainNumber(v)
		if back, err := strconv.ParseFloat(got, 64); got != want || err != nil || back != v {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
	if got := plainNumber(math.NaN()); got != "NaN" {
		t.Error(got)
	}
}
