package spool

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"
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

// TestPackedMost: what is larger than what a compressed row may hold is kept as it is.
func TestPackedMost(t *testing.T) {
	r, key := new(rows), newKey(at(0), 1)
	for _, size := range []int{packMost, packMost + 1} {
		data := make([]byte, size)
		v := r.value(key, 7, data, false)
		if packed := len(v) < size; packed != (size <= packMost) {
			t.Errorf("%d bytes take %d", size, len(v))
		}
		if items, got, ok := r.read(key, v); !ok || items != 7 || !bytes.Equal(got, data) {
			t.Errorf("of %d bytes %d are read, %t", size, len(got), ok)
		}
	}
}

// TestPackedForged: rows whose checksum is right, and that say something that cannot be,
// are damaged ones, and take no more memory than others.
func TestPackedForged(t *testing.T) {
	r, key := new(rows), newKey(at(0), 1)
	forged := func(body []byte) []byte {
		v := append(binary.AppendUvarint(make([]byte, 4), 1|compressed), body...)
		binary.BigEndian.PutUint32(v, checksum(key, v))
		return v
	}
	plain, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	const magic = "\x28\xb5\x2f\xfd"
	for name, body := range map[string][]byte{
		"too much":           plain.EncodeAll(make([]byte, packMost+1), nil),
		"too much in frames": bytes.Repeat(plain.EncodeAll(make([]byte, packMost/4), nil), 5),
		"a GiB, and nothing": []byte(magic + "\xa0\x00\x00\x00\x40\x01\x00\x00"),
		"more than it says":  []byte(magic + "\x20\x05\x51\x00\x00aaaaaaaaaa"),
		"less than it says":  []byte(magic + "\x20\x20\x51\x00\x00aaaaaaaaaa"),
		"no frame":           []byte("aaaaaaaa"),
		"a cut magic":        []byte(magic[:3]),
	} {
		if _, data, ok := r.read(key, forged(body)); ok {
			t.Errorf("%s: %d bytes are read", name, len(data))
		}
	}
	body := r.pack(lines(100))
	for i := range body { // no panic, and what it gives has its bound
		for bit := range 8 {
			turned := bytes.Clone(body)
			turned[i] ^= 1 << bit
			if _, data, _ := r.read(key, forged(turned)); len(data) > packMost {
				t.Errorf("byte %d, bit %d: %d bytes", i, bit, len(data))
			}
		}
		if _, data, ok := r.read(key, forged(body[:i])); ok && len(data) > 0 {
			t.Errorf("cut at %d: %d bytes are read", i, len(data))
		}
	}
	whole := r.value(key, 3, lines(100), false)
	for i := range whole { // the checksum sees each of these
		turned := bytes.Clone(whole)
		turned[i] ^= 0x10
		if _, _, ok := r.read(key, turned); ok {
			t.Errorf("byte %d was turned, and nobody sees it", i)
		}
		if _, _, ok := r.read(key, whole[:i]); ok {
			t.Errorf("cut at %d, and nobody sees it", i)
		}
	}
}

// TestReadTakesNoMore: an entry that is as large as what is asked for is the only one that
// is unpacked.
func TestReadTakesNoMore(t *testing.T) {
	s := openPacked(t, Options{Path: file(t)})
	for i := range 2 {
		put(t, s, at(i), 1, string(lines(100_000)))
	}
	size := uint64(len(lines(100_000)))
	read := func() {
		if entries, err := s.Read("", forever, int(size)/2); err != nil || len(entries) != 1 {
			t.Fatalf("%d entries, %v", len(entries), err)
		}
	}
	read() // makes what unpacks
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	read()
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > size*3/2 {
		t.Errorf("it took %d bytes for an entry of %d", took, size)
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
