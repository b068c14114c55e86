package spool

import (
	"bytes"
	"errors"
	"io/fs"
	"time"

	bolt "go.etcd.io/bbolt"

	"scriptbridge/internal/fsx"
	"scriptbridge/internal/store"
)

const (
	// small is a file that is not worth the work.
	small = 16 << 20
	// copyBytes is how much is copied at once.
	copyBytes = 4 << 20
	// mostMoved is how many rows may change meanwhile: who changes more is not
	// idle, and Shrink comes again.
	mostMoved = 100_000
)

// Shrink gives room back to the disk that the file has no use for: the store
// uses free pages again but never gives one back, and writes a list of them at
// each commit. It does nothing while the file is small, or not mostly free, nor for
// an hour after it failed: on a full disk the whole copy would be in vain each time.
//
// It takes as long as what is left in the file takes to copy, and holds nobody
// up for that: what changes meanwhile is noted, and copied again at the end.
func (s *Spool) Shrink(now time.Time) error {
	s.shrinking.Lock()
	defer s.shrinking.Unlock()
	if since := now.Sub(s.shrinkFailed); since >= 0 && since < shrinkAgain {
		return nil
	}
	s.shrinkFailed = time.Time{}
	err := s.shrink()
	if err != nil && !errors.Is(err, ErrClosed) {
		s.shrinkFailed = now
	}
	return err
}

// shrinkAgain is for how long Shrink is not tried again after it failed.
const shrinkAgain = time.Hour

// shrink is Shrink. The caller holds shrinking.
func (s *Spool) shrink() error {
	if wanted, err := s.mostlyFree(); err != nil || !wanted {
		return err
	}
	name := s.path + ".tmp"
	if err := s.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.follow(make(map[row]bool))
	defer s.follow(nil)
	to, _, _, err := s.openFile(name)
	if err != nil {
		return err
	}
	used, err := s.copyInto(to)
	if !used {
		err = errors.Join(err, to.Close(), s.fs.Remove(name))
	}
	return err
}

func (s *Spool) copyInto(to *store.File) (used bool, err error) {
	for _, bucket := range [][]byte{queueBucket, stateBucket} {
		if err := s.copyRows(to, bucket); err != nil {
			return false, err
		}
	}
	return s.exchange(to)
}

// follow sets where changed rows are noted.
func (s *Spool) follow(moved map[row]bool) {
	s.writer.Lock()
	defer s.writer.Unlock()
	s.moved = moved
}

// mostlyFree says whether a Shrink is worth it.
func (s *Spool) mostlyFree() (bool, error) {
	s.using.RLock()
	defer s.using.RUnlock()
	if err := s.usable(); err != nil {
		return false, err
	}
	size, used, err := s.file.Sizes()
	if err != nil || size < small {
		return false, err
	}
	return used <= size/4, nil
}

// copyRows copies a bucket, some rows at a time, and holds nobody up meanwhile.
func (s *Spool) copyRows(to *store.File, bucket []byte) error {
	var after []byte
	for {
		var keys, values [][]byte
		var sequence uint64
		size := 0
		err := s.tryView(func(tx *Tx) error {
			sequence = tx.bucket(bucket).Sequence()
			c := tx.bucket(bucket).Cursor()
			k, v := c.Seek(after)
			if k != nil && bytes.Equal(k, after) {
				k, v = c.Next()
			}
			for ; k != nil && size < copyBytes; k, v = c.Next() {
				keys, values = append(keys, bytes.Clone(k)), append(values, bytes.Clone(v))
				size += len(k) + len(v)
			}
			return nil
		}).err
		if err != nil || len(keys) == 0 && after != nil {
			return err
		}
		err = to.Update(func(tx *bolt.Tx) error {
			b := tx.Bucket(bucket)
			b.FillPercent = fill // they come in order
			for i, k := range keys {
				if err := b.Put(k, values[i]); err != nil {
					return err
				}
			}
			return b.SetSequence(sequence)
		})
		if err != nil || len(keys) == 0 {
			return err
		}
		after = keys[len(keys)-1]
	}
}

// exchange copies the rows that have changed since, and puts the new file in
// the place of the old one; used says that it did.
func (s *Spool) exchange(to *store.File) (used bool, err error) {
	s.writer.Lock()
	defer s.writer.Unlock()
	moved := s.moved
	s.moved = nil
	if moved == nil || len(moved) > mostMoved { // nil: another file is there already
		return false, nil
	}
	if err := s.tryView(func(from *Tx) error { return from.copyTo(to, moved) }).err; err != nil {
		return false, err
	}
	s.using.Lock()
	defer s.using.Unlock()
	if !fsx.Replaceable {
		return s.replaceClosed(to)
	}
	if err := to.Rename(s.path); err != nil {
		return false, err
	}
	old := s.file
	s.file = to
	return true, errors.Join(to.SyncName(), old.Close())
}

// replaceClosed is the end of exchange where no open file can be replaced: the old one is
// closed before, and opened again where that was in vain. The caller holds writer and using.
func (s *Spool) replaceClosed(to *store.File) (used bool, err error) {
	err = s.file.Close()
	s.file = nil
	if err == nil {
		err = to.Rename(s.path)
	}
	if err != nil {
		return false, errors.Join(err, s.open())
	}
	s.file = to
	return true, to.SyncName()
}

// copyTo copies rows, and takes out those that are gone.
func (t *Tx) copyTo(to *store.File, rows map[row]bool) error {
	if len(rows) == 0 {
		return nil
	}
	return to.Update(func(tx *bolt.Tx) error {
		for r := range rows {
			bucket := queueBucket
			if r.state {
				bucket = stateBucket
			}
			b, key := tx.Bucket(bucket), []byte(r.key)
			var err error
			if v := t.bucket(bucket).Get(key); v != nil {
				err = b.Put(key, bytes.Clone(v))
			} else {
				err = b.Delete(key)
			}
			if err != nil {
				return err
			}
		}
		return tx.Bucket(queueBucket).SetSequence(t.queue.Sequence())
	})
}

// bucket gives one of the two by its name.
func (t *Tx) bucket(name []byte) *bolt.Bucket {
	if bytes.Equal(name, stateBucket) {
		return t.state
	}
	return t.queue
}
