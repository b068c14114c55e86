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
	var d Decoder
	text := d.Decode(out)
	if rest := d.Rest(); len(rest) > 0 {
		return append(text, rest...)
	}
	return text
}

// Decoder is FromUTF16 for an output that comes in pieces, which may end within a
// character.
type Decoder struct {
	order binary.ByteOrder // nil: it is no UTF-16
	known bool             // whether it is
	held  []byte           // the first bytes, or half a character
}

// marks are the byte order marks of UTF-16.
var marks = []struct {
	mark  string
	order binary.ByteOrder
}{{"\xff\xfe", binary.LittleEndian}, {"\xfe\xff", binary.BigEndian}}

// Decode gives in UTF-8 what a piece brings. It may be part of the piece itself.
func (d *Decoder) Decode(piece []byte) []byte {
	if d.known && d.order == nil || len(piece) == 0 {
		return piece
	}
	if len(d.held) > 0 {
		piece = append(d.held, piece...)
		d.held = nil
	}
	if !d.known {
		for _, m := range marks {
			if rest, ok := bytes.CutPrefix(piece, []byte(m.mark)); ok {
				d.known, d.order, piece = true, m.order, rest
				break
			}
			if len(piece) < len(m.mark) && m.mark[:len(piece)] == string(piece) {
				d.held = bytes.Clone(piece)
				return nil
			}
		}
		d.known = true
	}
	if d.order == nil {
		return piece
	}
	text := make([]byte, 0, len(piece)/2)
	for len(piece) > 1 {
		r := rune(d.order.Uint16(piece))
		if isHigh := r >= 0xd800 && r < 0xdc00; isHigh && len(piece) < 4 {
			break
		} else if isHigh {
			if both := utf16.DecodeRune(r, rune(d.order.Uint16(piece[2:]))); both != utf8.RuneError {
				r, piece = both, piece[2:]
			}
		}
		text = utf8.AppendRune(text, r)
		piece = piece[2:]
	}
	d.held = bytes.Clone(piece)
	return text
}

// Rest gives what is left when no other piece comes: of UTF-16 half a pair is a character
// that cannot be shown, and half a character is nothing.
func (d *Decoder) Rest() []byte {
	held := d.held
	d.held = nil
	if d.order == nil {
		return held
	}
	if len(held) < 2 {
		return nil
	}
	return []byte(string(utf8.RuneError))
}
