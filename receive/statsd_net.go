package receive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// statsdBuffer is asked of the kernel for packets that wait; it may give
	// less (net.core.rmem_max).
	statsdBuffer = 4 << 20
	// maxPacket is the most that UDP carries.
	maxPacket = 64 << 10
	// maxStatsDLine bounds a line of a connection.
	maxStatsDLine = 16 << 10
	// maxStatsDConns are open at once; one more is closed at once.
	maxStatsDConns = 256
	// statsdIdle is how long a connection may be silent.
	statsdIdle = 10 * time.Minute
)

// openUDP listens for packets.
func (s *statsd) openUDP(ctx context.Context, address string) (*listener, error) {
	c, err := new(net.ListenConfig).ListenPacket(ctx, "udp", address)
	if err != nil {
		return nil, err
	}
	return s.packets("udp", c.(*net.UDPConn)), nil
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
	// As open as UDP on loopback: who may send is for the folder to say.
	err = os.Chmod(path, 0o666) //nolint:gosec // see above
	ours, statErr := os.Lstat(path)
	if err = errors.Join(err, statErr); err != nil {
		c.Close()
		os.Remove(path) //nolint:errcheck // as below
		return nil, err
	}
	l := s.packets("unixgram", c)
	closeConn := l.close
	l.close = func() {
		closeConn()
		if now, err := os.Lstat(path); err == nil && os.SameFile(ours, now) {
			os.Remove(path) //nolint:errcheck // the next start finds it stale
		}
	}
	return l, nil
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
		return fmt.Errorf("%s is there and is no socket; remove it, or name another path", path)
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err == nil {
		c.Close()
		return fmt.Errorf("%s is in use: another program listens on it", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%s is there, and whether somebody listens on it cannot be told: %w", path, err)
	}
	return os.Remove(path)
}

// packetConn is what net.UDPConn and net.UnixConn have in common.
type packetConn interface {
	net.Conn
	syscall.Conn
	SetReadBuffer(bytes int) error
}

// packets is a listener for packets. One reader is enough, and keeps their
// order, which the last value of a gauge depends on.
func (s *statsd) packets(name string, c packetConn) *listener {
	c.SetReadBuffer(statsdBuffer) //nolint:errcheck // less will do
	s.env.Counts.Received(name, 0, 0)
	return &listener{
		address: name + " " + c.LocalAddr().String(),
		lost:    func() uint32 { return kernelDrops(c) },
		close:   func() { c.Close() },
		serve: func() error {
			buf := make([]byte, maxPacket)
			for {
				n, err := c.Read(buf)
				if err != nil {
					return ended(err)
				}
				s.env.Counts.Received(name, 1, n)
				s.merge.packet(buf[:n], time.Now())
			}
		},
	}
}

// conns are the open connections of a listener, to end them with it.
type conns struct {
	mu     sync.Mutex
	wg     sync.WaitGroup
	open   map[net.Conn]bool
	closed bool
}

// add takes a connection unless there are too many, or all has been closed.
func (cs *conns) add(c net.Conn) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.closed || len(cs.open) >= maxStatsDConns {
		return false
	}
	cs.open[c] = true
	cs.wg.Add(1)
	return true
}

func (cs *conns) remove(c net.Conn) {
	c.Close()
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.open, c)
	cs.wg.Done()
}

// close closes all and waits for their readers.
func (cs *conns) close() {
	cs.mu.Lock()
	cs.closed = true
	for c := range cs.open {
		c.Close()
	}
	cs.mu.Unlock()
	cs.wg.Wait()
}

// openTCP listens for connections that send lines.
func (s *statsd) openTCP(ctx context.Context, address string) (*listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	s.env.Counts.Received("tcp", 0, 0)
	open := &conns{open: make(map[net.Conn]bool)}
	return &listener{
		address: "tcp " + l.Addr().String(),
		lost:    func() uint32 { return 0 },
		close:   func() { l.Close(); open.close() },
		serve: func() error {
			for {
				c, err := l.Accept()
				if err != nil {
					return ended(err)
				}
				if !open.add(c) {
					c.Close()
					s.env.Counts.Dropped("connections", 1)
					continue
				}
				go func() {
					defer open.remove(c)
					s.readLines(c)
				}()
			}
		},
	}, nil
}

// readLines takes the lines of a connection until it ends, or has been silent
// for too long. A line that is too long costs none but itself; the last one
// needs no end.
func (s *statsd) readLines(c net.Conn) {
	buf := make([]byte, maxStatsDLine)
	have, skip := 0, false // in buf; until the end of a line that is too long
	for {
		c.SetReadDeadline(time.Now().Add(statsdIdle)) //nolint:errcheck // Read tells
		n, err := c.Read(buf[have:])
		have += n
		end := bytes.LastIndexByte(buf[:have], '\n') + 1
		if errors.Is(err, io.EOF) {
			end = have
		}
		if lines := buf[:end]; end > 0 {
			if skip {
				_, lines, _ = bytes.Cut(lines, []byte{'\n'})
				skip = false
			}
			n := bytes.Count(lines, []byte{'\n'})
			if len(lines) > 0 && lines[len(lines)-1] != '\n' {
				n++
			}
			s.env.Counts.Received("tcp", n, len(lines))
			s.merge.packet(lines, time.Now())
		}
		if err != nil {
			return
		}
		have = copy(buf, buf[end:have])
		if have == len(buf) {
			if !skip {
				s.merge.tooLong(buf)
			}
			have, skip = 0, true
		}
	}
}
