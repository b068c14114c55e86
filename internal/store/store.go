// Package store is a file of bbolt that may come to harm. What is damaged, also
// while it is in use, what was moved away or removed, and what a newer version
// wrote is an error: no panic, nobody who waits for ever, and nothing
// acknowledged that is on no disk.
//
// store.go opens and closes, use.go runs transactions, about.go tells versions
// apart, guard.go sees whose fault a panic is, watch.go ends what has no end
// (processor_*.go tell it whether that is at work), verify.go reads a file
// before it is used, page.go knows how it is laid out, turn.go
// gives it the order of bytes of this machine, unmap_*.go let go of its
// memory, aside.go puts a damaged one aside, and room.go keeps space back for
// those who only take away.
package store

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/version"
	bolt "go.etcd.io/bbolt"

	"scriptbridge/internal/fsx"
)

var (
	// ErrDamaged says that the file holds what the store never wrote.
	ErrDamaged = errors.New("the file is damaged")
	// ErrSuspect is the ErrDamaged of a file that may be well, and must be read anew
	// before it is used again.
	ErrSuspect = fmt.Errorf("%w, or so it seems", ErrDamaged)
	// ErrInUse says that somebody else has the file.
	ErrInUse = errors.New("another process uses it")
	// ErrClosed says that the file was closed.
	ErrClosed = errors.New("the file is closed")
)

// NewerError says that a newer version wrote the file, which is left as it is.
type NewerError struct {
	Path    string
	Format  string // its format, and
	Known   string // the one that this version knows
	Version string // of the program that wrote it; empty where that is not known
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("%s: %s wrote it, in the format %.20q; this one knows %q: go back to that version, or move the file away yourself",
		e.Path, cmp.Or(e.Version, "a newer version of scriptbridge"), e.Format, e.Known)
}

// Options say how a file is opened.
type Options struct {
	FS fsx.FS // nil: the real file system
	// Growth is by how much the file grows at once, at least.
	Growth int
	// Format is what the rows of this version are, which the file says in the
	// bucket About; a file that says another one is a *NewerError. One that says
	// nothing is older than that, and the same. Former is the format before, if there
	// was one: such a file is taken for this one's, and says so from then on.
	Format, Former, About string
	// Buckets are made where they are missing.
	Buckets []string
	// Row judges a row before the file is used, by the bucket that it is in: an
	// error is damage. It must not keep what it is given. Nil: all are good.
	Row func(bucket string, key, value []byte) error
	// Fatal is called when only the end of the program ends what the store does,
	// with the reason. Nil: a panic that nobody catches.
	Fatal func(error)
	// NoSync leaves out what makes it last; for tests.
	NoSync bool
}

// wait is how long Open waits for another process that has the file.
const wait = time.Second

// grace is how long those who use a file go on that was found damaged by somebody
// else. What the one has left locked, others would wait for without end; and in a
// damaged tree one may go round in a circle.
const grace = time.Second / 10

// File is an open file. All methods are safe for concurrent use, but for
// transactions that write, of which there must be one at a time.
type File struct {
	path  string
	fs    fsx.FS
	db    *bolt.DB
	file  *os.File // the db's
	place *fsx.Place
	fatal func(error)
	// ill is closed when damage was found. Then the db is never used again nor
	// closed: what it has locked, it may have locked for ever.
	ill chan struct{}

	mu     sync.Mutex // guards what follows, and changes of path and place
	why    error      // it is ill, or closed
	inside int        // who uses the db, or never comes back from it
	closed bool
	gone   bool // the db's memory is given back
	// As the file was left by the last who wrote, while nobody writes.
	writing bool
	size    int64
	changed time.Time

	page   int64         // the size of a page
	format string        // what the file says; see Format
	number atomic.Uint64 // of the last transaction that lasts

	// Of those who write:
	unsynced bool  // the folder may not have the name on disk yet
	solid    int64 // see Room
}

// Open opens a file, or makes it, and reads all of it before it is used. What an
// opening that fails has opened, it has closed.
func Open(path string, o Options) (*File, error) {
	if o.FS == nil {
		o.FS = fsx.OS{}
	}
	if o.Fatal == nil {
		o.Fatal = func(err error) { panic(err) }
	}
	file, err := o.FS.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	f := &File{path: path, fs: o.FS, file: file, fatal: o.Fatal, ill: make(chan struct{})}
	about := about{Options: o, version: version.Version}
	fresh, err := f.read(&about)
	if err == nil {
		if err = f.open(o, &about); err != nil && fresh { // what is half made must not look damaged
			_ = file.Truncate(0)
		}
	}
	if err != nil {
		_ = file.Close() // whatever became of the db
		if f.place != nil {
			f.place.Close()
		}
		return nil, named(path, err)
	}
	return f, nil
}

// Check reads all of a file that nobody writes to, and says whether it is
// damaged.
func Check(disk fsx.FS, path string) error {
	file, err := disk.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	info, err := file.Stat()
	if err != nil {
		return err
	}
	return verify(file, info.Size(), path, func(string, []byte, []byte) error { return nil })
}

// named gives an error the path that it is about, unless it has it.
func named(path string, err error) error {
	known, ok := errors.AsType[*fs.PathError](err)
	if _, newer := errors.AsType[*NewerError](err); newer || ok && known.Path == path {
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// read takes the file, and reads what is in it; fresh says that it is empty.
func (f *File) read(about *about) (fresh bool, err error) {
	// Before it is read: what another process is writing is no damage.
	if err := fsx.WaitLock(f.file, wait); err != nil {
		if errors.Is(err, fsx.ErrLocked) {
			err = ErrInUse
		}
		return false, err
	}
	info, err := f.file.Stat()
	if err != nil || info.Size() == 0 {
		return err == nil, err
	}
	if err := verify(f.file, info.Size(), f.path, about.row); err != nil {
		return false, err
	}
	if err := about.newer(f.path); err != nil {
		return false, err
	}
	return false, f.turn(info)
}

// open opens what was read.
func (f *File) open(o Options, about *about) (err error) {
	if f.place, err = fsx.PlaceOf(f.file, f.path); err != nil {
		return err
	}
	// Now that it is good, only what damages it just now makes the
	// store panic here. Then the file is closed all the same, but stays mapped.
	err = f.guard(func() (err error) {
		f.db, err = bolt.Open(f.path, 0o600, &bolt.Options{
			Timeout:  wait,
			OpenFile: func(string, int, os.FileMode) (*os.File, error) { return f.file, nil },
			// The default is slow when much of a large file is free.
			FreelistType: bolt.FreelistMapType,
			NoSync:       o.NoSync,
		})
		if err != nil {
			return err
		}
		return f.db.View(func(tx *bolt.Tx) error { f.number.Store(uint64(tx.ID())); return nil })
	})
	if err != nil {
		return err
	}
	f.page = int64(f.db.Info().PageSize)
	f.write(false)
	if o.Growth > 0 {
		f.db.AllocSize = o.Growth
	}
	if err := about.write(f); err != nil {
		_ = f.Close() // there is nothing in it
		return err
	}
	f.unsynced = true
	return nil
}

// InPlace says whether who opens the path now finds this file: what was not so
// after a transaction must not be acknowledged. fsx.ErrRemoved tells that it
// will never be so again. That somebody else has written to the file is found here
// too, where its time tells, so that most harm is known before the store meets it.
func (f *File) InPlace() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := f.place.Check()
	if err != nil || f.why != nil || f.writing || (!fsx.Exact || info.ModTime().Equal(f.changed)) && info.Size() == f.size {
		return err
	}
	f.fall(fmt.Errorf("%w: somebody else has written to it", ErrSuspect))
	return f.why
}

// write begins to write, or ends it.
func (f *File) write(now bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.writing = now; now {
		return
	}
	if info, err := f.file.Stat(); err == nil {
		f.size, f.changed = info.Size(), info.ModTime()
	}
}

// Format is the file's format: Options.Format, or Former while the disk has no room
// to write that down.
func (f *File) Format() string { return f.format }

// Rename gives the file another path in the same folder. What has that path is
// lost. Only who writes may call it.
func (f *File) Rename(path string) error {
	if err := f.fs.Rename(f.path, path); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.path, f.unsynced = path, true
	f.place.Renamed(path)
	return nil
}

// SyncName sees that the file's name is on disk: nothing may be acknowledged
// before it is. Only who writes may call it.
func (f *File) SyncName() error {
	if !f.unsynced {
		return nil
	}
	if err := f.fs.SyncDir(filepath.Dir(f.path)); err != nil {
		return err
	}
	f.unsynced = false
	return nil
}

// Sizes are that of the file, and how much of it is used.
func (f *File) Sizes() (all, used int64, err error) {
	info, err := f.file.Stat()
	if err != nil {
		return 0, 0, err
	}
	err = f.View(func(tx *bolt.Tx) error {
		stats := f.db.Stats()
		used = tx.Size() - int64(stats.FreePageN+stats.PendingPageN)*f.page
		return nil
	})
	return info.Size(), used, err
}

// Close closes the file, after the transactions that run. Where the store has
// panicked it waits for nobody.
func (f *File) Close() error {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return nil
	}
	f.closed = true
	well := f.why == nil
	f.why = cmp.Or(f.why, ErrClosed)
	f.mu.Unlock()
	var err error
	if well {
		err = f.call(f.db.Close)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if errors.Is(f.why, ErrDamaged) {
		err = nil          // there is nothing left to lose,
		_ = f.file.Close() // and its lock goes with it
		f.release()
	}
	return errors.Join(err, f.place.Close())
}

// release gives back the memory that the file of a store that has panicked is
// mapped to, and with it the file's room on disk once it has no name: when
// nobody can look there any more. The caller holds f.mu.
func (f *File) release() {
	if f.closed && f.inside == 0 && errors.Is(f.why, ErrDamaged) {
		unmap(f.db)
		f.gone = true
	}
}

// Left says whether nobody uses the file any more, after Close.
func (f *File) Left() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.inside == 0
}
