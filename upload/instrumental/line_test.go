package instrumental

import (
	"math"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestMetricLine(t *testing.T) {
	at := time.Unix(1_500_000_000, 900_000_000)
	for _, test := range []struct {
		verb  verb
		value float64
		count float64
		want  string
	}{
		{gauge, 0.7, 0, "gauge web.load 0.7 1500000000 1"},
		{increment, 3, 1, "increment web.load 3 1500000000 1"},
		{gauge, -1e21, 1, "gauge web.load -1000000000000000000000 1500000000 1"},
		{gauge, 1.5e-7, 1, "gauge web.load 0.00000015 1500000000 1"},
		{gauge, 50, 10, "gauge web.load 50 1500000000 10"},
		{gauge, 50, 2.4, "gauge web.load 50 1500000000 2"},
		{gauge, math.NaN(), 1, ""},
		{gauge, math.Inf(-1), 1, ""},
	} {
		got, ok := metricLine(test.verb, "web.load", test.value, at, test.count)
		if got != test.want || ok != (test.want != "") {
			t.Errorf("%v: got %q, %v, want %q", test.value, got, ok, test.want)
		}
	}
}

func TestNoticeLine(t *testing.T) {
	start := time.Unix(1_500_000_000, 0)
	for _, test := range []struct {
		stop time.Time
		text string
		want string
	}{
		{start.Add(time.Minute), "deployed v2", "notice 1500000000 60 deployed v2"},
		{time.Time{}, "a\r\nb\x00c", "notice 1500000000 0 a b c"},
		{start, strings.Repeat("é", 2000), "notice 1500000000 0 " + strings.Repeat("é", longestNotice/2)},
		{start.Add(-time.Second), "\xff", "notice 1500000000 0 \ufffd"},
	} {
		if got := noticeLine(start, test.stop, test.text); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestMetricName(t *testing.T) {
	for _, test := range []struct {
		parts []string
		want  string
	}{
		{[]string{"web-01", "load", "one"}, "web-01.load.one"},
		{[]string{"web.example.org", "disk", "/var/log"}, "web_example_org.disk.var_log"},
		{[]string{"h", "s", "Temp (°C)", "", "é"}, "h.s.Temp_C"},
		{[]string{"-_", "a"}, "a"},
		{[]string{"é", "..."}, ""},
		{[]string{strings.Repeat("x", 501)}, ""},
		{append([]string{"h"}, strings.Split("app.disk.root", ".")...), "h.app.disk.root"},
	} {
		if got := metricName(test.parts...); got != test.want {
			t.Errorf("%q: got %q, want %q", test.parts, got, test.want)
		}
	}
}

// FuzzMetricName: whatever the parts, the name is one that the client
// libraries take, or there is none.
func FuzzMetricName(f *testing.F) {
	f.Add("web-01", "disk.root", "/")
	f.Add("", "..", "\xff")
	good := regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*$`)
	f.Fuzz(func(t *testing.T, host, metric, value string) {
		name := metricName(append([]string{host}, append(strings.Split(metric, "."), value)...)...)
		if name != "" && !good.MatchString(name) {
			t.Errorf("%q %q %q gave %q", host, metric, value, name)
		}
	})
}
