package store

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// use makes a change of any kind that a store can take, with rows of all sizes.
func use(dice *rand.Rand, tx *bolt.Tx) error {
	b, err := tx.CreateBucketIfNotExists([]byte{"qsx"[dice.IntN(3)]})
	if err != nil {
		return err
	}
	if dice.IntN(20) == 0 {
		if b, err = b.CreateBucketIfNotExists([]byte("nested")); err != nil {
			return err
		}
	}
	b.FillPercent = []float64{0.5, 0.95}[dice.IntN(2)]
	for range 1 + dice.IntN(100) {
		key := fmt.Appendf(nil, "k%0*d", dice.IntN(20), dice.IntN(600))
		switch dice.IntN(3) {
		case 0:
			if b.Get(key) != nil {
				err = b.Delete(key)
			}
		default:
			err = b.Put(key, make([]byte, []int{0, 20, 500, 5000, 60_000}[min(dice.IntN(40), dice.IntN(20), dice.IntN(5))]))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// rowsOf are all rows as bbolt has them, by bucket and key.
func rowsOf(t *testing.T, db *bolt.DB) map[string]int {
	t.Helper()
	all := make(map[string]int)
	var walk func(name string, b *bolt.Bucket) error
	walk = func(name string, b *bolt.Bucket) error {
		return b.ForEach(func(k, v []byte) error {
			if v == nil {
				return walk(name+"/"+string(k), b.Bucket(k))
			}
			all[name+":"+string(k)] = len(v)
			return nil
		})
	}
	if err := db.View(func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bolt.Bucket) error { return walk(string(name), b) })
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestVerify: whatever a store wrote is good, has the rows that the store has, and
// is good to the store's own check.
func TestVerify(t *testing.T) {
	for seed := range uint64(6) {
		dice := rand.New(rand.NewPCG(seed, 7))
		path := filepath.Join(t.TempDir(), "db")
		db, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: 1024 << dice.IntN(4), FreelistType: bolt.FreelistMapType, NoSync: true})
		if err != nil {
			t.Fatal(err)
		}
		rounds := 40
		if testing.Short() {
			rounds = 10
		}
		for range rounds {
			if err := db.Update(func(tx *bolt.Tx) error { return use(dice, tx) }); err != nil {
				t.Fatal(err)
			}
			if dice.IntN(10) == 0 { // then much is free
				if err := db.Update(func(tx *bolt.Tx) error {
					if tx.Bucket([]byte("q")) == nil {
						return nil
					}
					return tx.DeleteBucket([]byte("q"))
				}); err != nil {
					t.Fatal(err)
				}
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			info, _ := f.Stat()
			got := make(map[string]int)
			err = verify(f, info.Size(), path, func(bucket string, k, v []byte) error {
				got[bucket+":"+string(k)] = len(v)
				return nil
			})
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			want := rowsOf(t, db)
			if !maps.Equal(got, want) {
				t.Fatalf("seed %d: %d rows, want %d", seed, len(got), len(want))
			}
			read := 0
			Rows(f, info.Size(), func(_, _ []byte) { read++ })
			if inline := len(want) - read; read > len(want) || inline > 200 {
				t.Errorf("seed %d: %d rows of %d can be read", seed, read, len(want))
			}
			f.Close()
		}
		db.Close()
	}
}

// TestVerifyDamage: what verify lets pass, the store's own check lets pass too, and
// nothing that uses the store panics; no byte may make it read for ever.
func TestVerifyDamage(t *testing.T) {
	dice := rand.New(rand.NewPCG(5, 6))
	path := filepath.Join(t.TempDir(), "db")
	db, err := bolt.Open(path, 0o600, &bolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := db.Update(func(tx *bolt.Tx) error { return use(dice, tx) }); err != nil {
			t.Fatal(err)
		}
	}
	db.Close()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rounds := 1000
	if testing.Short() {
		rounds = 200
	}
	found := 0
	for range rounds {
		bad := bytes.Clone(good)
		switch dice.IntN(4) {
		case 0:
			bad = bad[:dice.IntN(len(bad))]
		case 1:
			clear(bad[dice.IntN(len(bad)/4096)*4096:][:4096])
		case 2:
			for range 1 + dice.IntN(50) {
				bad[dice.IntN(len(bad))] ^= byte(1 + dice.IntN(255))
			}
		default: // the heads of pages, where it hurts
			at := dice.IntN(len(bad)/4096) * 4096
			bad[at+dice.IntN(64)] = byte(dice.IntN(256))
		}
		err := verify(bytes.NewReader(bad), int64(len(bad)), "db", func(string, []byte, []byte) error { return nil })
		if err != nil {
			found++
			var newer *NewerError
			if !errors.Is(err, ErrDamaged) && !errors.As(err, &newer) {
				t.Errorf("%v", err)
			}
			Rows(bytes.NewReader(bad), int64(len(bad)), func(_, _ []byte) {})
			continue
		}
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := bolt.Open(path, 0o600, &bolt.Options{NoSync: true})
		if err != nil {
			t.Fatalf("what was good cannot be opened: %v", err)
		}
		if err := db.View(func(tx *bolt.Tx) error {
			for err := range tx.Check() {
				t.Errorf("what was good is not: %v", err)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		if err := db.Update(func(tx *bolt.Tx) error { return use(dice, tx) }); err != nil {
			t.Error(err)
		}
		db.Close()
	}
	t.Logf("%d of %d were found damaged", found, rounds)
}
