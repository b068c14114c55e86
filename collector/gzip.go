package collector

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"hash/maphash"
	"iter"
	"net/http"
	"strconv"
	"strings"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/s2"
)

// gzipHeader begins a member that says nothing of file, time or system.
const gzipHeader = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"

// appendTrailer ends a member: the checksum and the length of the text.
func appendTrailer(dst []byte, crc uint32, size int) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, crc)
	return binary.LittleEndian.AppendUint32(dst, uint32(size)) // modulo 2^32, as RFC 1952 has it
}

// pieceSize is about how much text is compressed at once: more compresses better,
// less needs less memory while a page is served.
const pieceSize = 64 << 10

// piece is a stretch of a page's text, kept compressed: the text itself would be
// most of what a series takes. What never changes again is that of data, once it is there.
type piece struct {
	size int    // of the text
	hash uint64 // of the text
	crc  uint32 // of the text, and
	pow  uint32 // what takes a checksum past it, both where there is a deflate stream
	// data by encoding: S2 for pages that are asked for plain, which costs less than
	// to send them does; a byte-aligned stretch of a deflate stream for gzip.
	data [2][]byte
}

// encoding is the index into a piece's data.
func (v variant) encoding() int {
	if v.gzip {
		return 1
	}
	return 0
}

// press compresses pieces.
type press struct {
	seed maphash.Seed
	text []byte       // scratch, as is
	out  bytes.Buffer // that
}

// fill compresses a piece's text, where that has not been done.
func (p *press) fill(to *piece, text []byte, v variant) {
	switch data := &to.data[v.encoding()]; {
	case *data != nil:
	case v.gzip:
		to.crc, to.pow = crc32.ChecksumIEEE(text), crcPower(len(text))
		*data = bytes.Clone(deflate(&p.out, text, false))
	default:
		p.out.Reset()
		p.out.Grow(s2.MaxEncodedLen(len(text)))
		room := p.out.AvailableBuffer()
		*data = bytes.Clone(s2.Encode(room[:cap(room)], text))
	}
}

// rest lets go of what a text that was too long for it has left.
func (p *press) rest() {
	if cap(p.text) > 4*pieceSize {
		p.text = nil
	}
	if p.out.Cap() > 4*pieceSize {
		p.out = bytes.Buffer{}
	}
}

// deflate compresses a text to a stretch of a deflate stream, readable by itself. The
// stretch ends at a byte, so that another one can follow, or ends the stream. It is
// the buffer's own.
func deflate(buf *bytes.Buffer, text []byte, last bool) []byte {
	buf.Reset()
	_ = flate.StatelessDeflate(buf, text, last, nil) // a buffer takes everything
	return buf.Bytes()
}

// all gives the page's pieces, each good until the next one: of a page for gzip as
// they are, of another one their text.
func (p *page) all(gzip bool) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		var text []byte
		if !gzip {
			text = make([]byte, pieceSize+pieceSize/8)
		}
		for _, piece := range p.pieces {
			if !gzip {
				var err error
				if piece, err = s2.Decode(text[:cap(text)], piece); err != nil {
					panic(err) // it was made here
				}
			}
			if !yield(piece) {
				return
			}
		}
	}
}

// acceptsGzip reads Accept-Encoding (RFC 9110, 12.5.3).
func acceptsGzip(h http.Header) bool {
	every := false
	for _, line := range h.Values("Accept-Encoding") {
		for part := range strings.SplitSeq(line, ",") {
			coding, weight, _ := strings.Cut(part, ";")
			name, value, _ := strings.Cut(strings.ReplaceAll(weight, " ", ""), "=")
			q, err := strconv.ParseFloat(value, 64)
			refused := strings.EqualFold(name, "q") && err == nil && q == 0
			switch strings.ToLower(strings.TrimSpace(coding)) {
			case "gzip", "x-gzip":
				return !refused
			case "*":
				every = !refused
			}
		}
	}
	return every
}

// The checksum of two texts in a row is made from theirs: multiplying by
// x^(8n) modulo the polynomial of CRC-32 takes a checksum past n bytes, as
// zlib's crc32_combine does. Bits are reversed: the highest is x^0.

// crcPower is x^(8n).
func crcPower(n int) uint32 {
	power, square := uint32(1)<<31, uint32(1)<<23
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			power = crcMultiply(square, power)
		}
		square = crcMultiply(square, square)
	}
	return power
}

// crcMultiply is the product of two polynomials.
func crcMultiply(a, b uint32) uint32 {
	var product uint32
	for ; a != 0; a <<= 1 {
		if a&(1<<31) != 0 {
			product ^= b
		}
		b = b>>1 ^ crc32.IEEE&-(b&1)
	}
	return product
}
