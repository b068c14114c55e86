package config

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A Raw is what stands in the file, digit by digit.
func TestRaw(t *testing.T) {
	for _, test := range []struct{ yaml, want string }{
		{`{a: 1.50, b: "1.50", c: [true, null, x], d: {}}`, `{"a":1.50,"b":"1.50","c":[true,null,"x"],"d":{}}`},
		{`[123456789012345678901234567890, -123456789012345678901234567890, "123456789012345678901234567890"]`,
			`[123456789012345678901234567890,-123456789012345678901234567890,"123456789012345678901234567890"]`},
		{`[0x10, 0o17, 1_000, .5, +1, 1.]`, `[16,15,1000,0.5,1,1]`},
		{`[1e3, 1E3, 1e+3, -1e-3, +1e3, 1.e3, .5e1, 0e0, 1.5e3, 12e03]`, `[1e3,1E3,1e+3,-1e-3,1000,1000,5,0e0,1.5e3,12e03]`},
		{`[.inf, -.Inf, +.INF, .nan, .NAN, 1e400, -1.5e400, +1e400]`, `[1e999,-1e999,1e999,"NaN","NaN",1e400,-1.5e400,1e999]`},
		{`["1e3", '.inf', !!str 1e3, 1e3x, e3, 1e, .information, inf, nan]`, `["1e3",".inf","1e3","1e3x","e3","1e",".information","inf","nan"]`},
		{`text`, `"text"`},
		{``, `null`},
	} {
		o, err := OptionsFrom(map[string]string{"raw": test.yaml})
		if err != nil {
			t.Fatal(err)
		}
		var into struct {
			Raw Raw `yaml:"raw"`
		}
		if err := o.Decode(&into); err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(into.Raw)
		if err != nil || string(got) != test.want {
			t.Errorf("%s: got %s, %v; want %s", test.yaml, got, err, test.want)
		}
	}
}

// With replaces, adds, and leaves what it was called on alone.
func TestOptionsWith(t *testing.T) {
	o, err := OptionsFrom(map[string]string{"keep": "1", "replace": "[1]"})
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]any{
		"replace": map[string]any{"n": json.Number("1.0"), "list": []any{nil, false, "x", json.Number("123456789012345678901234567890")}},
		"add":     "12",
	}
	with := o.With(fields)
	var into struct {
		Keep    int    `yaml:"keep"`
		Replace Raw    `yaml:"replace"`
		Add     string `yaml:"add"`
	}
	if err := with.Decode(&into); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fields["replace"], into.Replace.Plain()); diff != "" || into.Keep != 1 || into.Add != "12" {
		t.Errorf("got %+v; replace (-want +got):\n%s", into, diff)
	}
	if with.written() != o.With(fields).written() || with.written() == o.written() {
		t.Error("With does not give equal options for equal fields, or none that differ")
	}
	if again, _ := OptionsFrom(map[string]string{"keep": "1", "replace": "[1]"}); o.written() != again.written() {
		t.Error("With has changed what it was called on")
	}
	if (Options{}).With(nil).root != nil {
		t.Error("nothing with nothing is something")
	}
}
