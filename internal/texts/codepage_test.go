package texts

import (
	"strings"
	"testing"
)

func TestDecodeLines(t *testing.T) {
	for in, want := range map[string]string{
		"":                     "",
		"plain\r\nü\n":         "plain\r\nü\n",
		"ü\n\x81 1\r\nx\n\x81": "ü\n<\x81 1\r\n>x\n<\x81>",
		"\x94 ü\nü":            "<\x94 ü\n>ü",
		"cut \xe6\x97":         "cut \xe6\x97",
		"cut \xf0\x9f\x98":     "cut \xf0\x9f\x98",
		"a\xfc":                "<a\xfc>", // which begins no character
		"b\xfcx":               "<b\xfcx>",
	} {
		got := string(decodeLines([]byte(in), func(line []byte) []byte { return []byte("<" + string(line) + ">") }))
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// What comes in pieces is what comes at once.
func TestDecoder(t *testing.T) {
	for _, text := range []string{
		"", "a", "\xff", "\xfe", "\xff\xfe", "\xff\xfea", "\xff\xfea\x00\x3d\xd8\x00\xdeb\x00", "\xfe\xff\x00a\xd8\x3d\xde\x00\x00b", "\xff\xfe\x3d\xd8", "\xff\xfe\x3d\xd8a\x00",
		"\ufeffa b\n", "\xef\xbb", "\xefx", "plain \xff\xfe",
	} {
		want := string(FromUTF16([]byte(text)))
		for size := 1; size < 6; size++ {
			var d Decoder
			var got strings.Builder
			for i := 0; i < len(text); i += size {
				got.Write(d.Decode([]byte(text[i:min(i+size, len(text))])))
			}
			got.Write(d.Rest())
			if got.String() != want {
				t.Errorf("%q in pieces of %d: %q, want %q", text, size, got.String(), want)
			}
		}
	}
}
