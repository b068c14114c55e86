package spool

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"scriptbridge/internal/fsx"
)

// failing is a disk on which the file of Shrink may not be made.
type failing struct {
	fsx.OS
	opening func() error
}

func (d *failing) OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error) {
	if strings.HasSuffix(name, ".tmp") {
		if err := d.opening(); err != nil {
			return nil, err
		}
	}
	return d.OS.OpenFile(name, flag, perm)
}

// TestShrinkSeldom: a copy that failed is not made again before an hour is over.
func TestShrinkSeldom(t *testing.T) {
	tries, fails := 0, errors.New("the disk is full")
	path, disk := file(t), &failing{}
	disk.opening = func() error { tries++; return fails }
	s := open(t, Options{Path: path, FS: disk})
	crowd(t, s, 24<<20)
	for minute, want := range []int{0: 1, 1: 1, 59: 1, 60: 2, 61: 2, 119: 2} {
		if want == 0 {
			continue
		}
		if err := s.Shrink(at(60 * minute)); err != nil && !errors.Is(err, fails) {
			t.Fatal(err)
		}
		if tries != want {
			t.Errorf("minute %d: %d tries, not %d", minute, tries, want)
		}
	}
	fails = nil
	if err := s.Shrink(at(60 * 120)); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() >= small {
		t.Errorf("it was not shrunk: %v, %v", info, err)
	}
}

// unmovable is a disk on which no file takes the place of another.
type unmovable struct {
	fsx.OS
	err error
}

func (d *unmovable) Rename(from, to string) error {
	if d.err != nil {
		return d.err
	}
	return d.OS.Rename(from, to)
}

// TestShrinkInVain: where the new file cannot take the place of the old one, as somebody
// else has that open on Windows, the spool goes on with the old one, and nothing is lost.
func TestShrinkInVain(t *testing.T) {
	path, disk := file(t), &unmovable{err: errors.New("it is open elsewhere")}
	s := open(t, Options{Path: path, FS: disk})
	put(t, s, at(0), 1, "kept")
	crowd(t, s, 24<<20)
	if err := s.Shrink(at(0)); !errors.Is(err, disk.err) {
		t.Fatalf("Shrink: %v", err)
	}
	put(t, s, at(1), 1, "new")
	want(t, "entries", texts(t, s), []string{"kept", "new"})
	disk.err = nil
	must(t, s.Shrink(at(60*120)))
	put(t, s, at(2), 1, "newer")
	want(t, "entries", texts(t, s), []string{"kept", "new", "newer"})
	if info, err := os.Stat(path); err != nil || info.Size() >= small {
		t.Errorf("it was not shrunk: %v, %v", info, err)
	}
	must(t, s.Close())
	want(t, "entries after a restart", texts(t, open(t, Options{Path: path})), []string{"kept", "new", "newer"})
}
