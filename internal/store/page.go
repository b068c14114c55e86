package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/bits"
)

// This file knows how bbolt lays out a file, in its format 2, the only one that it
// ever had: pages of one size, each with a number, and values that need more
// going on in the pages behind. The first two hold metas, of which the newer valid
// one counts. Numbers are as the machine has them that wrote the file.

const (
	headSize    = 16 // id 8, flags 2, count 2, overflow 4
	elementSize = 16 // leaf: flags, pos, ksize, vsize; branch: pos, ksize, id 8
	metaSize    = 64
	bucketSize  = 16 // root 8, sequence 8

	magic  = 0xED0CDAED
	layout = 2

	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10
	bucketFlag   = 0x01 // of a leaf's element

	longList = 0xffff // of a freelist: the first element is its length
)

// order is in which order a file has the bytes of a number.
type order interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

var native = orderOf(binary.NativeEndian.Uint16([]byte{1, 0}) == 1)

func orderOf(little bool) order {
	if little {
		return binary.LittleEndian
	}
	return binary.BigEndian
}

// foreign is the order of machines unlike this one.
func foreign() order { return orderOf(native == binary.BigEndian) }

// meta says what a file has.
type meta struct {
	order    order
	version  uint32
	pageSize int64
	root     uint64 // page
	freelist uint64 // page
	pages    uint64 // how many there are
	number   uint64 // of the transaction that wrote it
	valid    bool   // it is of our version, and whole
	whole    bool   // its checksum is right, whatever its version
	magic    bool
}

func readMeta(f io.ReaderAt, o order, page, size int64) meta {
	b := make([]byte, metaSize)
	if _, err := f.ReadAt(b, page*size+headSize); err != nil {
		return meta{}
	}
	m := meta{
		order: o,
		magic: o.Uint32(b) == magic, version: o.Uint32(b[4:]), pageSize: int64(o.Uint32(b[8:])),
		root: o.Uint64(b[16:]), freelist: o.Uint64(b[32:]), pages: o.Uint64(b[40:]), number: o.Uint64(b[48:]),
	}
	m.whole = m.magic && fnvOf(b[:56]) == o.Uint64(b[56:])
	m.valid = m.whole && m.version == layout && m.pageSize >= 1<<10 && m.pageSize <= 1<<24 && bits.OnesCount64(uint64(m.pageSize)) == 1
	return m
}

func fnvOf(b []byte) uint64 {
	sum := fnv.New64a()
	_, _ = sum.Write(b) // which cannot fail
	return sum.Sum64()
}

// metas gives both metas of a file, as the store finds them: where the first one
// is broken, the second is looked for at all sizes that a page may have.
func metas(f io.ReaderAt, usual int64) (first, second meta) {
	if first, second = metasIn(f, native, usual); first.magic || second.magic {
		return first, second
	}
	if a, b := metasIn(f, foreign(), usual); a.magic || b.magic {
		return a, b
	}
	return first, second
}

func metasIn(f io.ReaderAt, o order, usual int64) (first, second meta) {
	first = readMeta(f, o, 0, usual)
	if first.valid {
		return first, readMeta(f, o, 1, first.pageSize)
	}
	for size := int64(1 << 10); size <= 1<<24; size *= 2 {
		if m := readMeta(f, o, 1, size); m.valid && m.pageSize == size {
			return first, m
		}
	}
	return first, readMeta(f, o, 1, usual)
}

// newest is the meta that counts.
func newest(first, second meta) (meta, error) {
	switch {
	case first.valid && (!second.valid || first.number > second.number):
		return first, nil
	case second.valid:
		return second, nil
	}
	return meta{}, errors.New("it has no beginning")
}

// page is a page with those behind that belong to it.
type page struct {
	order        order
	id, overflow uint64
	flags        uint16
	count        int
	data         []byte // with the head
}

// head reads a page's head; it must be in a file of so many pages.
func head(b []byte, o order, id, pages uint64) (page, error) {
	p := page{
		order: o,
		id:    o.Uint64(b), flags: o.Uint16(b[8:]), count: int(o.Uint16(b[10:])), overflow: uint64(o.Uint32(b[12:])),
	}
	switch {
	case p.id != id:
		return p, fmt.Errorf("page %d says that it is page %d", id, p.id)
	case p.overflow >= pages-id:
		return p, fmt.Errorf("page %d is followed by %d others", id, p.overflow)
	}
	return p, nil
}

// element is one of a leaf or of a branch.
type element struct {
	flags uint32
	key   []byte
	value []byte // of a leaf
	child uint64 // of a branch
}

// span is where an element's bytes are; false where they cannot be within limit.
func (p *page) span(i int, limit int64) (pos, ksize, vsize int64, ok bool) {
	at := int64(headSize + i*elementSize)
	e := p.data[at:]
	if p.flags == leafPage {
		pos, ksize, vsize = int64(p.order.Uint32(e[4:])), int64(p.order.Uint32(e[8:])), int64(p.order.Uint32(e[12:]))
	} else {
		pos, ksize = int64(p.order.Uint32(e)), int64(p.order.Uint32(e[4:]))
	}
	pos += at
	return pos, ksize, vsize, ksize > 0 && pos >= headSize+int64(p.count)*elementSize && pos+ksize+vsize <= limit
}

// element gives one of a page that was read whole.
func (p *page) element(i int) (element, error) {
	pos, ksize, vsize, ok := p.span(i, int64(len(p.data)))
	if !ok {
		return element{}, fmt.Errorf("page %d: element %d lies outside", p.id, i)
	}
	e := element{key: p.data[pos : pos+ksize]}
	raw := p.data[headSize+i*elementSize:]
	if p.flags == leafPage {
		e.flags, e.value = p.order.Uint32(raw), p.data[pos+ksize:pos+ksize+vsize]
	} else {
		e.child = p.order.Uint64(raw[8:])
	}
	return e, nil
}

// readPage reads a leaf or a branch; limit is how many pages there are.
func readPage(f io.ReaderAt, m meta, id, limit uint64) (*page, error) {
	size := m.pageSize
	b := make([]byte, size)
	if _, err := f.ReadAt(b, int64(id)*size); err != nil {
		return nil, err
	}
	p, err := head(b, m.order, id, limit)
	if err != nil {
		return nil, err
	}
	if p.flags != leafPage && p.flags != branchPage {
		return nil, fmt.Errorf("page %d is of the kind %#x", id, p.flags)
	}
	all := int64(p.overflow+1) * size
	elements := int64(headSize + p.count*elementSize)
	if elements > all {
		return nil, fmt.Errorf("page %d has room for fewer than %d elements", id, p.count)
	}
	if p.data = b; p.overflow == 0 {
		return &p, nil
	}
	// What says how far it goes on is read first: a wrong number must not cost
	// as much memory as the file has.
	if p.data, err = more(f, b, int64(id)*size, elements); err != nil {
		return nil, err
	}
	end := elements
	for i := range p.count {
		pos, ksize, vsize, ok := p.span(i, all)
		if !ok {
			return nil, fmt.Errorf("page %d: element %d lies outside", id, i)
		}
		end = max(end, pos+ksize+vsize)
	}
	if all-end > size {
		return nil, fmt.Errorf("page %d ends before its last page", id)
	}
	p.data, err = more(f, p.data, int64(id)*size, all)
	return &p, err
}

// more gives so many bytes of a file from an offset on, of which it has the
// first.
func more(f io.ReaderAt, first []byte, offset, n int64) ([]byte, error) {
	if int64(len(first)) >= n {
		return first, nil
	}
	b := make([]byte, n)
	_, err := f.ReadAt(b[copy(b, first):], offset+int64(len(first)))
	return b, err
}

// freelistHead gives the page of the list of free pages, without the list: where in
// the file that begins, and how long it is.
func freelistHead(f io.ReaderAt, m meta) (list page, at int64, n uint64, err error) {
	fail := func(err error) (page, int64, uint64, error) { return page{}, 0, 0, err }
	b := make([]byte, headSize+8)
	if m.freelist < 2 || m.freelist >= m.pages {
		return fail(errors.New("it has no list of free pages"))
	}
	at = int64(m.freelist) * m.pageSize
	if _, err := f.ReadAt(b, at); err != nil {
		return fail(err)
	}
	if list, err = head(b, m.order, m.freelist, m.pages); err != nil {
		return fail(err)
	}
	from := int64(headSize)
	if n = uint64(list.count); n == longList {
		n, from = m.order.Uint64(b[headSize:]), headSize+8
	}
	if room := uint64(int64(list.overflow+1)*m.pageSize-from) / 8; list.flags != freelistPage || n > room {
		return fail(fmt.Errorf("page %d is no list of free pages", m.freelist))
	}
	return list, at + from, n, nil
}

// readFreelist gives the pages that are free.
func readFreelist(f io.ReaderAt, m meta) (list page, ids []uint64, err error) {
	list, at, n, err := freelistHead(f, m)
	if err != nil {
		return page{}, nil, err
	}
	text := make([]byte, 8*n)
	if _, err := f.ReadAt(text, at); err != nil {
		return page{}, nil, err
	}
	for i := range n {
		ids = append(ids, m.order.Uint64(text[8*i:]))
	}
	return list, ids, nil
}
