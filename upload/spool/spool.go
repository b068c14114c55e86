// Package spool is the one queue of the program: entries of bytes, each with a
// time, in one file (go.etcd.io/bbolt), which survive whatever ends the
// process. Small state by key is in the same file, so that a batch and what a
// sink remembers of it are kept together or not at all. Entries are opaque
// bytes.
//
// spool.go opens and closes, tx.go is what a transaction can do, commit.go
// brings the transactions of many callers to disk with one sync, row.go is how an
// entry stands in the file, stats.go
// counts. shrink.go gives space back, lost.go deals with files
// that are of no use any more. aside.go keeps what was refused for good, and
// restore.go queues it again. retry.go has the pauses between attempts.
package spool

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"
	bolt "go.etcd.io/bbolt"

	"scriptbridge/internal/fsx"
	"scriptbridge/internal/repeat"
	"scriptbridge/internal/store"
)

// Options say where a spool lives; Path and MaxBytes are needed.
type Options struct {
	// Path is that of the file. Its folder must exist and be private. Beside
	// it may come to lie
	//
	//	PATH.tmp         the file while it is written anew (see Shrink)
	//	PATH.damaged     a file that could not be read, with .1 to .9 for others
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
	// Fatal ends the program; see store.Options.
	Fatal func(error)

	noSync, plain bool // for tests: nothing is synced; nothing is compressed
}

// Spool is a queue on disk. All methods are safe for concurrent use, and none
// may be called from within a transaction.
type Spool struct {
	path   string
	max    atomic.Int64
	logger log.Logger
	fs     fsx.FS
	fatal  func(error)
	noSync bool
	plain  bool
	rows   rows
	walked atomic.Int64 // see walk

	// queued are the transactions that wait for the next commit.
	queued struct {
		sync.Mutex
		calls []*call
	}
	// writer is held by the one who commits, and guards what follows.
	writer sync.Mutex
	// moved are the rows that have changed since Shrink began; nil while it
	// does not run.
	moved map[row]bool
	// using is held for reading by whoever uses file, and for writing by the one
	// who puts another in its place.
	using sync.RWMutex
	file  *store.File // nil when there is none
	shut  bool        // by Close
	// What became of the file before, for open: gone is why it was of no use, begun
	// says that the figures are of that file, again that it was opened once more
	// after the store had panicked.
	gone         error
	begun, again bool

	retrying sync.Mutex // guards what follows, and is held while it is tried
	failed   []func(*Tx) error

	mu    sync.Mutex // guards what follows; never held while the disk is used
	total total
	first Key // the first entry's; empty when there is none
	count Stats
	// wrong is why the disk did not do what it should, when it was asked last.
	wrong  [uses]error
	wrongs repeat.State // of taking
	// dropping is what was dropped since the spool became full; 0: it is not.
	dropping uint64
	failing  failures // of sending
	// refusedTold are the reasons that were logged since refusedSince.
	refusedTold  told
	refusedSince time.Time

	aside     sync.Mutex // held while the file of refused things is written
	shrinking sync.Mutex // held for a Shrink, and guards:
	// shrinkFailed is when it failed last; zero: it did not.
	shrinkFailed time.Time
}

// total is what is in the queue.
type total struct {
	entries int
	items   uint64
	bytes   int64
}

// ErrClosed is what every method gives after Close.
var ErrClosed = errors.New("the spool is closed")

// The file's buckets: entries by time and number, state by key, and what the file
// says of itself.
const (
	queueName = "queue"
	stateName = "state"
	aboutName = "about"
	// format is what a version says in it that knows other buckets, or other rows.
	format = "2"
	// former had no compressed rows.
	former = "1"
)

var (
	queueBucket = []byte(queueName)
	stateBucket = []byte(stateName)
)

// Open opens the file, or makes it, and reads all of its structure. A file
// that is damaged is renamed to PATH.damaged, with an error in the log, and a
// new one begun: an error of Open is one of the world, such as a folder that
// is missing, or a file that a newer version wrote, which is left as it is.
func Open(o Options) (*Spool, error) {
	if o.Logger == nil {
		o.Logger = log.NewNopLogger()
	}
	if o.FS == nil {
		o.FS = fsx.OS{}
	}
	s := &Spool{path: o.Path, logger: o.Logger, fs: o.FS, fatal: o.Fatal, noSync: o.noSync, plain: o.plain}
	s.SetMaxBytes(o.MaxBytes)
	s.count.DroppedBy = make(map[string]uint64)
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	return s, nil
}

// openFile opens a file and counts what is in it.
func (s *Spool) openFile(path string) (file *store.File, t total, first Key, err error) {
	file, err = store.Open(path, store.Options{
		FS: s.fs, Fatal: s.fatal, Growth: growth, NoSync: s.noSync, About: aboutName, Format: format, Former: former, Buckets: []string{queueName, stateName},
		Row: func(bucket string, k, v []byte) error {
			switch {
			case bucket == queueName && len(k) == keyLength:
				if first == "" {
					first = Key(k)
				}
				t.add(cost(v))
			case bucket != stateName:
				return fmt.Errorf("bad key in the bucket %.20q", bucket)
			}
			return nil
		},
	})
	return file, t, first, err
}

// growth is by how much the file grows at once.
const growth = 256 << 10

// firstOf is the key of a queue's first entry; empty when there is none.
func firstOf(queue *bolt.Bucket) Key {
	k, _ := queue.Cursor().First()
	return Key(k)
}

// Close closes the file; nothing that was acknowledged is lost by leaving it
// out. It waits for the transactions that run.
func (s *Spool) Close() error {
	_ = s.retryUpdates() // the last time that what was sent can be known
	s.writer.Lock()
	defer s.writer.Unlock()
	s.using.Lock()
	defer s.using.Unlock()
	s.shut = true
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}

// SetMaxBytes changes Options.MaxBytes. What is too much by then goes with the
// next transaction that writes.
func (s *Spool) SetMaxBytes(n int64) { s.max.Store(min(n, mappable)) }

// mappable is the largest MaxBytes. A file is mapped into memory whole, with up to as much again
// to grow into: where a word has 32 bits, several must find room in 2 to 4 GiB.
const mappable int64 = 256 << 20 << (32 * (^uint(0) >> 63))
