package collector

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// gzipHeader begins a member that says nothing of file, time or system.
const gzipHeader = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"

// appendTrailer ends a member: the checksum and the length of the text.
func appendTrailer(dst []byte, crc uint32, size int) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, crc)
	return binary.LittleEndian.AppendUint32(dst, uint32(size)) // modulo 2^32, as RFC 1952 has it
}

// packer makes stretches of deflate streams, each readable by itself.
type packer struct {
	buf   bytes.Buffer
	flate *flate.Writer
}

var packers = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, flate.BestSpeed) // the level is a valid one
	return &packer{flate: w}
}}

// pack compresses a text. The stretch ends at a byte, so that another one can
// follow, or ends the stream. It is the packer's own until the next call.
func (p *packer) pack(text []byte, last bool) []byte {
	p.buf.Reset()
	p.flate.Reset(&p.buf)
	_, _ = p.flate.Write(text) // a buffer takes everything
	if last {
		_ = p.flate.Close()
	} else {
		_ = p.flate.Flush()
	}
	return p.buf.Bytes()
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
