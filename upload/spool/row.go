package spool

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/crc32"
	"math"
	"os"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// value is how an entry stands in the file: a checksum of the key and of all
// that follows, since the store has none of its own; the number of items, with a
// mark where the data is compressed, which it is not when it is to be plain; the
// data.
func (r *rows) value(key []byte, items int, data []byte, plain bool) []byte {
	var packed []byte
	if !plain {
		packed = r.pack(data)
	}
	v := make([]byte, 4, 4+binary.MaxVarintLen64+cmp.Or(len(packed), len(data)))
	if packed != nil {
		v = append(binary.AppendUvarint(v, uint64(items)|compressed), packed...)
	} else {
		v = append(binary.AppendUvarint(v, uint64(items)), data...)
	}
	binary.BigEndian.PutUint32(v, checksum(key, v))
	return v
}

// read gives an entry's items and data, which is the caller's; false where it is
// damaged.
func (r *rows) read(key, v []byte) (items int, data []byte, ok bool) {
	items, data, ok = head(v)
	if !ok || binary.BigEndian.Uint32(v) != checksum(key, v) {
		return 0, nil, false
	}
	if n, _ := binary.Uvarint(v[4:]); n&compressed == 0 {
		return items, bytes.Clone(data), true
	}
	data, err := r.reader().DecodeAll(data, nil)
	return items, data, err == nil
}

// compressed marks a number of items, which is an int32, where the data is
// compressed.
const compressed = 1 << 32

// rows write and read what is in a row. Entries of many samples are alike from
// sample to sample, and take an eighth of their room when they are compressed.
type rows struct {
	making sync.Mutex
	zip    *zstd.Encoder // nil until there is something to do
	unzip  *zstd.Decoder
}

const (
	// packFrom is from how many bytes on data is compressed.
	packFrom = 200
	// packWindow is how far back the same bytes are found.
	packWindow = 64 << 10
	// packMost is up to how many bytes data is compressed. What is larger stays plain, so
	// that no row, whatever it says, takes more memory when it is read.
	packMost = 64 << 20
)

// pack compresses data; nil where that is of no use.
func (r *rows) pack(data []byte) []byte {
	if len(data) < packFrom || len(data) > packMost {
		return nil
	}
	packed := r.writer().EncodeAll(data, nil)
	if len(packed) >= len(data)*7/8 {
		return nil
	}
	return packed
}

func (r *rows) writer() *zstd.Encoder {
	r.making.Lock()
	defer r.making.Unlock()
	if r.zip == nil {
		r.zip, _ = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), // options that are good
			zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(packWindow), zstd.WithEncoderCRC(false))
	}
	return r.zip
}

func (r *rows) reader() *zstd.Decoder {
	r.making.Lock()
	defer r.making.Unlock()
	if r.unzip == nil {
		r.unzip, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(packMost)) // options that are good
	}
	return r.unzip
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(key, v []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, v[4:])
}

// head reads the number of items, without a look at the checksum: it must not
// make every page of a large queue be read.
func head(v []byte) (items int, data []byte, ok bool) {
	if len(v) < 5 {
		return 0, nil, false
	}
	n, size := binary.Uvarint(v[4:min(len(v), 4+binary.MaxVarintLen64)])
	if n &^= compressed; size <= 0 || n > math.MaxInt32 {
		return 0, nil, false
	}
	return int(n), v[4+size:], true
}

// fill is how much of a page the store fills when entries come in order.
const fill = 0.95

// rowHead is what the store adds to each row, and to each page.
const rowHead = 16

// cost is what an entry adds to the queue. Its bytes are the room that it takes
// in the file: the store puts as many entries into a page as fit, but at least
// two, and then takes as many pages as they need; an eighth more is lost between
// pieces of different size (TestBound).
func cost(v []byte) total {
	size, page := len(v)+keyLength+rowHead, os.Getpagesize()
	together := max(2, int(fill*float64(page))/size)
	pages := (rowHead + together*size + page - 1) / page
	items, _, _ := head(v)
	return total{entries: 1, items: uint64(items), bytes: int64(pages*page/together) * 9 / 8}
}

func (t *total) add(o total) {
	t.entries += o.entries
	t.items += o.items
	t.bytes += o.bytes
}

func (t *total) remove(o total) {
	t.entries -= o.entries
	t.items -= o.items // wraps around, and back when it is added
	t.bytes -= o.bytes
}
