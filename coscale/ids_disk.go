package coscale

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"

	"scriptbridge/spool"
)

// disk is the file behind a registry; a nil one keeps nothing.
type disk struct{ db *bolt.DB }

// The buckets of the file. Keys hold numbers as eight bytes, the highest first.
const (
	objectBucket = "objects" // kind, 0, id: a stored as JSON
	linkBucket   = "links"   // link as text: the place among all links
	eventBucket  = "events"  // id: an EventData as JSON
	nextBucket   = "next"    // kind: the next id
	otherBucket  = "other"   // "format": 1; "secret": of the sessions
)

// change is one row to be written; without a value, to be deleted.
type change struct {
	bucket string
	key    []byte
	value  []byte
}

func numberKey(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

func objectKey(kind Kind, id int64) []byte {
	return binary.BigEndian.AppendUint64(append([]byte(kind), 0), uint64(id))
}

// rowOf is an object's or an event's row.
func rowOf(bucket string, key []byte, v any) (change, error) {
	value, err := json.Marshal(v)
	return change{bucket, key, value}, err
}

// openDisk opens or makes ids.db in a folder.
func openDisk(folder string) (*disk, error) {
	path := filepath.Join(folder, "ids.db")
	broken := func(err error) error {
		return fmt.Errorf("%s: %w; if it is broken, move it away: clients will get new ids", path, err)
	}
	var db *bolt.DB
	err := spool.Guard(func() (err error) {
		db, err = bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second})
		return err
	})
	if err != nil {
		return nil, broken(err)
	}
	d := &disk{db}
	err = spool.Guard(func() error {
		return db.View(func(tx *bolt.Tx) error {
			return spool.Check(tx, func(_, _, _ []byte) bool { return true })
		})
	})
	if err != nil {
		return nil, errors.Join(broken(err), d.close())
	}
	err = d.update(func(tx *bolt.Tx) error {
		for _, name := range []string{objectBucket, linkBucket, eventBucket, nextBucket, otherBucket} {
			if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
				return err
			}
		}
		other := tx.Bucket([]byte(otherBucket))
		if format := other.Get([]byte("format")); format != nil && string(format) != "1" {
			return fmt.Errorf("it is of the format %.20q, which this version cannot read", format)
		}
		return other.Put([]byte("format"), []byte("1"))
	})
	if err != nil {
		return nil, errors.Join(broken(err), d.close())
	}
	return d, nil
}

// update runs a transaction; a damaged file is an error, and no panic.
func (d *disk) update(f func(*bolt.Tx) error) error {
	return spool.Guard(func() error { return d.db.Update(f) })
}

// write makes all changes or none; they are synced when it returns nil.
func (d *disk) write(changes []change) error {
	if d == nil || len(changes) == 0 {
		return nil
	}
	err := d.update(func(tx *bolt.Tx) error {
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
	var p *os.PathError
	if errors.As(err, &p) {
		err = p.Err // clients are not told where our files are
	}
	return err
}

// each calls f for all rows of a bucket, in the order of their keys; f must not
// keep what it is given.
func (d *disk) each(bucket string, f func(key, value []byte) error) error {
	if d == nil {
		return nil
	}
	return spool.Guard(func() error {
		return d.db.View(func(tx *bolt.Tx) error {
			return tx.Bucket([]byte(bucket)).ForEach(func(key, value []byte) error {
				if err := f(key, value); err != nil {
					return fmt.Errorf("%s: bucket %s, key %q: %w", d.db.Path(), bucket, key, err)
				}
				return nil
			})
		})
	})
}

// secret gives the one that is kept, so that sessions outlive a restart, or a
// new one.
func (d *disk) secret() ([]byte, error) {
	var secret []byte
	err := d.each(otherBucket, func(key, value []byte) error {
		if string(key) == "secret" {
			secret = append(secret, value...)
		}
		return nil
	})
	if err != nil || len(secret) == 32 {
		return secret, err
	}
	secret = make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return nil, err
	}
	return secret, d.write([]change{{otherBucket, []byte("secret"), secret}})
}

func (d *disk) close() error {
	if d == nil {
		return nil
	}
	return spool.Guard(d.db.Close)
}
