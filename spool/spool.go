// Package spool is the one queue of the program: entries of bytes, each with a
// time, in one file (go.etcd.io/bbolt), which survive whatever ends the
// process. Small state by key lives in the same file, so that what a sink
// remembers of a batch and the batch itself are kept together or not at all.
// It knows nothing of what it keeps.
//
// spool.go opens and closes, tx.go is what a transaction can do, commit.go
// brings many callers' transactions to disk with one sync, shrink.go gives room
// back, damage.go deals with files that cannot be read, aside.go keeps what was
// refused for good, and retry.go tries again.
package spool

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"
	bolt "go.etcd.io/bbolt"

	"scriptbridge/internal/fsx"
)

// Options say where a spool lives; Path and MaxBytes are needed.
type Options struct {
	// Path is that of the file. Its folder must exist and be private. Beside
	// it may come to lie
	//
	//	PATH.tmp         the file while it is written anew (see Shrink)
	//	PATH.damaged     the last file that could not be read
	//	PATH.refused     what was refused for good (see SetAside)
	//	PATH.refused.1   the same, older
	Path string
	// MaxBytes bounds the entries that wait, by the room that they take in the
	// file; over it the oldest goes first. The file itself is larger by what the
	// state takes, an eighth and a MiB (TestBound).
	MaxBytes int64
	// Logger tells of damage, loss, and failures that last; nil: nobody.
	Logger log.Logger
	// FS is where it lives; nil: the real file system.
	FS fsx.FS
}

// Spool is a queue on disk. All methods are safe for concurrent use, and none
// may be called from within a transaction.
type Spool struct {
	path   string
	max    atomic.Int64
	logger log.Logger
	fs     fsx.FS

	// queued are the transactions that wait for the next commit.
	queued struct {
		sync.Mutex
		calls []*call
	}
	// writer is held by the one who commits, and guards what follows.
	writer sync.Mutex
	// unsynced says that the folder may not have the file's name on disk yet:
	// nothing is acknowledged before it has.
	unsynced bool
	// moved are the rows that have changed since Shrink began; nil while it
	// does not run.
	moved map[row]bool
	// using is held for reading by whoever uses db, and for writing by the one
	// who puts another in its place.
	using sync.RWMutex
	db    *bolt.DB // nil when it is closed

	mu    sync.Mutex // guards what follows; never held while the disk is used
	total total
	first Key // the first entry's; empty when there is none
	count Stats
	// dropping is what was dropped since the spool became full; 0: it is not.
	dropping uint64
	failing  failures // of sending
	// refusedTold are the reasons that were logged since refusedSince.
	refusedTold  told
	refusedSince time.Time

	aside     sync.Mutex // held while the file of refused things is written
	shrinking sync.Mutex // held for a Shrink
}

// total is what is in the queue.
type total struct {
	entries int
	items   uint64
	bytes   int64
}

// Stats are a spool's figures. The counts begin at 0 with the process; they
// are of items, of which an entry has as many as Append was told.
type Stats struct {
	Entries int
	Items   uint64
	Bytes   int64     // of the entries that wait, as MaxBytes counts them
	Oldest  time.Time // the first entry's; zero when there is none

	Sent    uint64
	Refused uint64 // for good, and set aside
	Dropped uint64 // the oldest, when MaxBytes was reached; and what was damaged
	Retried uint64 // attempts that failed and were made again
	// Failing is why sending fails at present; empty while it does not.
	Failing string
	// Skipped is what the sink never queued, by reason.
	Skipped map[string]uint64
}

// ErrClosed is what every method gives after Close.
var ErrClosed = errors.New("the spool is closed")

// lockWait is how long Open waits for another process that has the file.
const lockWait = time.Second

// The file's buckets: entries by time and number, and state by key.
var (
	queueBucket = []byte("queue")
	stateBucket = []byte("state")
)

// Open opens the file, or makes it, and reads all of its structure. A file
// that is damaged is renamed to PATH.damaged, with an error in the log, and a
// new one begun: an error of Open is one of the world, such as a folder that
// is missing.
func Open(o Options) (*Spool, error) {
	if o.Logger == nil {
		o.Logger = log.NewNopLogger()
	}
	if o.FS == nil {
		o.FS = fsx.OS{}
	}
	s := &Spool{path: o.Path, logger: o.Logger, fs: o.FS}
	s.max.Store(o.MaxBytes)
	err := s.open()
	if errors.Is(err, errDamaged) {
		err = s.replace(err)
	}
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	return s, nil
}

// open opens the file and counts what is in it.
func (s *Spool) open() error {
	info, err := os.Stat(s.path)
	fresh := errors.Is(err, os.ErrNotExist)
	if err == nil && info.Size() == 0 { // ended before it had begun
		fresh = true
	}
	db, err := s.openFile(s.path)
	if err != nil {
		return err
	}
	_ = s.fs.Remove(s.path + ".tmp") // of a process that ended in the middle; else it is not there
	var t total
	var first Key
	err = damage(Guard(func() error {
		if err := db.View(func(tx *bolt.Tx) error { return survey(tx, &t) }); err != nil {
			return err
		}
		if err := prepare(db); err != nil { // after it: writing makes damage worse
			return err
		}
		return db.View(func(tx *bolt.Tx) error { first = firstOf(tx.Bucket(queueBucket)); return nil })
	}))
	if err != nil {
		closeDB(db)
		return fmt.Errorf("%s: %w", s.path, err)
	}
	s.mu.Lock()
	s.total, s.first = t, first
	s.mu.Unlock()
	s.db = db
	s.unsynced = s.unsynced || fresh
	return nil
}

// firstOf is the key of a queue's first entry; empty when there is none.
func firstOf(queue *bolt.Bucket) Key {
	k, _ := queue.Cursor().First()
	return Key(k)
}

// syncName sees that the file's name is on disk. The caller holds writer.
func (s *Spool) syncName() error {
	if !s.unsynced {
		return nil
	}
	if err := s.fs.SyncDir(filepath.Dir(s.path)); err != nil {
		return err
	}
	s.unsynced = false
	return nil
}

// growth is by how much the file grows at once.
const growth = 256 << 10

func (s *Spool) openFile(path string) (db *bolt.DB, err error) {
	err = Guard(func() error {
		db, err = bolt.Open(path, 0o600, &bolt.Options{
			Timeout:  lockWait,
			OpenFile: s.fs.OpenFile,
			// The default is slow when much of a large file is free.
			FreelistType: bolt.FreelistMapType,
		})
		return err
	})
	if err := damage(err); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	db.AllocSize = growth
	return db, nil
}

// prepare makes the buckets.
func prepare(db *bolt.DB) error {
	return db.Update(func(tx *bolt.Tx) error {
		for _, name := range [][]byte{queueBucket, stateBucket} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
}

// Close closes the file; nothing that was acknowledged is lost by leaving it
// out. It waits for the transactions that run.
func (s *Spool) Close() error {
	s.writer.Lock()
	defer s.writer.Unlock()
	s.using.Lock()
	defer s.using.Unlock()
	if s.db == nil {
		return nil
	}
	err := s.db.Close()
	s.db = nil
	return err
}

// Stats gives the figures of now, and waits for nobody.
func (s *Spool) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.count
	stats.Entries, stats.Items, stats.Bytes, stats.Oldest = s.total.entries, s.total.items, s.total.bytes, s.first.Time()
	stats.Skipped = maps.Clone(stats.Skipped)
	return stats
}

// Sent counts items that have arrived.
func (s *Spool) Sent(items int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count.Sent += uint64(items)
}

// Skipped counts items that are not queued, by reason.
func (s *Spool) Skipped(by map[string]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for reason, n := range by {
		if s.count.Skipped == nil {
			s.count.Skipped = make(map[string]uint64)
		}
		s.count.Skipped[reason] += uint64(n)
	}
}

// SetMaxBytes changes Options.MaxBytes. What is too much by then goes with the
// next transaction that writes.
func (s *Spool) SetMaxBytes(n int64) { s.max.Store(n) }
