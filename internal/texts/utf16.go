package texts

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// FromUTF16 gives an output in UTF-8 that begins with the byte order mark of
// UTF-16, as what PowerShell wrote to a file does; any other as it is.
func FromUTF16(out []byte) []byte {
	var order binary.ByteOrder = binary.LittleEndian
	rest, ok := bytes.CutPrefix(out, []byte("\xff\xfe"))
	if !ok {
		order = binary.BigEndian
		if rest, ok = bytes.CutPrefix(out, []byte("\xfe\xff")); !ok {
			return out
		}
	}
	text := make([]byte, 0, len(rest)/2)
	for len(rest) > 1 { // half a character may be left of what was cut
		r := rune(order.Uint16(rest))
		rest = rest[2:]
		if utf16.IsSurrogate(r) && len(rest) > 1 {
			if both := utf16.DecodeRune(r, rune(order.Uint16(rest))); both != '\ufffd' {
				r, rest = both, rest[2:]
			}
		}
		text = utf8.AppendRune(text, r)
	}
	return text
}
