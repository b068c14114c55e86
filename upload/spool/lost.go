package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/go-kit/log/level"

	"scriptbridge/internal/fsx"
	"scriptbridge/internal/store"
)

// renew lets go of a file that is of no use any more, for the reason that is
// given, and goes on with what is at its path then. The caller holds writer.
func (s *Spool) renew(why error) error {
	if s.file != nil && errors.Is(why, store.ErrDamaged) {
		s.file.Fail(why) // so that nobody goes on using it, and this can
	}
	s.using.Lock()
	defer s.using.Unlock()
	if s.shut {
		return ErrClosed
	}
	if s.file != nil {
		inPlace := s.file.InPlace() == nil
		_ = s.file.Close() // of no use, as it is
		// What has made the store panic is not believed a second time, nor what
		// somebody may still be writing to.
		s.again = inPlace && (s.again && !errors.Is(why, store.ErrSuspect) || !s.file.Left())
		s.file, s.moved, s.gone = nil, nil, why
	}
	return s.open()
}

// open opens what is at the path, which is put aside where it is damaged, and
// says what was lost with the file before. The caller holds writer and using.
func (s *Spool) open() error {
	if errors.Is(s.gone, fsx.ErrRemoved) {
		s.lose(Removed, s.items(), "the spool was removed while it was in use: what waited in it is lost, and it goes on with what is at its path now", "err", s.gone)
	}
	if s.again && s.gone != nil {
		if err := s.putAside(s.gone); err != nil {
			return err
		}
	}
	file, t, first, err := s.openFile(s.path)
	if errors.Is(err, store.ErrDamaged) {
		if err := s.putAside(err); err != nil {
			return err
		}
		file, t, first, err = s.openFile(s.path)
	}
	if err != nil {
		return err
	}
	if s.gone != nil { // it was found damaged, and is well when it is read anew
		lost := s.items() - min(s.items(), t.items)
		why := s.gone
		s.lose(Damaged, lost, "the spool was harmed while it was in use: it was read anew, and goes on with what is in it", "err", why)
		s.again = !errors.Is(why, store.ErrSuspect)
	}
	_ = s.fs.Remove(s.path + ".tmp") // of a process that ended in the middle; else it is not there
	s.mu.Lock()
	s.total, s.first = t, first
	s.mu.Unlock()
	s.file, s.begun = file, true
	return nil
}

// items is how much waits.
func (s *Spool) items() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total.items
}

// lose counts and tells what was lost with the file before.
func (s *Spool) lose(reason string, items uint64, msg string, keyvals ...any) {
	s.mu.Lock()
	s.count.DroppedBy[reason] += items
	s.total, s.first = total{}, ""
	s.mu.Unlock()
	s.gone, s.begun, s.again = nil, false, false
	level.Error(s.logger).Log(append([]any{"msg", msg, "file", s.path, "items", items}, keyvals...)...)
}

// putAside puts a damaged file where a person may look at it. How much waited in
// it is known where it was in use, else as far as it can be read.
func (s *Spool) putAside(why error) error {
	items := s.items()
	if !s.begun {
		items = max(1, s.readable())
	}
	aside, err := store.AsideName(s.fs, s.path)
	if err == nil {
		err = s.fs.Rename(s.path, aside)
	}
	if err != nil {
		return fmt.Errorf("%w; it cannot be put aside: %w", why, err)
	}
	s.lose(Damaged, items, "the spool cannot be read: it was put aside and a new one begun; what waited in it is not sent", "aside", aside, "err", why)
	return nil
}

// readable counts the items of a damaged file's entries that can be read.
func (s *Spool) readable() (items uint64) {
	f, err := s.fs.OpenFile(s.path, os.O_RDONLY, 0)
	if err != nil {
		return 0
	}
	defer func() { _ = f.Close() }() // it is only read
	info, err := f.Stat()
	if err != nil {
		return 0
	}
	store.Rows(f, info.Size(), func(k, v []byte) {
		if n, _, ok := head(v); len(k) == keyLength && ok && binary.BigEndian.Uint32(v) == checksum(k, v) {
			items += uint64(n)
		}
	})
	return items
}
