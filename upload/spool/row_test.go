package spool

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"

	bolt "go.etcd.io/bbolt"

	"scriptbridge/internal/store"
)

// lines are data as uploads have it.
func lines(n int) (data []byte) {
	for i := range n {
		data = fmt.Appendf(data, "gauge web-1.net.traffic.eth%d %d 1500000000 1\n", i, i*i)
	}
	return data
}

// TestPacked: what an entry holds comes out as it went in, and takes less room where
// it can.
func TestPacked(t *testing.T) {
	path := file(t)
	s := openPacked(t, Options{Path: path})
	random := make([]byte, 5000)
	rand.Read(random)
	all := [][]byte{nil, {7}, lines(1), lines(5), lines(1000), lines(100_000), random, bytes.Repeat([]byte{0}, 1<<20)}
	for i, data := range all {
		if err := s.Take(func(tx *Tx) error { return tx.Append(at(i), i+1, data) }); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // and once more after it was opened anew
		entries, err := s.Read("", forever, 1<<30)
		if err != nil || len(entries) != len(all) {
			t.Fatalf("%d entries, %v", len(entries), err)
		}
		for i, e := range entries {
			if !bytes.Equal(e.Data, all[i]) || e.Items != i+1 {
				t.Errorf("entry %d has %d items and %d bytes of %d", i, e.Items, len(e.Data), len(all[i]))
			}
		}
		if stats := s.Stats(); stats.Items != 36 || stats.Bytes > int64(len(all[5]))/3 {
			t.Errorf("%d items, %d bytes", stats.Items, stats.Bytes)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openPacked(t, Options{Path: path})
	}
}

// TestPackedReadsBounded: what is read at once is bounded by what it is, and not by
// the room that it takes.
func TestPackedReadsBounded(t *testing.T) {
	s := openPacked(t, Options{Path: file(t)})
	data := bytes.Repeat([]byte("x"), 100_000)
	for i := range 50 {
		put(t, s, at(i), 1, string(data))
	}
	entries, err := s.Read("", forever, 1<<20)
	if err != nil || len(entries) != 10 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}

// TestFormerFormat: a file of the format before is read and goes on; a version that
// knows that one alone leaves it then.
func TestFormerFormat(t *testing.T) {
	path := file(t)
	options := store.Options{About: aboutName, Format: former, Buckets: []string{queueName, stateName}}
	f, err := store.Open(path, options)
	if err != nil {
		t.Fatal(err)
	}
	err = f.Update(func(tx *bolt.Tx) error {
		key := newKey(at(0), 1)
		return errors.Join(tx.Bucket(queueBucket).Put(key, new(rows).value(key, 3, lines(3), true)), tx.Bucket(queueBucket).SetSequence(1))
	})
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	s := openPacked(t, Options{Path: path})
	put(t, s, at(1), 1000, string(lines(1000)))
	entries, err := s.Read("", forever, 1<<30)
	if err != nil || len(entries) != 2 || !bytes.Equal(entries[0].Data, lines(3)) || !bytes.Equal(entries[1].Data, lines(1000)) {
		t.Errorf("%d entries, %v", len(entries), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var newer *store.NewerError
	if _, err := store.Open(path, options); !errors.As(err, &newer) || newer.Format != format {
		t.Errorf("a version before opens it: %v", err)
	}
}
