// Package textfile writes the metrics page where node_exporter's textfile collector
// reads it: into a file in a folder that may be somebody else's. textfile.go says
// when, file.go how.
package textfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"scriptbridge/internal/errno"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/repeat"
	"scriptbridge/internal/trust"
)

const (
	// every is how often the file is written: first and then after twice as long
	// each time, until it is every. At the start scripts run for the first time.
	every = 15 * time.Second
	first = time.Second
)

// Options are what a Writer needs.
type Options struct {
	Folder string // absolute
	// Trusted says whose links lead to the folder; nil asks nothing.
	Trusted *trust.Policy
	// Page gives the page as it is now, in pieces, each good until the next one.
	Page   func() iter.Seq[[]byte]
	Counts *Counts
	Logger log.Logger
}

// Counts are what the writers of a bridge did, one after the other. The zero value is ready.
type Counts struct {
	mu     sync.Mutex
	failed uint64
	last   time.Time
	err    error
}

// Failed is how often the file could not be written or removed.
func (c *Counts) Failed() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// Last is when the file was last written, or found to hold the page; zero for never.
func (c *Counts) Last() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// Err is why the last attempt failed; nil for one that did not.
func (c *Counts) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *Counts) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err = err; err != nil {
		c.failed++
		return
	}
	c.last = time.Now()
}

// Writer keeps the file. It is a unit of supervise.
type Writer struct {
	o     Options
	wrong repeat.State
	// guard lets one at a time use the disk, which owns file meanwhile: a disk that
	// does not answer must stop nobody.
	guard fsx.Guard
	file  file
	over  atomic.Bool // the file is to be there no more
}

// New makes a Writer, which touches nothing before Run.
func New(o Options) *Writer {
	o.Logger = log.WithSuffix(o.Logger, "file", path(o.Folder))
	return &Writer{o: o, file: newFile(o.Folder, o.Trusted)}
}

// Path is the file that it writes.
func (w *Writer) Path() string { return path(w.o.Folder) }

// Run writes the file until ctx ends, and then removes it: values that are written
// no more must not be shown any longer. What fails is told, and tried again.
func (w *Writer) Run(ctx context.Context, up func()) {
	for wait := first; ctx.Err() == nil; wait = min(2*wait, every) {
		w.write()
		up()
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
	w.over.Store(true)
	if err := w.guard.Do(w.file.remove); err != nil {
		w.o.Counts.note(err)
		level.Error(w.o.Logger).Log("msg", "the file for node_exporter's textfile collector could not be removed, and its values stay", "err", w.explain(err))
	}
}

// write writes the file once.
func (w *Writer) write() {
	err := w.guard.Do(func() error {
		err := w.file.write(w.o.Page())
		if w.over.Load() { // and the end did not wait for a slow disk
			return errors.Join(err, w.file.remove())
		}
		return err
	})
	err = w.explain(err)
	w.o.Counts.note(err)
	w.wrong.Log(w.o.Logger, err, "the file for node_exporter's textfile collector is not written; it is tried again", "the file for node_exporter's textfile collector is written again")
}

// explain says what there is to do about an error.
func (w *Writer) explain(err error) error {
	if errors.Is(err, fsx.ErrSilent) {
		return fmt.Errorf("%s: %w", w.o.Folder, err)
	}
	return explain(err)
}

func explain(err error) error {
	remedy := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		remedy = "node_exporter's folder is not made by scriptbridge: make it, or name another one"
	case errors.Is(err, fs.ErrPermission):
		remedy = "the user that scriptbridge runs as must be able to write the folder"
	case errno.Is(err, syscall.EROFS) && runtime.GOOS == "windows":
		remedy = "its disk is write-protected: name a folder on another one"
	case errno.Is(err, syscall.EROFS):
		remedy = "in a systemd unit with ProtectSystem=, name the folder by ReadWritePaths="
	case errors.Is(err, fsx.ErrFolder), errors.Is(err, fsx.ErrIrregular):
		remedy = "see what it is, and move it away"
	default:
		return err
	}
	return fmt.Errorf("%w (%s)", err, remedy)
}

// Check says why a page could not be written into a folder, as far as that is known
// without writing.
func Check(folder string, trusted *trust.Policy) error {
	f := newFile(folder, trusted)
	return explain(f.check())
}
