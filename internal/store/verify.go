package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// mostDepth bounds how deep a tree is: one of a hundred keys a page and as deep
// has more pages than any disk.
const mostDepth = 32

// verify reads all of a file's structure and rows, as the store would meet them
// later, so that damage is found before anything rests on it. It reads, and maps
// nothing: what changes under it is an error at worst.
func verify(f io.ReaderAt, size int64, path string, row func(bucket string, key, value []byte) error) error {
	first, second := metas(f, int64(os.Getpagesize()))
	for _, m := range []meta{first, second} {
		other := m.magic && m.version != layout
		if other && (m.whole || !first.valid && !second.valid) {
			return &NewerError{Path: path, Format: fmt.Sprintf("bbolt %d", m.version), Known: fmt.Sprintf("bbolt %d", layout)}
		}
	}
	m, err := newest(first, second)
	if err != nil {
		return damaged(err)
	}
	return damaged((&verifier{f: f, m: m, row: row}).run(size))
}

// damaged makes an error one of damage, unless it is the system's or tells of a
// newer version.
func damaged(err error) error {
	_, path := errors.AsType[*os.PathError](err)
	if _, newer := errors.AsType[*NewerError](err); newer || path || err == nil {
		return err
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

type pageSet []byte

func (s pageSet) has(id uint64) bool { return s[id/8]&(1<<(id%8)) != 0 }

// add says whether it was not there.
func (s pageSet) add(id uint64) bool {
	if s.has(id) {
		return false
	}
	s[id/8] |= 1 << (id % 8)
	return true
}

type verifier struct {
	f          io.ReaderAt
	m          meta
	row        func(bucket string, key, value []byte) error
	done       func(*page) error // unless nil: has each leaf and branch that was gone through, and may change it
	used, free pageSet
}

func (v *verifier) run(size int64) error {
	if v.m.pages < 4 || v.m.pages > uint64(size/v.m.pageSize) {
		return fmt.Errorf("it has %d bytes, and should have %d pages of %d", size, v.m.pages, v.m.pageSize)
	}
	v.used, v.free = make(pageSet, v.m.pages/8+1), make(pageSet, v.m.pages/8+1)
	list, ids, err := readFreelist(v.f, v.m)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if id < 2 || id >= v.m.pages || !v.free.add(id) {
			return fmt.Errorf("page %d cannot be free", id)
		}
	}
	if err := v.use(&list); err != nil {
		return err
	}
	if err := v.tree("", v.m.root, nil, nil, 0); err != nil {
		return err
	}
	for id := uint64(2); id < v.m.pages; id++ {
		if !v.used.has(id) && !v.free.has(id) {
			return fmt.Errorf("page %d is neither used nor free", id)
		}
	}
	return nil
}

// use notes that a page is in use, and those that belong to it.
func (v *verifier) use(p *page) error {
	for id := p.id; id <= p.id+p.overflow; id++ {
		if v.free.has(id) || !v.used.add(id) {
			return fmt.Errorf("page %d is in use twice", id)
		}
	}
	return nil
}

// tree goes through the pages of a bucket from one on, whose keys must be from
// least on, and less than most; nil is no bound.
func (v *verifier) tree(bucket string, id uint64, least, most []byte, depth int) error {
	if id < 2 || id >= v.m.pages || depth > mostDepth {
		return fmt.Errorf("page %d cannot be in use", id)
	}
	p, err := readPage(v.f, v.m, id, v.m.pages)
	if err != nil {
		return err
	}
	if err := v.use(p); err != nil {
		return err
	}
	if p.flags == leafPage {
		err = v.leaf(bucket, p, least, most, depth)
	} else {
		err = v.branch(bucket, p, least, most, depth)
	}
	if err == nil && v.done != nil {
		err = v.done(p)
	}
	return err
}

// branch goes through a page that leads to others.
func (v *verifier) branch(bucket string, p *page, least, most []byte, depth int) error {
	if p.count == 0 {
		return fmt.Errorf("page %d leads nowhere", p.id)
	}
	for i := range p.count {
		e, err := p.element(i)
		if err != nil {
			return err
		}
		if least, err = after(p, i, least, e.key, most); err != nil {
			return err
		}
		below := most
		if i+1 < p.count {
			next, err := p.element(i + 1)
			if err != nil {
				return err
			}
			below = next.key
		}
		if err := v.tree(bucket, e.child, e.key, below, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// after says whether a key may follow another; the first may be equal to its
// bound.
func after(p *page, i int, last, key, most []byte) ([]byte, error) {
	order := bytes.Compare(last, key)
	if last != nil && (order > 0 || order == 0 && i > 0) || most != nil && bytes.Compare(key, most) >= 0 {
		return nil, fmt.Errorf("page %d: key %d is out of order", p.id, i)
	}
	return key, nil
}

// leaf goes through a page of rows, and the buckets among them.
func (v *verifier) leaf(bucket string, p *page, least, most []byte, depth int) error {
	for i := range p.count {
		e, err := p.element(i)
		if err != nil {
			return err
		}
		if least, err = after(p, i, least, e.key, most); err != nil {
			return err
		}
		if e.flags&bucketFlag == 0 {
			err = v.row(bucket, e.key, e.value)
		} else {
			err = v.bucket(strings.TrimPrefix(bucket+"/"+string(e.key), "/"), e.value, depth)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bucket goes through a bucket. A small one is a page within its value.
func (v *verifier) bucket(name string, value []byte, depth int) error {
	if len(value) < bucketSize {
		return fmt.Errorf("bucket %.20q has no root", name)
	}
	if root := v.m.order.Uint64(value); root != 0 {
		return v.tree(name, root, nil, nil, depth+1)
	}
	inline := value[bucketSize:]
	if len(inline) < headSize {
		return fmt.Errorf("bucket %.20q has no page", name)
	}
	p, err := head(inline, v.m.order, 0, 1)
	if err != nil {
		return err
	}
	if p.data = inline; p.flags != leafPage || headSize+p.count*elementSize > len(inline) || depth > mostDepth {
		return fmt.Errorf("bucket %.20q has no page", name)
	}
	return v.leaf(name, &p, nil, nil, depth+1)
}

// Rows gives all rows that can still be read of a damaged file, in no order: those
// of its leaves, wherever they lie, but for pages that are known to be free.
func Rows(f io.ReaderAt, size int64, row func(key, value []byte)) {
	m, err := newest(metas(f, int64(os.Getpagesize())))
	if err != nil {
		m.order, m.pageSize = native, int64(os.Getpagesize())
	}
	pages := uint64(size / m.pageSize)
	free := make(pageSet, pages/8+1)
	if _, ids, err := readFreelist(f, m); err == nil {
		for _, id := range ids {
			if id < pages {
				free.add(id)
			}
		}
	}
	for id := uint64(2); id < pages; id++ {
		if free.has(id) {
			continue
		}
		p, err := readPage(f, m, id, pages)
		if err != nil || p.flags != leafPage {
			continue
		}
		for i := range p.count {
			if e, err := p.element(i); err == nil && e.flags&bucketFlag == 0 {
				row(e.key, e.value)
			}
		}
		id += p.overflow
	}
}
