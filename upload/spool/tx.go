package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Tx is a transaction: all of it lasts, or nothing. It is of no use after the
// function that it was given to has returned, and no slice that it gave is.
type Tx struct {
	spool *Spool
	queue *bolt.Bucket
	state *bolt.Bucket
	// change is what the transaction does to the spool's figures when it lasts.
	change  total
	changed bool  // there is something to write
	rows    []row // that it changes, while Shrink runs
	first   Key   // at its end
	dropped uint64
	damaged uint64
	sent    uint64
	refused uint64
	tooOld  uint64
	takes   bool  // see Take
	adds    int64 // bytes
	scatter int   // rows of the state that change
}

// row is one row of the file.
type row struct {
	state bool // and not of the queue
	key   string
}

// touch notes that a row changes.
func (t *Tx) touch(state bool, key string) {
	t.changed = true
	if t.spool.moved != nil {
		t.rows = append(t.rows, row{state, key})
	}
}

// Key names an entry: its time and its number. Entries come in the order of
// their keys.
type Key string

const keyLength = 16

func newKey(at time.Time, number uint64) []byte {
	key := make([]byte, 0, keyLength)
	key = binary.BigEndian.AppendUint64(key, uint64(nanoseconds(at)))
	return binary.BigEndian.AppendUint64(key, number)
}

// nanoseconds is a time since 1970, within what an int64 holds.
func nanoseconds(t time.Time) int64 {
	switch {
	case t.Before(time.Unix(0, 0)):
		return 0
	case t.After(time.Unix(0, math.MaxInt64)):
		return math.MaxInt64
	}
	return t.UnixNano()
}

// Time is the entry's time, to the nanosecond.
func (k Key) Time() time.Time {
	if len(k) != keyLength {
		return time.Time{}
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64([]byte(k[:8]))))
}

// KeyAt comes before all entries of a time, and after those of earlier ones.
func KeyAt(at time.Time) Key { return Key(newKey(at, 0)) }

// Entry is one entry of the queue.
type Entry struct {
	Key   Key
	Items int
	Data  []byte
}

// Append adds an entry of so many items, which is what the counts of Stats
// count. It comes out after those that have an earlier time, and after those of
// the same time that came before.
func (t *Tx) Append(at time.Time, items int, data []byte) error {
	number, err := t.queue.NextSequence()
	if err != nil {
		return err
	}
	key := newKey(at, number)
	v := t.spool.rows.value(key, items, data, t.spool.plain || t.spool.file.Format() == former)
	c := cost(v)
	if most := t.spool.max.Load(); c.bytes > most {
		return fmt.Errorf("%w: it has %d bytes, max_bytes are %d", ErrTooLarge, len(data), most)
	}
	// Entries come nearly in order, so pages that are filled to the brim are
	// seldom split.
	t.queue.FillPercent = fill
	t.change.add(c)
	t.adds += c.bytes
	t.touch(false, string(key))
	return t.queue.Put(key, v)
}

// ErrTooLarge says that an entry alone is larger than the spool may be.
var ErrTooLarge = errors.New("entry too large for the spool")

// Has says whether an entry is in the queue, and was not dropped meanwhile.
func (t *Tx) Has(key Key) bool { return t.queue.Get([]byte(key)) != nil }

// Remove takes entries out of the queue; one that is not there any more (since
// it was dropped) is no error.
func (t *Tx) Remove(keys ...Key) error {
	for _, key := range keys {
		v := t.queue.Get([]byte(key))
		if v == nil {
			continue
		}
		t.change.remove(cost(v))
		t.touch(false, string(key))
		if err := t.queue.Delete([]byte(key)); err != nil {
			return err
		}
	}
	return nil
}

// Get gives what is kept by a key; nil for nothing.
func (t *Tx) Get(key string) []byte { return t.state.Get([]byte(key)) }

// Set keeps a value by a key, which is neither empty nor longer than 32 KiB.
func (t *Tx) Set(key string, value []byte) error {
	was := t.Get(key)
	if was != nil && bytes.Equal(was, value) {
		return nil
	}
	if was == nil {
		t.adds += int64(len(key) + rowHead)
	}
	t.adds += int64(len(value) - len(was))
	t.scatter++
	t.touch(true, key)
	return t.state.Put([]byte(key), value)
}

// Delete forgets keys.
func (t *Tx) Delete(keys ...string) error {
	for _, key := range keys {
		if t.Get(key) == nil {
			continue
		}
		t.touch(true, key)
		if err := t.state.Delete([]byte(key)); err != nil {
			return err
		}
	}
	return nil
}

// Each gives every key that begins so, in order, with its value. The state must
// not be changed meanwhile.
func (t *Tx) Each(prefix string) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		c := t.state.Cursor()
		for k, v := c.Seek([]byte(prefix)); k != nil && bytes.HasPrefix(k, []byte(prefix)) && yield(string(k), v); k, v = c.Next() {
		}
	}
}

// Sent and Refused count items that have arrived, and that were refused for good,
// when the transaction lasts.
func (t *Tx) Sent(items int) { t.sent += uint64(items) }

// Refused is as Sent.
func (t *Tx) Refused(items int) { t.refused += uint64(items) }

// TooOld is as Sent, of items that their sender has removed unsent.
func (t *Tx) TooOld(items int) { t.tooOld += uint64(items) }

// end is what comes last; now is what the queue had before.
func (t *Tx) end(now total, tx *bolt.Tx) error {
	if err := t.bound(now); err != nil {
		return err
	}
	t.first = firstOf(t.queue)
	if t.takes && t.adds > 0 {
		return t.spool.file.Room(tx, t.adds, t.scatter)
	}
	return nil
}

// bound drops the oldest entries until the queue is as small as it may be.
func (t *Tx) bound(now total) error {
	now.add(t.change)
	excess := now.bytes - t.spool.max.Load()
	if excess <= 0 {
		return nil
	}
	c := t.queue.Cursor()
	for k, v := c.First(); k != nil && excess > 0; k, v = c.First() {
		one := cost(v)
		t.change.remove(one)
		t.dropped += one.items
		excess -= one.bytes
		t.touch(false, string(k))
		if err := c.Delete(); err != nil {
			return err
		}
	}
	return nil
}

const itemBytes = 128

// walk notes that so much was read, by the count of Read, and lets go of the file's
// pages from time to time. It is called in a transaction.
func (s *Spool) walk(size int) {
	if s.walked.Add(int64(size)) >= walkMost {
		s.walked.Store(0)
		s.file.Forget()
	}
}

const walkMost = 4 << 20

// First gives the time of the first entry; false when the queue is empty.
func (s *Spool) First() (at time.Time, ok bool, err error) {
	if err := s.retryUpdates(); err != nil {
		return time.Time{}, false, err
	}
	err = s.View(func(tx *Tx) error {
		first := firstOf(tx.queue)
		at, ok = first.Time(), first != ""
		return nil
	})
	return at, ok, err
}

// Read gives entries after the one named (from the beginning when it is empty)
// with times before the one given: as many as have, together, no more bytes
// than that, but at least one. An item counts as itemBytes at least, since what is made
// of many small ones takes memory too. None are left when there are none. What is
// damaged is dropped, counted and said.
func (s *Spool) Read(after Key, before time.Time, most int) ([]Entry, error) {
	if err := s.retryUpdates(); err != nil {
		return nil, err
	}
	var entries []Entry
	var damaged []Key
	err := s.View(func(tx *Tx) error {
		entries, damaged = nil, nil
		limit := newKey(before, 0)
		size := 0
		defer func() { tx.spool.walk(size) }()
		c := tx.queue.Cursor()
		k, v := c.Seek([]byte(after))
		if k != nil && string(k) == string(after) {
			k, v = c.Next()
		}
		for ; k != nil && bytes.Compare(k, limit) < 0 && (size < most || len(entries) == 0); k, v = c.Next() {
			items, data, ok := tx.spool.rows.read(k, v)
			if !ok {
				damaged = append(damaged, Key(k))
				continue
			}
			if size += max(len(data), items*itemBytes); size > most && len(entries) > 0 {
				return nil
			}
			entries = append(entries, Entry{Key(k), items, data})
		}
		return nil
	})
	if err != nil || len(damaged) == 0 {
		return entries, err
	}
	return entries, s.Update(func(tx *Tx) error {
		before := tx.change.items
		if err := tx.Remove(damaged...); err != nil {
			return err
		}
		tx.damaged += before - tx.change.items
		return nil
	})
}
