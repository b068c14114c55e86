package jsonstream

import (
	"bufio"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"testing/iotest"
)

// FuzzPlain takes only what json.Unmarshal takes too, as the same value, and what it does not
// take is left.
func FuzzPlain(f *testing.F) {
	for _, s := range append([]string{
		`0`, `-0`, `00`, `-`, `1.`, `.5`, `1.5`, `1e5`, `1E+05`, `1e`, `1e+`, `-12345678901234567`, `999999999999999999`, `1000000000000000000`, `9223372036854775808`, `0.1`, `1e400`, `-1e-400`,
		`"é"`, `"a"b`, `"` + "\x7f" + `"`, `"a,b]"`, `12 `, `12]`, `+1`, `0x1`, `1_0`, `NaN`, `Infinity`, `18014398509481985`, `1.7976931348623157e308`, `4.9e-324`,
	}, seeds...) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, behind := range []string{",", "]", " ", ""} {
			all := text + behind
			value := func(took *Plain, into any) bool {
				return json.Unmarshal([]byte(all[:took.At]), into) == nil
			}
			p := Plain{B: []byte(all)}
			if got, ok := p.Int(); ok {
				var want int64
				if !value(&p, &want) || got != want {
					t.Errorf("%q: the whole number %d of %q", all, got, all[:p.At])
				}
			}
			p = Plain{B: []byte(all)}
			if got, ok := p.Float(); ok {
				var want float64
				if !value(&p, &want) || math.Float64bits(got) != math.Float64bits(want) {
					t.Errorf("%q: the number %v of %q, want %v", all, got, all[:p.At], want)
				}
			}
			p = Plain{B: []byte(all)}
			if got, ok := p.Text(); ok {
				var want string
				if !value(&p, &want) || string(got) != want {
					t.Errorf("%q: the text %q of %q", all, got, all[:p.At])
				}
			} else if !p.Short && strings.HasPrefix(text, `"`) && !strings.Contains(text, `\`) {
				var want string
				if json.Unmarshal([]byte(text), &want) == nil && want == text[1:len(text)-1] {
					t.Errorf("%q is not taken", all)
				}
			}
		}
	})
}

// A list of plain numbers is taken as such, however small the pieces are that come; what is
// not plain, or longer than there is room for, is left as it was.
func TestPlainInPieces(t *testing.T) {
	for _, c := range []struct {
		text  string
		taken bool
	}{
		{`[1,-2.5, 3e2 ] `, true}, {" \n[]", true}, {`[1,2`, false}, {`[1 2]`, false}, {`[,1]`, false}, {`[1,]`, false}, {`["a"]`, false},
		{"[1,2" + strings.Repeat(" ", 100) + "]", false},
	} {
		in := Scanner{R: bufio.NewReaderSize(iotest.OneByteReader(strings.NewReader(c.text)), 32)}
		var scratch Plain
		taken, err := in.Plain(&scratch, func(p *Plain) bool {
			if !p.Is('[') {
				return false
			}
			for first := true; ; first = false {
				more, ok := p.More(']', first)
				if !ok || !more {
					return ok
				}
				if _, ok := p.Float(); !ok {
					return false
				}
			}
		})
		if taken != c.taken || err != nil {
			t.Errorf("%q is taken: %v, %v", c.text, taken, err)
		}
		rest := make([]byte, 1)
		if n, _ := in.R.Read(rest); taken && n == 1 && rest[0] != ' ' || !taken && (n != 1 || rest[0] != '[') {
			t.Errorf("%q: %q is left", c.text, rest[:n])
		}
	}
}
