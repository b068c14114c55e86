package statsd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"scriptbridge/internal/connlimit"
	"scriptbridge/internal/errno"
	"scriptbridge/internal/socket"
	"scriptbridge/receive/receiver"
)

const (
	// kernelBuffer is asked of the kernel for packets that wait; it may give
	// less (net.core.rmem_max).
	kernelBuffer = 4 << 20
	// maxPacket is the most that UDP carries.
	maxPacket = 64 << 10
	// maxLine bounds a line of a connection.
	maxLine = 16 << 10
	// maxConns are open at once, where there are descriptors for so many; one more is closed
	// at once.
	maxConns = 256
	// silentTime is how long one may be silent when there are too many: most clients send
	// every ten seconds.
	silentTime = 15 * time.Second
	// idleTimeout is how long a connection may be silent.
	idleTimeout = 10 * time.Minute
)

// openUDP listens for packets.
func (s *statsd) openUDP(ctx context.Context, address string) (*listener, error) {
	c, err := socket.ListenUDP(ctx, address)
	if err != nil {
		return nil, err
	}
	return s.packets("udp", c)
}

// openUnixgram listens for packets on a socket in the file system.
func (s *statsd) openUnixgram(_ context.Context, path string) (*listener, error) {
	if err := clearSocket(path); err != nil {
		return nil, err
	}
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	ours, err := openToAll(path)
	if err != nil { // what is there may be anybody's
		c.Close()
		return nil, err
	}
	l, err := s.packets("unixgram", c)
	if err != nil {
		return nil, err
	}
	closeConn := l.close
	l.close = func() {
		closeConn()
		if now, err := os.Lstat(path); err == nil && os.SameFile(ours, now) {
			os.Remove(path) //nolint:errcheck // the next start finds it stale
		}
	}
	return l, nil
}

// openToAll lets everybody send to the socket at a path, as to UDP on loopback: who
// may is for the folder to say. The folder may be another user's, who has a link there
// by now: that leads to no file that is made writable.
func openToAll(path string) (os.FileInfo, error) {
	folder, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	name := filepath.Base(path)
	info, err := folder.Lstat(name)
	switch {
	case err != nil:
		return nil, err
	case info.Mode()&fs.ModeSocket == 0:
		return nil, fmt.Errorf("%s is no socket any more: something else was put in its place", path)
	}
	return info, folder.Chmod(name, 0o666)
}

// clearSocket removes a socket that was left behind: one that nobody listens
// on. Anything else stays, and is an error.
func clearSocket(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeSocket == 0:
		return fmt.Errorf("%s is there and is no socket; name another path", path)
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err == nil {
		c.Close()
		return fmt.Errorf("%s is in use: another program listens on it", path)
	}
	if !errno.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%s is there, and whether somebody listens on it cannot be told: %w", path, err)
	}
	return os.Remove(path)
}

// packets is a listener for packets.
func (s *statsd) packets(name string, c interface {
	net.Conn
	syscall.Conn
	SetReadBuffer(bytes int) error
}) (*listener, error) {
	c.SetReadBuffer(kernelBuffer) //nolint:errcheck // less will do
	l, err := receiver.NewPacketListener(c, maxPacket, name, s.env)
	if err != nil {
		return nil, err
	}
	return &listener{
		address: name + " " + l.Address(),
		lost:    l.Lost, stop: l.Stop, close: l.Close,
		serve: func() error { return l.Serve(s.packet) },
	}, nil
}

// packet takes one.
func (s *statsd) packet(packet []byte, at time.Time) {
	if len(packet) == maxPacket { // the kernel has cut it off, within a line perhaps
		whole := bytes.LastIndexByte(packet, '\n') + 1
		s.merge.tooLong(packet[whole:], "the packet has more than 64 KiB, and its end is lost")
		packet = packet[:whole]
	}
	s.merge.packet(packet, at)
}

// conns are the open connections of a listener, to end them with it.
type conns struct {
	mu     sync.Mutex
	wg     sync.WaitGroup
	most   int
	open   map[net.Conn]time.Time // since when it is silent
	closed bool
}

// add takes a connection unless there are too many, or all has been closed. It gives the
// one that is closed: another one where that has been silent for long, so that whoever
// opens connections and leaves them keeps nobody out, or this one; nil for none.
func (cs *conns) add(c net.Conn) (shut net.Conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.closed {
		return c
	}
	if len(cs.open) >= cs.most {
		oldest, least := c, time.Now().Add(-silentTime)
		for one, since := range cs.open {
			if !since.After(least) {
				oldest, least = one, since
			}
		}
		if shut = oldest; shut == c {
			return c
		}
		delete(cs.open, shut)
	}
	cs.open[c] = time.Now()
	cs.wg.Add(1)
	return shut
}

func (cs *conns) remove(c net.Conn) {
	c.Close()
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.open, c)
	cs.wg.Done()
}

// extend gives a connection time for its next line; false when all are to end.
func (cs *conns) extend(c net.Conn) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if _, ok := cs.open[c]; ok && !cs.closed {
		cs.open[c] = time.Now()
		c.SetReadDeadline(time.Now().Add(idleTimeout)) //nolint:errcheck // Read tells
	}
	return !cs.closed
}

// close has all end, and waits for their readers.
func (cs *conns) close() {
	cs.mu.Lock()
	cs.closed = true
	for c := range cs.open {
		c.SetReadDeadline(receiver.LongAgo) //nolint:errcheck // as above
	}
	cs.mu.Unlock()
	cs.wg.Wait()
}

// openTCP listens for connections that send lines.
func (s *statsd) openTCP(ctx context.Context, address string) (*listener, error) {
	bound, err := socket.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	l := receiver.NewListener(bound, "tcp", s.env)
	s.env.Counts.Received("tcp", 0, 0)
	open := &conns{most: min(maxConns, connlimit.Most()), open: make(map[net.Conn]time.Time)}
	return &listener{
		address: "tcp " + l.Addr().String(),
		lost:    func() uint32 { return 0 },
		stop:    func() { l.Close(); open.close() },
		close:   func() { l.Close() },
		serve: func() error {
			for {
				c, err := l.Accept()
				if err != nil {
					return receiver.Ended(err)
				}
				if shut := open.add(c); shut != nil {
					shut.Close()
					s.env.Counts.Dropped("connections", 1)
					if shut == c {
						continue
					}
				}
				go func() {
					defer open.remove(c)
					l.Handle(func() { s.readLines(c, open) })
				}()
			}
		},
	}, nil
}

// readLines takes the lines of a connection until it ends, or has been silent
// for too long; at the end of all connections those that wait already.
func (s *statsd) readLines(c net.Conn, open *conns) {
	l := lineReader{statsd: s, buf: make([]byte, maxLine)}
	for open.extend(c) {
		n, err := c.Read(l.buf[l.have:])
		if l.took(n, errors.Is(err, io.EOF)); l.foreign {
			s.env.Counts.Dropped(receiver.Forbidden, 1)
			return
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if err != nil && open.extend(c) {
			return // it was silent
		}
	}
	receiver.Drain(c, func() []byte { return l.buf[l.have:] }, func(n int) bool {
		l.took(n, n == 0)
		return n > 0 && !l.foreign
	})
}

// lineReader are the lines of a connection, cut anywhere. A line that is too
// long costs none but itself; the last one needs no end.
type lineReader struct {
	*statsd
	buf  []byte
	have int  // in buf; it is never full
	skip bool // until the end of a line that is too long
	// begun: the first line has been looked at; foreign: it is not StatsD's.
	begun, foreign bool
}

// isRequest reports whether a connection begins with a request over HTTP: a page
// of another site can have a browser send one anywhere, with lines for us in it.
// whole says that the first line is there to its end.
func isRequest(first []byte, whole bool) bool {
	if whole {
		first = bytes.TrimSuffix(first, []byte{'\r'})
		return bytes.HasSuffix(first, []byte(" HTTP/1.1")) || bytes.HasSuffix(first, []byte(" HTTP/1.0"))
	}
	for _, method := range []string{"GET /", "HEAD /", "POST /", "PUT /", "OPTIONS /"} {
		if bytes.HasPrefix(first, []byte(method)) {
			return true
		}
	}
	return false
}

// took takes n bytes that were read behind those that there are; last says that
// no more will come.
func (l *lineReader) took(n int, last bool) {
	l.have += n
	if !l.begun {
		if first, _, whole := bytes.Cut(l.buf[:l.have], []byte{'\n'}); whole || l.have == len(l.buf) {
			l.begun, l.foreign = true, isRequest(first, whole)
		}
	}
	if l.foreign {
		l.have = 0
		return
	}
	end := bytes.LastIndexByte(l.buf[:l.have], '\n') + 1
	if last {
		end = l.have
	}
	if lines := l.buf[:end]; end > 0 {
		if l.skip {
			_, lines, _ = bytes.Cut(lines, []byte{'\n'})
			l.skip = false
		}
		n := bytes.Count(lines, []byte{'\n'})
		if len(lines) > 0 && lines[len(lines)-1] != '\n' {
			n++
		}
		l.env.Counts.Received("tcp", n, len(lines))
		l.merge.packet(lines, time.Now())
	}
	l.have = copy(l.buf, l.buf[end:l.have])
	if l.have == len(l.buf) {
		if !l.skip {
			l.merge.tooLong(l.buf, "the line has more than 16 KiB")
		}
		l.have, l.skip = 0, true
	}
}
