package store

import (
	"bytes"
	"cmp"
	"errors"

	bolt "go.etcd.io/bbolt"
)

// The rows of Options.About.
var (
	formatKey  = []byte("format")
	versionKey = []byte("version") // of the program that used the file last
)

// about is what a file says of itself.
type about struct {
	Options
	version      string // this program's; empty where it is not known
	format, used []byte // what it says
}

// row is verify's.
func (a *about) row(bucket string, key, value []byte) error {
	if bucket == a.About {
		switch {
		case bytes.Equal(key, formatKey):
			a.format = bytes.Clone(value)
			return nil
		case bytes.Equal(key, versionKey):
			a.used = bytes.Clone(value)
			return nil
		}
	}
	if a.Row == nil || a.other() { // whose rows we do not know
		return nil
	}
	return a.Row(bucket, key, value)
}

// other says whether the file is of another format.
func (a *about) other() bool {
	return a.format != nil && string(a.format) != a.Format && (a.Former == "" || string(a.format) != a.Former)
}

func (a *about) newer(path string) error {
	if !a.other() {
		return nil
	}
	e := &NewerError{Path: path, Format: string(a.format), Known: a.Format}
	if len(a.used) > 0 {
		e.Version = "scriptbridge " + string(a.used)
	}
	return e
}

// write makes the buckets and says whose file it is, where that is news. A disk
// that is full keeps nobody from using what is there.
func (a *about) write(f *File) error {
	whole := true
	err := f.View(func(tx *bolt.Tx) error {
		for _, name := range a.Buckets {
			whole = whole && tx.Bucket([]byte(name)) != nil
		}
		return nil
	})
	if err != nil {
		return err
	}
	f.format = a.Format
	if whole && string(a.format) == a.Format && (a.version == "" || a.version == string(a.used)) {
		return nil
	}
	err = f.Update(func(tx *bolt.Tx) error {
		for _, name := range append([]string{a.About}, a.Buckets...) {
			if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
				return err
			}
		}
		b := tx.Bucket([]byte(a.About))
		return errors.Join(b.Put(formatKey, []byte(a.Format)), b.Put(versionKey, []byte(a.version)))
	})
	if whole && !errors.Is(err, ErrDamaged) {
		if err != nil && a.Former != "" {
			f.format = cmp.Or(string(a.format), a.Former)
		}
		return nil
	}
	return err
}
