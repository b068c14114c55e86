package spool

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// BenchmarkStore is what the choice of bbolt over one file a batch rests on
// (docs/architecture.md, Decisions): one synced append, and one entry read and
// removed. An entry of n samples has 20 bytes for each, as the uploader's have.
func BenchmarkStore(b *testing.B) {
	for _, samples := range []int{1, 100, 1000} {
		data := make([]byte, 20*samples)
		b.Run(fmt.Sprintf("store=files/samples=%d/append", samples), func(b *testing.B) { appendFiles(b, b.TempDir(), data) })
		b.Run(fmt.Sprintf("store=bbolt/samples=%d/append", samples), func(b *testing.B) { appendBolt(b, openBolt(b), data) })
		b.Run(fmt.Sprintf("store=files/samples=%d/read", samples), func(b *testing.B) { readFiles(b, data) })
		b.Run(fmt.Sprintf("store=bbolt/samples=%d/read", samples), func(b *testing.B) { readBolt(b, data) })
	}
}

func fileName(folder string, n int) string { return filepath.Join(folder, fmt.Sprintf("%016x", n)) }

// appendFile makes a file that is there whole or not at all.
func appendFile(b *testing.B, dir *os.File, name string, data []byte) {
	f, err := os.OpenFile(name+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		_, err = f.Write(data)
	}
	if err == nil {
		err = f.Sync()
	}
	f.Close()
	if err == nil {
		err = os.Rename(name+".tmp", name)
	}
	if err == nil {
		err = dir.Sync()
	}
	if err != nil {
		b.Fatal(err)
	}
}

func appendFiles(b *testing.B, folder string, data []byte) {
	dir, err := os.Open(folder)
	if err != nil {
		b.Fatal(err)
	}
	defer dir.Close()
	n := 0
	for b.Loop() {
		n++
		appendFile(b, dir, fileName(folder, n), data)
	}
	b.ReportMetric(float64((len(data)+4095)/4096*4096+256), "disk-B/op") // blocks, and an inode
}

func openBolt(b *testing.B) *bolt.DB {
	db, err := bolt.Open(filepath.Join(b.TempDir(), "db"), 0o600, &bolt.Options{FreelistType: bolt.FreelistMapType})
	if err == nil {
		err = db.Update(func(tx *bolt.Tx) error {
			_, err := tx.CreateBucket([]byte("queue"))
			return err
		})
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	return db
}

func boltKey(n int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

func appendBolt(b *testing.B, db *bolt.DB, data []byte) {
	n := 0
	for b.Loop() {
		n++
		err := db.Update(func(tx *bolt.Tx) error {
			bucket := tx.Bucket([]byte("queue"))
			bucket.FillPercent = 0.9
			return bucket.Put(boltKey(n), data)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	if n > 100 {
		_ = db.View(func(tx *bolt.Tx) error {
			b.ReportMetric(float64(tx.Size()-int64(db.Stats().FreePageN*4096))/float64(n), "disk-B/op")
			return nil
		})
	}
}

const readEntries = 500

func readFiles(b *testing.B, data []byte) {
	folder := b.TempDir()
	dir, err := os.Open(folder)
	if err != nil {
		b.Fatal(err)
	}
	defer dir.Close()
	for b.Loop() {
		b.StopTimer()
		for n := range readEntries {
			if err := os.WriteFile(fileName(folder, n), data, 0o600); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		for n := range readEntries {
			if _, err := os.ReadFile(fileName(folder, n)); err != nil {
				b.Fatal(err)
			}
			if err := os.Remove(fileName(folder, n)); err != nil {
				b.Fatal(err)
			}
		}
		if err := dir.Sync(); err != nil {
			b.Fatal(err)
		}
	}
}

func readBolt(b *testing.B, data []byte) {
	db := openBolt(b)
	for b.Loop() {
		b.StopTimer()
		err := db.Update(func(tx *bolt.Tx) error {
			for n := range readEntries {
				if err := tx.Bucket([]byte("queue")).Put(boltKey(n), data); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		err = db.Update(func(tx *bolt.Tx) error {
			c := tx.Bucket([]byte("queue")).Cursor()
			for k, v := c.First(); k != nil; k, v = c.Next() {
				_ = append([]byte(nil), v...)
				if err := c.Delete(); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkUpdate is one synced transaction of an entry of 2000 bytes, by one
// caller and by many at once, who share commits.
func BenchmarkUpdate(b *testing.B) {
	data := make([]byte, 2000)
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s := open(b, Options{Path: file(b)})
			b.SetParallelism((callers + 1) / 2) // times GOMAXPROCS, 2 where it was measured
			if callers == 1 {
				for b.Loop() {
					if err := s.Update(func(tx *Tx) error { return tx.Append(at(0), 1, data) }); err != nil {
						b.Fatal(err)
					}
				}
				return
			}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := s.Update(func(tx *Tx) error { return tx.Append(at(0), 1, data) }); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
