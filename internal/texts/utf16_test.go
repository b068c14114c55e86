package texts

import (
	"bytes"
	"encoding/binary"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

// inUTF16 is a text as PowerShell writes it.
func inUTF16(text string, order binary.AppendByteOrder) []byte {
	out := order.AppendUint16(nil, 0xfeff)
	for _, u := range utf16.Encode([]rune(text)) {
		out = order.AppendUint16(out, u)
	}
	return out
}

func TestFromUTF16(t *testing.T) {
	for _, text := range []string{"", "a 1\r\nb{x=\"ü€😀\"} 2\r\n", "\ufeff"} {
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			if got := string(FromUTF16(inUTF16(text, order))); got != text {
				t.Errorf("%v: %q is read as %q", order, text, got)
			}
		}
	}
	for in, want := range map[string]string{
		"plain":                 "plain",
		"\ufeffmark":            "\ufeffmark",
		"\xff":                  "\xff",
		"\xff\xfea\x00b":        "a",      // cut in a character
		"\xff\xfe\x3d\xd8":      "\ufffd", // half a pair
		"\xff\xfe\x3d\xd8a\x00": "\ufffda",
	} {
		if got := string(FromUTF16([]byte(in))); got != want {
			t.Errorf("%q is read as %q, want %q", in, got, want)
		}
	}
}

func FuzzFromUTF16(f *testing.F) {
	f.Add([]byte("\xff\xfea\x00\x3d\xd8\x00\xde"))
	f.Fuzz(func(t *testing.T, out []byte) {
		text := FromUTF16(out)
		if marked := bytes.HasPrefix(out, []byte("\xff\xfe")) || bytes.HasPrefix(out, []byte("\xfe\xff")); marked && !utf8.Valid(text) || !marked && !bytes.Equal(text, out) {
			t.Errorf("%q is read as %q", out, text)
		}
	})
}
