package coscale

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// wirePoints are what stands in the list d of data, and what it is written as.
var wirePoints = []struct {
	name, text string
	want       Point
	written    string // "": as text
	err        string
}{
	{"value", "[0,50.4]", Point{Value: 50.4}, "", ""},
	{"ago", "[-60,49.9]", Point{Time: -60, Value: 49.9}, "", ""},
	{"absolute", "[1700000000,48]", Point{Time: 1700000000, Value: 48}, "", ""},
	{"negative", "[0,-2.5]", Point{Value: -2.5}, "", ""},
	{"exponent of the Java SDK", "[0,1.0E21]", Point{Value: 1e21}, "[0,1e+21]", ""},
	{"spaces", " [ 0 , 1 ] ", Point{Value: 1}, "[0,1]", ""},
	{"fraction of a second", "[-60.9,1]", Point{Time: -60, Value: 1}, "[-60,1]", ""},
	{"histogram", "[-60,[100,10,[1,2,3]]]", Point{Time: -60, Histogram: &Histogram{100, 10, []float64{1, 2, 3}}}, "", ""},
	{"histogram of the StatsD backend", "[0,[10,10,[1,2,3,4,5,6,7,8,9,10,10,10,10]]]",
		Point{Histogram: &Histogram{10, 10, []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10, 10}}}, "", ""},
	{"histogram without values", "[0,[0,10,[]]]", Point{Histogram: &Histogram{0, 10, []float64{}}}, "", ""},
	{"flat histogram of 2015", "[-60,1000,10,0,10,20]", Point{Time: -60, Histogram: &Histogram{1000, 10, []float64{0, 10, 20}}}, "[-60,[1000,10,[0,10,20]]]", ""},

	{"no list", `{"a":1}`, Point{}, "", "json: cannot unmarshal object into Go value of type []json.RawMessage"},
	{"empty", "[]", Point{}, "", "a point has a time and a value"},
	{"no value", "[0]", Point{}, "", "a point has a time and a value"},
	{"value as a text", `[0,"1"]`, Point{}, "", `"\"1\"" is no number`},
	{"NaN as a time", `["NaN",1]`, Point{}, "", `"\"NaN\"" is no time in seconds`},
	{"null", "[0,null]", Point{}, "", `"null" is no number`},
	{"time null", "[null,1]", Point{}, "", `"null" is no number`},
	{"too far", "[1e300,1]", Point{}, "", `"1e300" is no time in seconds`},
	{"three items", "[0,1,2]", Point{}, "", "a point has two items, or those of a histogram: samples, width and values"},
	{"short histogram", "[0,[1,2]]", Point{}, "", "a histogram has three items: samples, width and a list of values"},
	{"long histogram", "[0,[1,2,[3]],4]", Point{}, "", "something follows a histogram"},
	{"values in lists", "[0,[1,2,[[3]]]]", Point{}, "", `"[3]" is no number`},
}

func TestPoint(t *testing.T) {
	for _, c := range wirePoints {
		t.Run(c.name, func(t *testing.T) {
			var got Point
			err := json.Unmarshal([]byte(c.text), &got)
			if c.err != "" {
				if err == nil || err.Error() != c.err {
					t.Errorf("error %v, not %s", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			want := c.written
			if want == "" {
				want = c.text
			}
			if text, err := json.Marshal(got); err != nil || string(text) != want {
				t.Errorf("is written as %s, %v; not %s", text, err, want)
			}
		})
	}
}

func TestPointWithoutNumber(t *testing.T) {
	for _, p := range []Point{
		{Value: math.NaN()},
		{Histogram: &Histogram{Samples: math.Inf(1)}},
		{Histogram: &Histogram{Width: math.NaN()}},
		{Histogram: &Histogram{Values: []float64{1, math.Inf(-1)}}},
	} {
		if text, err := json.Marshal(p); err == nil {
			t.Errorf("%v is written as %s", p, text)
		}
	}
}

// TestPointNotANumber reads what the Java SDK makes of NaN: it costs its point,
// not the request.
func TestPointNotANumber(t *testing.T) {
	for text, good := range map[string]func(float64) bool{
		`[0,"NaN"]`:       math.IsNaN,
		`[0,"Infinity"]`:  func(v float64) bool { return math.IsInf(v, 1) },
		`[0,"-Infinity"]`: func(v float64) bool { return math.IsInf(v, -1) },
	} {
		var p Point
		if err := json.Unmarshal([]byte(text), &p); err != nil || !good(p.Value) {
			t.Errorf("%s is read as %v, %v", text, p, err)
		}
	}
}

// FuzzPoint: what can be read can be written, and is then read as the same.
func FuzzPoint(f *testing.F) {
	for _, c := range wirePoints {
		f.Add([]byte(c.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var p, again Point
		if json.Unmarshal(text, &p) != nil {
			return
		}
		written, err := json.Marshal(p)
		if err != nil && (bytes.Contains(text, []byte(`"NaN"`)) || bytes.Contains(text, []byte(`Infinity"`))) {
			return // these can only be read
		}
		if err != nil {
			t.Fatalf("%s cannot be written: %v", text, err)
		}
		if err := json.Unmarshal(written, &again); err != nil {
			t.Fatalf("%s cannot be read: %v", written, err)
		}
		if diff := cmp.Diff(p, again); diff != "" {
			t.Errorf("%s becomes %s: %s", text, written, diff)
		}
	})
}

func TestSubject(t *testing.T) {
	for _, c := range []struct {
		text  string
		kind  Kind
		id    int64
		ok    bool
		again string
	}{
		{"a", "", 0, true, "a"},
		{"A17", "", 17, true, "a"}, // coscale-cli lets it through
		{"s17", Servers, 17, true, "s17"},
		{"S17", Servers, 17, true, "s17"},
		{"S", Servers, 0, true, "s0"},
		{"g3", ServerGroups, 3, true, "g3"},
		{"", "", 0, false, ""},
		{"x1", "", 0, false, ""},
		{"s-1", "", 0, false, ""},
		{"s99999999999999999999", "", 0, false, ""},
		{"web-01", "", 0, false, ""},
	} {
		kind, id, err := ParseSubject(c.text)
		if (err == nil) != c.ok || kind != c.kind {
			t.Errorf("%q: %q, %d, %v", c.text, kind, id, err)
		}
		if kind != "" && id != c.id {
			t.Errorf("%q has id %d", c.text, id)
		}
		if got := SubjectOf(kind, id); c.ok && got != c.again {
			t.Errorf("%q is written as %q", c.text, got)
		}
	}
}
