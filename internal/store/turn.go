package store

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"

	"scriptbridge/internal/fsx"
)

// bbolt maps a file as it lies on disk, so that its numbers must be in the order of the
// machine. A folder that was moved from one with another order (s390x) is not to lose what waits
// in it.

// turn gives a file that was found good the order of bytes of this machine, when it has another
// one: a new file takes its place.
func (f *File) turn(info fs.FileInfo) (err error) {
	m, err := newest(metas(f.file, int64(os.Getpagesize())))
	if err != nil || m.order == native {
		return err
	}
	if at, err := f.fs.Lstat(f.path); err != nil || !os.SameFile(at, info) {
		return errors.Join(err, ErrInUse) // somebody turned it while we waited for the lock
	}
	temporary := f.path + ".turned"
	file, err := f.fs.OpenFile(temporary, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_, _ = file.Close(), f.fs.Remove(temporary)
		}
	}()
	// Before it has the name: whoever opens that must wait for us.
	if err := fsx.WaitLock(file, wait); err != nil {
		return err
	}
	if err := turned(f.file, file, m, info.Size(), native); err != nil {
		return err
	}
	if err := f.fs.Sync(file); err != nil {
		return err
	}
	if err := f.fs.Rename(temporary, f.path); err != nil {
		return err
	}
	_ = f.file.Close() // it has no name any more
	f.file = file
	return nil
}

// turned writes what a meta has to another file, in another order. Free pages stay empty.
func turned(from io.ReaderAt, to *os.File, m meta, size int64, o order) error {
	if err := to.Truncate(size); err != nil {
		return err
	}
	v := &verifier{f: from, m: m, row: func(string, []byte, []byte) error { return nil }}
	v.done = func(p *page) error {
		if err := p.turn(); err != nil {
			return err
		}
		_, err := to.WriteAt(p.data, int64(p.id)*m.pageSize)
		return err
	}
	if err := v.run(size); err != nil {
		return err
	}
	if err := turnFreelist(from, to, m); err != nil {
		return err
	}
	return turnMetas(from, to, m, o)
}

// turn turns round all numbers of a leaf or a branch.
func (p *page) turn() error {
	for i := range p.count {
		e, err := p.element(i)
		if err != nil {
			return err
		}
		raw := p.data[headSize+i*elementSize:][:elementSize]
		if p.flags == branchPage {
			reverse(raw, 4, 4, 8)
			continue
		}
		reverse(raw, 4, 4, 4, 4)
		if e.flags&bucketFlag == 0 {
			continue
		}
		inline := p.order.Uint64(e.value) == 0
		reverse(e.value, 8, 8)
		if !inline {
			continue
		}
		in, err := head(e.value[bucketSize:], p.order, 0, 1)
		if err != nil {
			return err
		}
		in.data = e.value[bucketSize:]
		if err := in.turn(); err != nil {
			return err
		}
	}
	reverse(p.data, 8, 2, 2, 4)
	return nil
}

func turnFreelist(from io.ReaderAt, to io.WriterAt, m meta) error {
	list, at, n, err := freelistHead(from, m)
	if err != nil {
		return err
	}
	begin := int64(list.id) * m.pageSize
	b := make([]byte, at-begin+8*int64(n))
	if _, err := from.ReadAt(b, begin); err != nil {
		return err
	}
	reverse(b, 8, 2, 2, 4)
	for i := headSize; i < len(b); i += 8 {
		reverse(b[i:], 8)
	}
	_, err = to.WriteAt(b, begin)
	return err
}

// turnMetas writes the meta to where it was, and to the other place as that of the transaction
// before.
func turnMetas(from io.ReaderAt, to io.WriterAt, m meta, o order) error {
	b := make([]byte, headSize+metaSize)
	place := int64(m.number % 2)
	if _, err := from.ReadAt(b, place*m.pageSize); err != nil {
		return err
	}
	reverse(b, 8, 2, 2, 4, 4, 4, 4, 4, 8, 8, 8, 8, 8)
	for _, number := range []uint64{m.number, m.number - 1} {
		o.PutUint64(b, number%2) // the page
		o.PutUint64(b[headSize+48:], number)
		o.PutUint64(b[headSize+56:], fnvOf(b[headSize:][:56]))
		if _, err := to.WriteAt(b, int64(number%2)*m.pageSize); err != nil {
			return err
		}
	}
	return nil
}

// reverse turns round the bytes of numbers that stand one after the other, of so many bytes
// each.
func reverse(b []byte, sizes ...int) {
	for _, size := range sizes {
		switch size {
		case 2:
			binary.BigEndian.PutUint16(b, binary.LittleEndian.Uint16(b))
		case 4:
			binary.BigEndian.PutUint32(b, binary.LittleEndian.Uint32(b))
		case 8:
			binary.BigEndian.PutUint64(b, binary.LittleEndian.Uint64(b))
		}
		b = b[size:]
	}
}
