package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	bolt "go.etcd.io/bbolt"

	"scriptbridge/internal/fsx"
	"scriptbridge/internal/testkit"
)

// contents are a file's rows with their values, and the sequences of its buckets.
func contents(t *testing.T, tx *bolt.Tx) map[string]string {
	t.Helper()
	all := make(map[string]string)
	var walk func(name string, b *bolt.Bucket) error
	walk = func(name string, b *bolt.Bucket) error {
		all[name] = fmt.Sprint("sequence ", b.Sequence())
		return b.ForEach(func(k, v []byte) error {
			if v == nil {
				return walk(name+"/"+string(k), b.Bucket(k))
			}
			all[name+"/"+string(k)] = string(v)
			return nil
		})
	}
	if err := tx.ForEach(func(name []byte, b *bolt.Bucket) error { return walk(string(name), b) }); err != nil {
		t.Fatal(err)
	}
	return all
}

// elsewhere makes of a file what a machine with another order of bytes would have written.
func elsewhere(t *testing.T, path string) []byte {
	t.Helper()
	from, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.Create(filepath.Join(t.TempDir(), "elsewhere"))
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	info, _ := from.Stat()
	m, err := newest(metas(from, int64(os.Getpagesize())))
	if err != nil || m.order != native {
		t.Fatalf("a file of ours: %v, %v", m.order, err)
	}
	if err := turned(from, to, m, info.Size(), foreign()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(to.Name())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestTurn: a file of a machine with another order of bytes has what it had there, and goes on.
func TestTurn(t *testing.T) {
	testkit.NeedRemovals(t)
	for seed := range uint64(6) {
		dice := rand.New(rand.NewPCG(seed, 9))
		path := filepath.Join(t.TempDir(), "db")
		db, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: 1024 << dice.IntN(4), FreelistType: bolt.FreelistMapType, NoSync: true})
		if err != nil {
			t.Fatal(err)
		}
		var want map[string]string
		for range 5 + dice.IntN(10) {
			if err := db.Update(func(tx *bolt.Tx) error {
				if err := use(dice, tx); err != nil {
					return err
				}
				if b := tx.Bucket([]byte("q")); b != nil {
					if err := b.SetSequence(dice.Uint64()); err != nil {
						return err
					}
				}
				want = contents(t, tx)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		db.Close()
		if err := os.WriteFile(path, elsewhere(t, path), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Check(fsx.OS{}, path); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		f := open(t, path)
		if err := f.View(func(tx *bolt.Tx) error {
			got := contents(t, tx)
			delete(got, "about")
			maps.DeleteFunc(got, func(k, _ string) bool { return k == "rows" && want[k] == "" || len(k) > 6 && k[:6] == "about/" })
			if !maps.Equal(got, want) {
				t.Errorf("seed %d: %d rows, want %d", seed, len(got), len(want))
			}
			for err := range tx.Check() {
				t.Errorf("seed %d: %v", seed, err)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		fill(t, f, 100)
		f.Close()
		open(t, path).Close()
		if names, _ := filepath.Glob(path + "*"); len(names) != 1 {
			t.Errorf("left are %q", names)
		}
	}
}

// failing is a file system on which one thing fails.
type failing struct {
	fsx.OS
	sync, rename error
}

func (f failing) Sync(file *os.File) error {
	return errors.Join(f.sync, f.OS.Sync(file))
}

func (f failing) Rename(from, to string) error {
	if f.rename != nil {
		return &fs.PathError{Op: "rename", Path: to, Err: f.rename}
	}
	return f.OS.Rename(from, to)
}

// TestTurnFails: what cannot be turned is as it was; what is damaged is damaged in that order
// too, and what a newer version wrote is left alone.
func TestTurnFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	f := open(t, path)
	fill(t, f, 500)
	f.Close()
	text := elsewhere(t, path)
	write := func(text []byte) {
		t.Helper()
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	full := errors.New("no space left on device")
	for _, disk := range []fsx.FS{failing{sync: full}, failing{rename: full}} {
		write(text)
		o := testOptions
		o.FS = disk
		if _, err := Open(path, o); !errors.Is(err, full) || errors.Is(err, ErrDamaged) {
			t.Errorf("%+v: %v", disk, err)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, text) {
			t.Errorf("%+v: the file has changed (%v)", disk, err)
		}
		if names, _ := filepath.Glob(path + "*"); len(names) != 1 {
			t.Errorf("%+v: left are %q", disk, names)
		}
	}

	damaged := slices.Clone(text)
	for i := 2; i < len(damaged)/os.Getpagesize(); i++ {
		copy(damaged[i*os.Getpagesize():], "damaged!")
	}
	write(damaged)
	if _, err := Open(path, testOptions); !errors.Is(err, ErrDamaged) {
		t.Errorf("damaged: %v", err)
	}

	newer := slices.Clone(text)
	for i := range 2 {
		foreign().PutUint32(newer[i*os.Getpagesize()+headSize+4:], 3)
	}
	write(newer)
	var e *NewerError
	if _, err := Open(path, testOptions); !errors.As(err, &e) {
		t.Errorf("newer: %v", err)
	}

	write(text)
	o := testOptions
	o.Format = "0"
	if _, err := Open(path, o); !errors.As(err, &e) {
		t.Errorf("newer rows: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, text) {
		t.Errorf("what a newer version wrote has changed (%v)", err)
	}
	rows := 0
	Rows(bytes.NewReader(text), int64(len(text)), func(_, _ []byte) { rows++ })
	if rows < 500 {
		t.Errorf("%d rows can be read", rows)
	}
}
