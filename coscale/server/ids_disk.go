package server

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	bolt "go.etcd.io/bbolt"

	"scriptbridge/coscale"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/store"
)

// disk is the file behind a registry; a nil one keeps nothing.
type disk struct {
	path   string
	file   *store.File // nil when there is none
	gone   error       // why there is none
	secret []byte      // of the sessions, so that they outlive a restart
	logger log.Logger
	fatal  func(error) // ends the program
	fs     fsx.FS
	guard  fsx.Guard
	silent bool // the disk did not answer when it was asked last
}

// The buckets of the file. Keys hold numbers as eight bytes, the highest first.
const (
	objectBucket = "objects" // kind, 0, id: an object as JSON
	linkBucket   = "links"   // link as text: the place among all links
	eventBucket  = "events"  // id: an EventData as JSON
	nextBucket   = "next"    // kind: the next id
	otherBucket  = "other"   // "format", "version"; "secret": of the sessions
	idsFormat    = "1"
)

var secretKey = []byte("secret")

// change is one row to be written; without a value, to be deleted.
type change struct {
	bucket string
	key    []byte
	value  []byte
}

func numberKey(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

func objectKey(kind coscale.Kind, id int64) []byte {
	return binary.BigEndian.AppendUint64(append([]byte(kind), 0), uint64(id))
}

// rowOf is an object's or an event's row.
func rowOf(bucket string, key []byte, v any) (change, error) {
	value, err := json.Marshal(v)
	return change{bucket, key, value}, err
}

// openDisk opens or makes ids.db in a folder.
func openDisk(folder string, logger log.Logger, fatal func(error), fs fsx.FS) (*disk, error) {
	if fs == nil {
		fs = fsx.OS{}
	}
	d := &disk{path: filepath.Join(folder, "ids.db"), logger: logger, fatal: fatal, fs: fs}
	file, err := d.openIDs(d.path)
	if errors.Is(err, store.ErrDamaged) {
		return nil, fmt.Errorf("%w; if it is broken, move it away: clients will get new ids", err)
	}
	if err != nil {
		return nil, err
	}
	d.file = file
	if err := d.readSecret(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *disk) openIDs(path string) (*store.File, error) {
	return store.Open(path, store.Options{
		FS: d.fs, Fatal: d.fatal, About: otherBucket, Format: idsFormat, Buckets: []string{objectBucket, linkBucket, eventBucket, nextBucket, otherBucket},
	})
}

// write makes all changes or none; when it returns nil they are synced, in the
// file that will be read. errLost tells that the file is of no use any more: see
// renew.
func (d *disk) write(changes []change) error {
	if d == nil || len(changes) == 0 {
		return nil
	}
	again := d.silent
	return d.within(func() error {
		if again { // what was written at last, memory does not know
			return d.lose(fsx.ErrSilent)
		}
		return d.put(changes)
	})
}

// within runs what uses the disk, which must not keep requests and the end of the
// program for ever.
func (d *disk) within(f func() error) error {
	err := d.guard.Do(f)
	if d.silent = errors.Is(err, fsx.ErrSilent) && !errors.Is(err, errLost); d.silent {
		return fmt.Errorf("%s: %w", d.path, err)
	}
	return err
}

// lose lets go of a file that is of no use any more.
func (d *disk) lose(why error) error {
	if d.file != nil {
		_ = d.file.Close() // as it is
	}
	d.file, d.gone = nil, why
	return errLost
}

// put is write.
func (d *disk) put(changes []change) error {
	if d.file == nil {
		return errLost
	}
	err := d.file.InPlace()
	if err == nil {
		err = d.file.SyncName()
	}
	if err == nil {
		err = update(d.file, changes)
	}
	if err == nil {
		err = d.file.InPlace()
	}
	if errors.Is(err, store.ErrDamaged) || errors.Is(err, fsx.ErrRemoved) {
		return d.lose(err)
	}
	return err
}

// errLost says that what is in memory is to be written to another file.
var errLost = errors.New("the file of ids is lost")

// update makes all changes or none.
func update(file *store.File, changes []change) error {
	return file.Update(func(tx *bolt.Tx) error {
		for _, c := range changes {
			bucket := tx.Bucket([]byte(c.bucket))
			if c.value == nil {
				if err := bucket.Delete(c.key); err != nil {
					return err
				}
			} else if err := bucket.Put(c.key, c.value); err != nil {
				return err
			}
		}
		return nil
	})
}

// renew writes all rows to a new file, and puts it in the place of one that was
// found damaged while it was in use, or was removed.
func (d *disk) renew(rows []change) error {
	return d.within(func() error { return d.replace(rows) })
}

// replace is renew.
func (d *disk) replace(rows []change) error {
	name := d.path + ".tmp"
	if err := d.fs.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	file, err := d.openIDs(name)
	if err != nil {
		return err
	}
	aside, err := d.exchange(file, rows)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	level.Error(d.logger).Log("msg", "the file of ids was lost while it was in use: all of it was written anew from memory, and nothing is lost",
		"file", d.path, "aside", aside, "err", d.gone)
	d.file, d.gone = file, nil
	return file.SyncName()
}

// exchange fills a file, and has it take the place of the one that was lost, which
// stays beside it. There is always one: a folder without any would be a new beginning.
func (d *disk) exchange(file *store.File, rows []change) (aside string, err error) {
	if err := update(file, append(rows, change{otherBucket, secretKey, d.secret})); err != nil {
		return "", err
	}
	switch _, err := d.fs.Lstat(d.path); {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return "", err
	case errors.Is(d.gone, fsx.ErrRemoved):
		return "", fmt.Errorf("%s: another file took its place while it was in use: restart scriptbridge to go on with that", d.path)
	case errors.Is(store.Check(d.fs, d.path), store.ErrDamaged):
		if aside, err = store.AsideName(d.fs, d.path); err != nil {
			return "", err
		}
		if d.fs.Link(d.path, aside) == nil {
			break
		}
		if err := d.fs.Rename(d.path, aside); err != nil { // where there are no links
			return "", err
		}
	}
	if err := file.Rename(d.path); err == nil || fsx.Replaceable {
		return aside, err
	}
	return d.moveAside(file, aside)
}

// moveAside is the end of exchange where somebody still has the lost file mapped into memory,
// as who never comes back from it: nothing can take its place on Windows, but it can be moved.
func (d *disk) moveAside(file *store.File, linked string) (aside string, err error) {
	if linked != "" {
		_ = d.fs.Remove(linked) // it is the same file, and gets another name
	}
	if aside, err = store.AsideName(d.fs, d.path); err == nil {
		err = d.fs.Rename(d.path, aside)
	}
	if err != nil {
		return "", err
	}
	return aside, file.Rename(d.path)
}

// each calls f for all rows of a bucket, in the order of their keys; f must not
// keep what it is given.
func (d *disk) each(bucket string, f func(key, value []byte) error) error {
	if d == nil {
		return nil
	}
	return d.file.View(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte(bucket)).ForEach(func(key, value []byte) error {
			if err := f(key, value); err != nil {
				return fmt.Errorf("%s: bucket %s, key %q: %w", d.path, bucket, key, err)
			}
			return nil
		})
	})
}

// readSecret reads the one that is kept, or keeps a new one.
func (d *disk) readSecret() error {
	err := d.file.View(func(tx *bolt.Tx) error {
		d.secret = bytes.Clone(tx.Bucket([]byte(otherBucket)).Get(secretKey))
		return nil
	})
	if err != nil || len(d.secret) == secretLength {
		return err
	}
	d.secret = newSecret()
	return d.write([]change{{otherBucket, secretKey, d.secret}})
}

const secretLength = 32

func newSecret() []byte {
	secret := make([]byte, secretLength)
	_, _ = rand.Read(secret) // which never fails
	return secret
}

func (d *disk) close() error {
	if d == nil || d.file == nil {
		return nil
	}
	return d.within(d.file.Close)
}
