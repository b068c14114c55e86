package jsonstream

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

var seeds = []string{
	`[]`, ` [ ] `, `[1]`, `[1,2]`, `[1, "a,]}\"" , {"a":[{}]}, [[[]]], true, null, -1.5e3]`, `null`, ` null`, "\n\t 12", `nul`, `[1`, `[1,`, `[1,]`, `[,1]`, `[1 2]`, `[1}`, `[1]x`,
	`{}`, `{"a":1}`, `{"a":1,}`, `{"a"}`, `{a:1}`, `{"a":1,"b":"\u00e9\ud83d\ude00\n","":[]}`, `["\`, `["a\`, `"`, `["` + "\x01" + `"]`, `[]]`, `[-]`, `[1"a"]`, `["a"1]`, `[{}{}]`, `[nullx]`,
	`"\ud800"`, `"\ud800\u0041"`, `"\ud83d\ude00"`, `"\x"`, `"\u12"`, `""`, `"a\\"`, "\"\xff\"",
}

// readAll reads a list, or an object, value by value.
func readAll(r io.Reader, size int) (values []string, err error) {
	in := Scanner{R: bufio.NewReaderSize(r, size)}
	first, err := in.Next()
	if err != nil {
		return nil, err
	}
	one := func() error {
		var raw json.RawMessage
		if err := in.Value(&raw); err != nil {
			return err
		}
		values = append(values, string(raw))
		return nil
	}
	if first == '{' {
		err = in.Object(func(name string) error {
			values = append(values, name)
			return one()
		})
	} else {
		err = in.List("no list", one)
	}
	if err == nil {
		err = in.End()
	}
	return values, err
}

// FuzzScanner reads what json.Unmarshal reads, and nothing else, however small the pieces
// are that come.
func FuzzScanner(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := readAll(strings.NewReader(text), 1<<16)
		slow, errSlow := readAll(iotest.OneByteReader(strings.NewReader(text)), 1<<16)
		if (err == nil) != (errSlow == nil) || err == nil && !slices.Equal(got, slow) {
			t.Fatalf("%q: at once %q, %v; byte by byte %q, %v", text, got, err, slow, errSlow)
		}
		small, errSmall := readAll(strings.NewReader(text), 16)
		if errSmall == nil && !slices.Equal(got, small) || errSmall != nil && err == nil && !errors.Is(errSmall, ErrTooLong) {
			t.Fatalf("%q: with little room %q, %v", text, small, errSmall)
		}
		var list []json.RawMessage
		var object map[string]json.RawMessage
		errList, errObject := json.Unmarshal([]byte(text), &list), json.Unmarshal([]byte(text), &object)
		if (err == nil) != (errList == nil || errObject == nil) {
			t.Fatalf("%q: %q, %v; json has %v and %v", text, got, err, errList, errObject)
		}
		if err == nil && object == nil {
			var want []string
			for _, raw := range list {
				want = append(want, string(raw))
			}
			if !slices.Equal(got, want) {
				t.Errorf("%q: %q, want %q", text, got, want)
			}
		}
		for i := 0; err == nil && object != nil && i < len(got); i += 2 {
			if last := slices.IndexFunc(got[i+2:], func(s string) bool { return s == got[i] }); last < 0 && string(object[got[i]]) != got[i+1] {
				t.Errorf("%q: %q is %q, want %q", text, got[i], got[i+1], object[got[i]])
			}
		}
	})
}

// FuzzText decodes what json.Unmarshal does.
func FuzzText(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !strings.HasPrefix(text, `"`) {
			return
		}
		in := Scanner{R: bufio.NewReaderSize(iotest.HalfReader(strings.NewReader(text)), 16)}
		got, err := io.ReadAll(in.Text())
		if err == nil {
			err = in.End()
		}
		var want string
		errWant := json.Unmarshal([]byte(text), &want)
		if (err == nil) != (errWant == nil) {
			t.Fatalf("%q: %v, want %v", text, err, errWant)
		}
		if err == nil && strings.ToValidUTF8(string(got), "\uFFFD") != strings.ToValidUTF8(want, "\uFFFD") && !strings.Contains(want, "\uFFFD\uFFFD") {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	})
}

// A value for which there is no room can still be read in parts.
func TestWholeTooLong(t *testing.T) {
	in := Scanner{R: bufio.NewReaderSize(strings.NewReader(`[[1,2,3,4,5,6,7,8,9,10],"a"]`), 16)}
	n := 0
	err := in.List("", func() error {
		raw, err := in.Whole()
		if err != nil {
			return err
		}
		if raw != nil {
			n += 100
			return nil
		}
		return in.List("", func() error { n++; return in.Value(new(int)) })
	})
	if err != nil || n != 110 {
		t.Errorf("%d, %v", n, err)
	}
}
