// Package lossy writes lines for programs that must not wait for whoever reads
// them: what a slow, full or abandoned destination does not take waits in a
// bounded buffer, and what does not fit there is dropped and counted.
package lossy

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"scriptbridge/internal/errno"
)

// defaultBuffer is how many bytes may wait, if nothing else is said.
const defaultBuffer = 1 << 20

// ErrDropped is what Write gives for a line that it did not take.
var ErrDropped = errors.New("dropped: too much waits to be written")

// While the destination fails, it is tried again after retryFirst, then ever
// more rarely, at last every retryLast.
const (
	retryFirst = 100 * time.Millisecond
	retryLast  = 5 * time.Second
)

// Drops counts the lines that were lost. Writers that follow one another, such
// as those of a log file and of the one after its rotation, share one. The zero
// value is ready to use.
type Drops struct {
	n atomic.Uint64
}

// Count is how many lines were lost so far.
func (d *Drops) Count() uint64 { return d.n.Load() }

// Options are what a Writer can be told.
type Options struct {
	// Buffer is how many bytes may wait; 0 stands for defaultBuffer.
	Buffer int
	// Drops counts what is lost; nil for a count of the Writer's own.
	Drops *Drops
	// Closer is closed by the goroutine that writes when it ends. May be nil.
	Closer io.Closer
	// OnError is called, by the goroutine that writes, with the error with
	// which the destination begins to fail or goes on in another way, and with
	// nil when it takes lines again. May be nil.
	OnError func(error)
	// OnFull is called by whoever writes: with true when a line is the first to
	// be dropped for want of room, and with false and the number of lines
	// dropped meanwhile before the first one that fits again. May be nil.
	OnFull func(full bool, dropped int)
}

// Writer is an io.Writer that never blocks. Each Write is one
// line, or several whole ones. It is safe for concurrent use.
type Writer struct {
	to   io.Writer
	opts Options
	wake chan struct{} // holds one when there is something new to see
	quit chan struct{} // closed, by giveUp, when nobody waits for the rest any more
	done chan struct{} // closed when the goroutine has ended

	giveUp sync.Once
	failed string // the error with which the destination fails; the goroutine's own

	mu     sync.Mutex
	queue  [][]byte
	size   int // of the queue and of the line being written
	full   int // lines dropped in a row for want of room
	closed bool
}

// New makes a Writer and starts the goroutine that writes to to, which only
// that one touches from now on. It ends at Close.
func New(to io.Writer, opts Options) *Writer {
	if opts.Buffer <= 0 {
		opts.Buffer = defaultBuffer
	}
	if opts.Drops == nil {
		opts.Drops = new(Drops)
	}
	if opts.OnError == nil {
		opts.OnError = func(error) {}
	}
	if opts.OnFull == nil {
		opts.OnFull = func(bool, int) {}
	}
	w := &Writer{
		to:   to,
		opts: opts,
		wake: make(chan struct{}, 1),
		quit: make(chan struct{}),
		done: make(chan struct{}),
	}
	go w.run()
	return w
}

// Dropped is how many lines were lost so far.
func (w *Writer) Dropped() uint64 { return w.opts.Drops.Count() }

// Write takes a copy of p, or drops it where there is no room for all of it.
// The one error is ErrDropped.
func (w *Writer) Write(p []byte) (int, error) {
	taken, inRow := w.take(p)
	for taken && inRow > 0 { // others may have been dropped while that was told
		w.opts.OnFull(false, inRow) // it may write a line of its own here
		taken, inRow = w.take(p)
	}
	if taken {
		w.signal()
		return len(p), nil
	}
	if inRow == 1 {
		w.opts.OnFull(true, 0)
	}
	return 0, ErrDropped
}

// take puts p into the queue, or counts it as dropped; inRow is how many have
// been dropped in a row for want of room, this one included. Where p would fit
// behind such a row, it is not put there yet: that is to be told first.
func (w *Writer) take(p []byte) (taken bool, inRow int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		w.opts.Drops.n.Add(1)
		return false, 0
	case w.size+len(p) > w.opts.Buffer:
		w.opts.Drops.n.Add(1)
		w.full++
		return false, w.full
	case w.full > 0:
		inRow, w.full = w.full, 0
		return true, inRow
	}
	w.queue = append(w.queue, append([]byte(nil), p...))
	w.size += len(p)
	return true, 0
}

// Close takes no more lines, and waits up to patience until those that were
// taken are written. It reports whether they are; the rest is counted as lost.
// Where the destination blocks for ever, the goroutine stays behind in it.
func (w *Writer) Close(patience time.Duration) bool {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.signal()
	select {
	case <-w.done:
	case <-time.After(patience):
		w.giveUp.Do(func() { close(w.quit) })
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	left := len(w.queue)
	w.opts.Drops.n.Add(uint64(left))
	w.queue, w.size = nil, 0
	return left == 0
}

func (w *Writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run writes the lines, in order, until Close and the last of them.
func (w *Writer) run() {
	defer close(w.done)
	if w.opts.Closer != nil {
		defer w.opts.Closer.Close()
	}
	for {
		line, closed := w.first()
		switch {
		case line != nil:
			if !w.write(line) {
				return
			}
			w.remove(len(line))
		case closed:
			return
		default:
			<-w.wake
		}
	}
}

// first gives the line to write next, which stays in the queue, so that Close
// counts it when it is never written.
func (w *Writer) first() (line []byte, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) > 0 {
		return w.queue[0], w.closed
	}
	return nil, w.closed
}

func (w *Writer) remove(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) > 0 { // Close may have given the rest up
		w.queue[0] = nil
		w.queue = w.queue[1:]
		w.size -= n
	}
}

// write writes one line, as often and in as many pieces as it takes. It gives
// false when nobody waits any more.
func (w *Writer) write(line []byte) bool {
	for pause := retryFirst; ; pause = min(2*pause, retryLast) {
		n, err := w.to.Write(line)
		if line = line[min(n, len(line)):]; err == nil && len(line) > 0 {
			err = io.ErrShortWrite
		}
		w.note(err)
		if err == nil {
			return true
		}
		if gone(err) {
			// Nobody will ever read this line, and what waits behind it is no
			// better off for its waiting.
			w.opts.Drops.n.Add(1)
			return true
		}
		if n > 0 {
			pause = retryFirst
		}
		select {
		case <-time.After(pause):
		case <-w.quit:
			return false
		}
	}
}

// note reports a change in how the destination fares.
func (w *Writer) note(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != w.failed {
		w.failed = text
		w.opts.OnError(err)
	}
}

// gone tells an error that trying again cannot mend.
func gone(err error) bool {
	return errno.Is(err, syscall.EPIPE, syscall.EBADF) || errors.Is(err, io.ErrClosedPipe)
}
