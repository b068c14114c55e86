package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alecthomas/units"

	"scriptbridge/internal/panics"
	"scriptbridge/internal/texts"
	"scriptbridge/record"
)

// Bounds on what is read of a process.
const (
	MaxLine    = 4 << 10  // bytes kept of a line on standard error
	maxMessage = 4 << 20  // bytes of a line on descriptor 3; a longer one ends the run
	maxChunk   = 64 << 10 // bytes read at once: what a pipe holds
)

// files are the ends of a process's streams: standard input (nil: it has nothing to
// read), output and error, and descriptor 3 (nil: none).
type files [4]*os.File

// streams are the streams of one process.
type streams struct {
	theirs   files
	ours     files
	outputs  outputs // how standard output and error are read; each system's own
	stdin    []byte
	stdout   capture
	printed  lines // standard output, where it has a hook
	stderr   lines
	messages messages // descriptor 3
	written  budget   // of standard output and error

	idle chan struct{} // closed when the pipes that are pumped are at their end
	all  sync.WaitGroup
}

// newStreams opens the pipes for c.
func newStreams(c *Command) (*streams, error) {
	s := &streams{
		stdin:    c.Stdin,
		stdout:   capture{max: c.MaxOutput, full: make(chan struct{})},
		printed:  lines{hook: c.Stdout},
		stderr:   lines{hook: c.Stderr},
		messages: messages{hook: c.Message, broken: make(chan struct{})},
		written:  budget{max: c.MaxWritten, full: make(chan struct{})},
		idle:     make(chan struct{}),
	}
	err := s.openOutputs()
	if err == nil && c.Stdin != nil {
		s.theirs[0], s.ours[0], err = os.Pipe()
	}
	if err == nil && c.Message != nil {
		s.ours[3], s.theirs[3], err = os.Pipe()
	}
	if err != nil {
		s.closeAll()
		return nil, err
	}
	return s, nil
}

func (fs files) close() {
	for _, f := range fs {
		if f != nil {
			f.Close()
		}
	}
}

func (s *streams) closeAll() {
	s.theirs.close()
	s.ours.close()
	s.closeOutputs()
}

// begin closes the process's ends and starts to feed and to read it, if it was
// started.
func (s *streams) begin(started bool) {
	if !started {
		s.closeAll()
		return
	}
	s.theirs.close()
	var pumps sync.WaitGroup
	pumped := s.pumpOutputs(&pumps)
	if r := s.ours[3]; r != nil {
		pumped = true
		pumps.Go(func() { s.pump(r, s.messages.take) })
	}
	if pumped {
		s.all.Go(func() {
			pumps.Wait()
			close(s.idle)
		})
	} else {
		close(s.idle)
	}
	if w := s.ours[0]; w != nil {
		s.all.Go(func() {
			_, _ = w.Write(s.stdin) // a script need not read it: EPIPE is no error
			w.Close()
		})
	}
}

// takes are what takes standard output and error.
func (s *streams) takes() [2]func([]byte) {
	take := s.stdout.take
	if s.printed.hook != nil {
		take = s.printed.take
	}
	return [2]func([]byte){s.written.counted(take), s.written.counted(s.stderr.take)}
}

// cut ends all traffic: afterwards stdout and stderr change no more and no
// hook is called again.
func (s *streams) cut() {
	s.stdout.close()
	s.printed.close()
	s.stderr.close()
	s.messages.close()
	s.closeOutputs()
	wait := true
	for _, f := range s.ours {
		// A closed one has been dealt with. Where the system has no deadlines
		// for pipes (Windows), the pumps end when the last process closes its
		// end, and nobody waits for them.
		if f != nil && errors.Is(f.SetDeadline(time.Now()), os.ErrNoDeadline) {
			wait = false
		}
	}
	if wait {
		s.all.Wait()
	}
}

// pump is read, and closes r. A fault of ours in a hook ends the run, as a message
// does that cannot be used.
func (s *streams) pump(r *os.File, take func([]byte)) {
	defer r.Close()
	fault := panics.Try(func() error {
		read(r, take)
		return nil
	})
	if fault != nil {
		s.messages.fault(fault)
	}
}

// read hands all of r to take until its end, a deadline or an error. take must not
// keep what it gets.
func read(r *os.File, take func([]byte)) {
	buf := make([]byte, 4<<10) // enough for most scripts; more for those that fill it
	for {
		n, err := r.Read(buf)
		take(buf[:n])
		if err != nil {
			return
		}
		if n == len(buf) && n < maxChunk {
			buf = make([]byte, maxChunk)
		}
	}
}

// capture keeps what it takes, up to a bound, and counts all of it.
type capture struct {
	max  int64
	full chan struct{} // closed when more than max bytes have come

	mu     sync.Mutex
	data   []byte
	bytes  int64
	closed bool
}

func (c *capture) take(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	fits := min(int64(len(p)), c.max-int64(len(c.data)))
	c.data = append(c.data, p[:fits]...)
	before := c.bytes
	c.bytes += int64(len(p))
	if before <= c.max && c.bytes > c.max {
		close(c.full)
	}
}

func (c *capture) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
}

// over reports whether more than max bytes came.
func (c *capture) over() bool { return c.bytes > c.max }

// budget counts what streams carry together.
type budget struct {
	max  int64         // 0: as much as they like
	full chan struct{} // closed when more than max bytes have come
	used atomic.Int64
}

// counted is take, with all that it takes counted before.
func (b *budget) counted(take func([]byte)) func([]byte) {
	if b.max == 0 {
		return take
	}
	return func(p []byte) {
		now := b.used.Add(int64(len(p)))
		if before := now - int64(len(p)); before <= b.max && now > b.max {
			close(b.full)
		}
		take(p)
	}
}

// over reports whether more than max bytes came.
func (b *budget) over() bool { return b.max > 0 && b.used.Load() > b.max }

// lines calls hook for every line that it takes and counts all bytes.
type lines struct {
	hook func(line []byte)

	mu     sync.Mutex
	text   texts.Decoder
	line   []byte // what has come of the present line, at most maxLine bytes
	bytes  int64
	closed bool
}

func (l *lines) take(p []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.bytes += int64(len(p))
	if l.hook == nil {
		return
	}
	l.add(l.text.Decode(p))
}

// add takes text in UTF-8. The caller holds l.mu.
func (l *lines) add(text []byte) {
	for rest := text; len(rest) > 0; {
		part, after, ended := bytes.Cut(rest, []byte{'\n'})
		l.line = append(l.line, part[:min(len(part), MaxLine-len(l.line))]...)
		if ended {
			l.flush()
		}
		rest = after
	}
}

func (l *lines) flush() {
	line := texts.FromConsole(bytes.TrimSuffix(l.line, []byte{'\r'}))
	l.line = l.line[:0] // first: no line is given twice
	l.hook(line)
}

// close flushes a last line without an end.
func (l *lines) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hook != nil && !l.closed {
		l.add(l.text.Rest())
	}
	if len(l.line) > 0 {
		l.flush()
	}
	l.closed = true
}

// messages calls hook for every line that it takes, which must not be longer
// than maxMessage, until there is something wrong with one.
type messages struct {
	hook   func(line []byte) error
	broken chan struct{} // closed when err is set
	wake   func()        // called then; nil: nothing is

	mu     sync.Mutex
	line   []byte // what has come of the present line
	err    error
	closed bool
}

func (m *messages) take(p []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for rest := p; len(rest) > 0 && !m.closed && m.err == nil; {
		part, after, ended := bytes.Cut(rest, []byte{'\n'})
		rest = after
		if len(m.line)+len(part) > maxMessage {
			m.fail(fmt.Errorf("wrote a line of more than %v on descriptor 3", units.Base2Bytes(maxMessage)))
			return
		}
		m.line = append(m.line, part...)
		if !ended {
			return
		}
		if err := m.hook(m.line); err != nil {
			m.fail(err)
			return
		}
		if m.line = m.line[:0]; cap(m.line) > maxChunk {
			m.line = nil // one large line must not cost its memory for ever
		}
	}
}

// fault is fail for what is wrong with any of the streams.
func (m *messages) fault(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.fail(err)
	}
}

// fail ends the run. The caller holds m.mu.
func (m *messages) fail(err error) {
	m.err, m.line = err, nil
	close(m.broken)
	if m.wake != nil {
		m.wake()
	}
}

// stop is why the run cannot go on, when err is set.
func (m *messages) stop() *stop { return &stop{result: record.Invalid, err: m.err} }

// close drops a last line without an end: it is not a message.
func (m *messages) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
}
