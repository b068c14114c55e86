package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"syscall"

	"github.com/go-kit/log/level"
	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// errDamaged says that the file holds what the store never wrote.
var errDamaged = errors.New("the file is damaged")

// Guard runs f, which uses a store of bbolt. The store finds damage in the middle of
// its work and panics with a text, or reads past the end of the file, which the
// system answers with a signal: both become errors. So does any other panic,
// but that may be the fault of f, which costs nobody a queue.
func Guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch p := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }, string:
			err = fmt.Errorf("%w: %v", errDamaged, p)
		default:
			err = fmt.Errorf("the spool's store panics: %v", p)
		}
	}()
	return f()
}

// survey counts what is queued, and checks the whole structure.
func survey(tx *bolt.Tx, t *total) error {
	return Check(tx, func(bucket, k, v []byte) bool {
		switch {
		case bytes.Equal(bucket, queueBucket):
			t.add(cost(v))
			return len(k) == keyLength
		case bytes.Equal(bucket, stateBucket):
			return true
		}
		return false
	})
}

// Check reads all of a store of bbolt that has nothing in its buckets but keys
// and values, so that damage is found before anything rests on it; good judges
// each row. It is called under Guard.
func Check(tx *bolt.Tx, good func(bucket, k, v []byte) bool) error {
	info, err := os.Stat(tx.DB().Path())
	if err != nil {
		return err
	}
	if info.Size() < tx.Size() {
		return fmt.Errorf("%w: it has %d bytes of %d", errDamaged, info.Size(), tx.Size())
	}
	// What is not read here must not be met by the store's check below.
	if err := tx.ForEach(func(name []byte, b *bolt.Bucket) error {
		if b == nil {
			return fmt.Errorf("%w: bad key", errDamaged)
		}
		return walk(b, func(k, v []byte) bool {
			return bytes.Count(k, nil)+bytes.Count(v, nil) > 0 && good(name, k, v) // reads all of them
		})
	}); err != nil {
		return err
	}
	if err := pages(tx); err != nil {
		return err
	}
	// The store's own check finds pages that are used twice. It works in a
	// goroutine, where a signal is the end, but what it reads was read above:
	// all but the keys that it would put into its messages.
	for e := range tx.Check(bolt.WithKVStringer(silent{})) {
		err = errors.Join(err, e)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	return nil
}

// pages sees that no page in use says that it goes on beyond the end of the
// file: the store's check would follow it there, for four thousand million
// pages at most.
func pages(tx *bolt.Tx) error {
	all := int(tx.Size()) / tx.DB().Info().PageSize
	for id := 0; id < all; id++ {
		p, err := tx.Page(id)
		if err != nil {
			return err
		}
		if p == nil { // behind the last
			return nil
		}
		if p.Type == "free" {
			continue
		}
		if p.OverflowCount < 0 || p.OverflowCount >= all-id {
			return fmt.Errorf("%w: page %d is followed by %d others", errDamaged, id, p.OverflowCount)
		}
		id += p.OverflowCount
	}
	return nil
}

// walk goes through a bucket, also down to each key from the top.
func walk(b *bolt.Bucket, good func(k, v []byte) bool) error {
	var last []byte
	c := b.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if v == nil || last != nil && bytes.Compare(last, k) >= 0 || b.Get(k) == nil || !good(k, v) {
			return fmt.Errorf("%w: bad key", errDamaged)
		}
		last = k
	}
	return nil
}

// silent spells no keys and values.
type silent struct{}

func (silent) KeyToString([]byte) string   { return "" }
func (silent) ValueToString([]byte) string { return "" }

// replace puts the damaged file aside and begins a new one. The damage is why.
func (s *Spool) replace(why error) error {
	aside := s.path + ".damaged"
	if err := s.fs.Rename(s.path, aside); err != nil {
		return fmt.Errorf("%w; it cannot be put aside: %w", why, err)
	}
	level.Error(s.logger).Log("msg", "the spool cannot be read: it was put aside and a new one begun; what waited in it is not sent",
		"file", s.path, "aside", aside, "err", why)
	return s.open()
}

// closeDB closes what may be damaged.
func closeDB(db *bolt.DB) {
	_ = Guard(db.Close) // there is nothing left to lose
}

// damage makes an error of opening the file one of damage, unless it is the
// system's.
func damage(err error) error {
	var path *fs.PathError
	var number syscall.Errno
	switch {
	case err == nil, errors.Is(err, errDamaged), errors.As(err, &path), errors.As(err, &number):
		return err
	case errors.Is(err, berrors.ErrTimeout):
		return errors.New("another process uses it")
	}
	return fmt.Errorf("%w: %w", errDamaged, err)
}
