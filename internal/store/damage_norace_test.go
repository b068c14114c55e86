// The race detector reads what the program reads, and where a damaged file leads
// to memory that is not there, its own reads end the process: nothing can guard
// them. `make test` runs these without it.

//go:build !race

package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	bolt "go.etcd.io/bbolt"

	"scriptbridge/internal/testkit"
)

// harms are what may befall a file while it is in use.
var harms = map[string]func(path string, dice *rand.Rand) error{
	"emptied": func(path string, _ *rand.Rand) error { return os.Truncate(path, 0) },
	"cut":     func(path string, dice *rand.Rand) error { return os.Truncate(path, dice.Int64N(200_000)) },
	"zeroed":  func(path string, _ *rand.Rand) error { return overwrite(path, 0, make([]byte, 400_000)) },
	"noise": func(path string, dice *rand.Rand) error {
		b := make([]byte, 400_000)
		for i := range b {
			b[i] = byte(dice.Uint32())
		}
		return overwrite(path, 0, b)
	},
	"metas": func(path string, _ *rand.Rand) error { return overwrite(path, 0, make([]byte, 8192)) },
	"bits": func(path string, dice *rand.Rand) error {
		b, err := os.ReadFile(path)
		for range 20 {
			at := dice.IntN(len(b))
			err = errors.Join(err, overwrite(path, at, []byte{b[at] ^ 1<<dice.IntN(8)}))
		}
		return err
	},
	"circles": func(path string, _ *rand.Rand) error {
		b, err := os.ReadFile(path)
		for at := 0; at+4096 <= len(b); at += 4096 {
			if native.Uint16(b[at+8:]) != branchPage {
				continue
			}
			for i := range int(native.Uint16(b[at+10:])) { // each leads to itself
				err = errors.Join(err, overwrite(path, at+headSize+i*elementSize+8, native.AppendUint64(nil, uint64(at/4096))))
			}
		}
		return err
	},
}

// overwrite writes over a file as it is, and not another one in its place.
func overwrite(path string, at int, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, int64(at))
	return errors.Join(err, f.Close())
}

// TestDamageLive harms a file that many use: each of them fails, or is done, but
// none waits for ever, nothing panics, and nothing of the file is kept. Harm in the
// midst of a transaction can lead into a circle that bbolt has in its own memory,
// and ends the program.
func TestDamageLive(t *testing.T) {
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	for name, harm := range harms {
		t.Run(name, func(t *testing.T) {
			testkit.MayEnd(t, "its pages lead round in a circle that cannot be left", func() { liveRounds(t, rounds, harm) })
		})
	}
}

func liveRounds(t *testing.T, rounds int, harm func(path string, dice *rand.Rand) error) {
	found := 0
	for round := range rounds {
		dice := rand.New(rand.NewPCG(uint64(round), 3))
		inPlace := round%2 == 0 // as all do who use it
		path := filepath.Join(testkit.TempDir(t), "db")
		o := testOptions
		o.NoSync = true
		f, err := Open(path, o)
		if err != nil {
			t.Fatal(err)
		}
		fill(t, f, 400)
		var writer, users sync.WaitGroup
		begun := make(chan struct{}, 5)
		writer.Go(func() {
			begun <- struct{}{}
			for n := range 300 {
				if inPlace && f.InPlace() != nil {
					return
				}
				err := f.Update(func(tx *bolt.Tx) error { return use(dice, tx) })
				if err != nil && n > 50 {
					return
				}
			}
		})
		for range 4 {
			users.Go(func() {
				begun <- struct{}{}
				for range 300 {
					if inPlace && f.InPlace() != nil {
						return
					}
					_ = f.View(func(tx *bolt.Tx) error {
						return tx.ForEach(func(_ []byte, b *bolt.Bucket) error {
							return b.ForEach(func(k, v []byte) error {
								_ = fmt.Sprint(string(k), len(v))
								return nil
							})
						})
					})
					_, _, _ = f.Sizes()
				}
			})
		}
		for range 5 {
			<-begun
		}
		err = harm(path, rand.New(rand.NewPCG(uint64(round), 4)))
		if testkit.Kept(err) {
			writer.Wait()
			users.Wait()
			f.Close()
			t.Skip("Windows cuts no file that is mapped into memory")
		}
		if err != nil {
			t.Fatal(err)
		}
		_ = f.InPlace() // as the next one who comes would do
		testkit.Promptly(t, "who writes", writer.Wait)
		testkit.Promptly(t, "who reads", users.Wait)
		if err := f.View(func(*bolt.Tx) error { return nil }); errors.Is(err, ErrDamaged) {
			found++
		}
		testkit.Promptly(t, "Close", func() {
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		})
		if f.Left() {
			if left := testkit.Held(t, path); len(left) > 0 {
				t.Errorf("it still has %q", left)
			}
			if err := os.Remove(path); err != nil { // as where it is mapped on Windows
				t.Error(err)
			}
		}
	}
	t.Logf("found in %d of %d", found, rounds)
}

// TestDamageNewestMeta: bbolt goes back by a transaction where the newer one of
// its metas is gone, and would then write over what that one uses.
func TestDamageNewestMeta(t *testing.T) {
	for _, run := range []func(*File) error{
		func(f *File) error { return f.View(func(*bolt.Tx) error { return nil }) },
		func(f *File) error { return f.Update(func(*bolt.Tx) error { return nil }) },
	} {
		for meta := range 2 {
			path := filepath.Join(t.TempDir(), "db")
			f := open(t, path)
			for f.number.Load()%2 != uint64(meta) || f.number.Load() < 5 {
				fill(t, f, 10)
			}
			if err := overwrite(path, 4096*meta, make([]byte, 4096)); err != nil {
				t.Fatal(err)
			}
			if err := run(f); !errors.Is(err, ErrDamaged) || err.Error() != "the file is damaged, or so it seems: its last transaction is another one" {
				t.Errorf("meta %d: %v", meta, err)
			}
			f.Close()
			open(t, path).Close() // what is left is good, and older
		}
	}
}
