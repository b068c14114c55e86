package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scriptbridge/internal/fsx/fsxtest"
)

// What was acknowledged is there after the machine has lost its power, with
// every name and byte that was not synced.
func TestCrash(t *testing.T) {
	for name, use := range map[string]func(t *testing.T, s *Spool) []string{
		"a new file": func(t *testing.T, s *Spool) []string {
			put(t, s, at(0), 1, "a")
			return []string{"a"}
		},
		"a file that was written anew": func(t *testing.T, s *Spool) []string {
			put(t, s, at(0), 1, "kept")
			crowd(t, s, 24<<20)
			if err := s.Shrink(time.Now()); err != nil {
				t.Fatal(err)
			}
			put(t, s, at(1), 1, "new")
			return []string{"kept", "new"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			path, disk := file(t), fsxtest.NewDisk(t.TempDir())
			s := open(t, Options{Path: path, FS: disk})
			wanted := use(t, s)
			s.Close()
			if err := disk.Crash(); err != nil {
				t.Fatal(err)
			}
			want(t, "entries", texts(t, open(t, Options{Path: path})), wanted)
		})
	}
}

// crowd makes the file large, and nearly all of it free.
func crowd(t testing.TB, s *Spool, size int) {
	t.Helper()
	data := strings.Repeat("x", 1<<20)
	for range size >> 20 {
		put(t, s, at(1<<20), 1, data)
	}
	entries, err := s.Read(Key(newKey(at(1<<20), 0)), forever, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := s.Update(func(tx *Tx) error { return tx.Remove(e.Key) }); err != nil {
			t.Fatal(err)
		}
	}
}

// So it is with the file that took the place of a damaged one, which itself
// stays where it was put.
func TestCrashAfterDamage(t *testing.T) {
	path, disk := file(t), fsxtest.NewDisk(t.TempDir())
	if err := os.WriteFile(path, []byte("this is no spool"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, Options{Path: path, FS: disk})
	put(t, s, at(0), 1, "new")
	s.Close()
	if err := disk.Crash(); err != nil {
		t.Fatal(err)
	}
	want(t, "entries", texts(t, open(t, Options{Path: path})), []string{"new"})
	if text, err := os.ReadFile(path + ".damaged"); err != nil || string(text) != "this is no spool" {
		t.Errorf("the damaged file: %q, %v", text, err)
	}
}

// What was set aside is there too, on both sides of the moment when the file is
// renamed.
func TestCrashSetAside(t *testing.T) {
	path, disk := file(t), fsxtest.NewDisk(t.TempDir())
	s := open(t, Options{Path: path, FS: disk})
	data := []byte(`"` + strings.Repeat("x", 3<<20) + `"`)
	for i := range 4 {
		if err := s.SetAside(Aside{Why: fmt.Errorf("refused %d", i), Shown: data}); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	if err := disk.Crash(); err != nil {
		t.Fatal(err)
	}
	for suffix, lines := range map[string]int{".refused.1": 2, ".refused": 2} {
		text, err := os.ReadFile(path + suffix)
		if n := strings.Count(string(text), "\n"); err != nil || n != lines {
			t.Errorf("%s has %d lines, want %d: %v", suffix, n, lines, err)
		}
	}
}

// unsynced is a disk whose folders cannot be synced for a while.
type unsynced struct {
	*fsxtest.Disk
	err error
}

func (u *unsynced) SyncDir(folder string) error {
	if u.err != nil {
		return u.err
	}
	return u.Disk.SyncDir(folder)
}

// While a name cannot be brought to the disk, nothing is acknowledged that rests
// on it.
func TestNameNotOnDisk(t *testing.T) {
	path, disk := file(t), &unsynced{Disk: fsxtest.NewDisk(t.TempDir())}
	s := open(t, Options{Path: path, FS: disk})
	put(t, s, at(0), 1, "kept")
	crowd(t, s, 24<<20)
	disk.err = errors.New("no sync")
	if err := s.Shrink(time.Now()); !errors.Is(err, disk.err) {
		t.Errorf("Shrink: %v", err)
	}
	add := func(data string) error {
		return s.Update(func(tx *Tx) error { return tx.Append(at(1), 1, []byte(data)) })
	}
	if err := add("refused"); !errors.Is(err, disk.err) {
		t.Errorf("Update: %v", err)
	}
	disk.err = nil
	if err := add("taken"); err != nil {
		t.Errorf("Update: %v", err)
	}
	s.Close()
	if err := disk.Crash(); err != nil {
		t.Fatal(err)
	}
	want(t, "entries", texts(t, open(t, Options{Path: path})), []string{"kept", "taken"})
	if _, err := os.Stat(filepath.Join(path + ".tmp")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file that was made for it is left: %v", err)
	}
}
