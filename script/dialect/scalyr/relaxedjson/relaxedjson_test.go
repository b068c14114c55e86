package relaxedjson

import (
	"encoding/json"
	"math/big"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Each row is a habit of the agent's reader.
func TestRelaxedJSON(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{`{"a": 1, "b": [true, false, "x"]}`, `{"a":1,"b":[true,false,"x"]}`},
		{"// one\n{ /* two\n */ a: 1 // three\n} // four", `{"a":1}`},
		{"{a_1: 1, _b: 2, true: 3}", `{"_b":2,"a_1":1,"true":3}`},
		{"{a: 1,}", `{"a":1}`},
		{"[1, 2,]", `[1,2]`},
		{"{a: 1\n b: 2\n\tc: {}\n}", `{"a":1,"b":2,"c":{}}`},
		{"[1\n2\n\n  3]", `[1,2,3]`},
		{"{a: 1 // remark\n b: 2}", `{"a":1,"b":2}`},
		{"{a: \"x\"\n b: 2}", `{"a":"x","b":2}`},
		{`"a" + "b" + /* and */ "c"`, `"abc"`},
		{"[\"a\" +\n // remark\n \"b\"]", `["ab"]`},
		{"{a: \"\"\"one \"two\"\n\\three\\\\d\"\"\"\n b: 1}", `{"a":"one \"two\"\n\three\\d","b":1}`},
		{`[007, -01.5, 1., -1.e2, 1e5, 0, -0, 00, 123456789012345678901234567890]`, `[7,-1.5,1.0,-1.0e2,1e5,0,-0,0,123456789012345678901234567890]`},
		{`{a: 1, a: 2}`, `{"a":2}`},
		{`{a: null, b: [null], c: 1, c: null}`, `{"b":[null]}`},
		{`"\t\n\r\b\f\"\\\/\u00e9\ud83d\ude00\ud83d"`, "\"\\t\\n\\r\\b\\f\\\"\\\\/é😀\ufffd\""},
		{` null `, `null`},
		{"\"a\tb\"", `"a\tb"`},

		{``, `line 1: a value is missing before the end of the text`},
		{"{\n'a': 1}", `line 2: a key is missing before '\'' (write one with characters other than letters, digits and _ in double quotes)`},
		{"# remark\n1", `line 1: a value is missing before '#'`},
		{`+1`, `line 1: a value is missing before '+'`},
		{`.5`, `line 1: a value is missing before '.'`},
		{`0x10`, `line 1: 'x' comes after the end`},
		{`NaN`, `line 1: NaN is no value (write a text in double quotes)`},
		{`[True]`, `line 1: True is no value (write a text in double quotes)`},
		{`{a: 1; b: 2}`, `line 1: a comma is missing before ';'`},
		{`[1, , 2]`, `line 1: a value is missing before ','`},
		{`{a-b: 1}`, `line 1: a colon is missing behind the key "a"`},
		{"\"a\nb\"", `line 1: a text continues after its line (write one of several lines between """)`},
		{`"\x41"`, `line 1: 'x' cannot follow a backslash`},
		{`"\u12g4"`, `line 1: \u takes four hexadecimal digits`},
		{"\ufeff{}", `line 1: a value is missing before '\ufeff'`},
		{`{} {}`, `line 1: '{' comes after the end`},
		{`{a: 1 b: 2}`, `line 1: a comma is missing before 'b'`},
		{"[1\n/* x */ 2]", `line 2: a comma is missing before '2'`},
		{`["""a""" + "b"]`, `line 1: a comma is missing before '+'`},
		{`"a" + 1`, `line 1: a + is followed by '1', not by a text in double quotes`},
		{`{a 1}`, `line 1: a colon is missing behind the key "a"`},
		{"{\n\n", `line 3: the text ends before a }`},
		{`[1`, `line 1: the text ends before a ]`},
		{`"a`, `line 1: a text in double quotes does not end`},
		{`"""a""`, `line 1: a """ text does not end`},
		{"\"\"\"a\nb\\d\"\"\"", `line 2: 'd' cannot follow a backslash, in a """ text either (write \\ for a backslash)`},
		{`/* a`, `line 1: a /* comment does not end`},
		{`1-2`, `line 1: 1-2 is not a number`},
		{strings.Repeat("1", 101), `line 1: a number has more than 100 characters`},
		{"\xff", `the text is not UTF-8`},
		{strings.Repeat("[", 1000), `line 1: lists and objects are nested more than 200 deep`},
		{strings.Repeat(`{"a": `, 100_000), `line 1: lists and objects are nested more than 200 deep`},
		{"[\n" + strings.Repeat("1\n", 10_001), `line 10002: a list or object has more than 10000 entries`},
		{"{" + strings.Repeat(`"a": 1,`, 10_001), `line 1: a list or object has more than 10000 entries`},
	} {
		got := ""
		if v, err := Parse([]byte(test.text)); err != nil {
			got = err.Error()
		} else {
			var b strings.Builder
			e := json.NewEncoder(&b)
			e.SetEscapeHTML(false)
			if err := e.Encode(v); err != nil {
				t.Fatal(err)
			}
			got = strings.TrimSuffix(b.String(), "\n")
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.text, diff)
		}
	}
}

// TestRelaxedJSONShared has the table that the Python package's own reader is
// held to as well, and the agent's where there is one: what an agent.json says
// does not depend on who reads it.
func TestRelaxedJSONShared(t *testing.T) {
	data, err := os.ReadFile("../python/tests/relaxed.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows [][2]*string
	if err := json.Unmarshal(data, &rows); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		got, err := Parse([]byte(*row[0]))
		if row[1] == nil {
			if err == nil {
				t.Errorf("%q gives %v; no error", *row[0], got)
			}
			continue
		}
		var want any
		d := json.NewDecoder(strings.NewReader(*row[1]))
		d.UseNumber()
		if err := d.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			t.Errorf("%q: %v", *row[0], err)
		} else if diff := cmp.Diff(want, got, cmp.Comparer(sameNumber)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", *row[0], diff)
		}
	}
}

// sameNumber compares as Python does, which tells 1 and 1.0 apart.
func sameNumber(a, b json.Number) bool {
	isInt := func(n json.Number) bool { return !strings.ContainsAny(n.String(), ".eE") }
	x, _, errX := big.ParseFloat(a.String(), 10, 512, big.ToNearestEven)
	y, _, errY := big.ParseFloat(b.String(), 10, 512, big.ToNearestEven)
	return errX == nil && errY == nil && x.Cmp(y) == 0 && isInt(a) == isInt(b)
}

// FuzzRelaxedJSON: what it reads can be written as JSON and is read the same;
// it reads all that is JSON, but for what a null leaves out.
func FuzzRelaxedJSON(f *testing.F) {
	for _, text := range []string{`{"a": [1, 2.5e3, "x\u00e9", null, true]}`, "{a: 007\n b: \"x\" + \"y\"\n}", `"""a"""`, `[1.,]`, `/* x */ 1 // y`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := Parse(text)
		if err != nil {
			if json.Valid(text) && !strings.Contains(err.Error(), "deep") && !strings.Contains(err.Error(), "UTF-8") && !strings.Contains(err.Error(), "100 characters") {
				t.Fatalf("%q is JSON, but %v", text, err)
			}
			return
		}
		written, err := json.Marshal(v)
		if err != nil {
			t.Fatalf("%q gave %#v: %v", text, v, err)
		}
		again, err := Parse(written)
		if err != nil {
			t.Fatalf("%q gave %s: %v", text, written, err)
		}
		if diff := cmp.Diff(v, again); diff != "" {
			t.Fatalf("%q gave %s:\n%s", text, written, diff)
		}
	})
}
