// Package connlimit bounds the connections of an HTTP server. Where there are too many,
// one on which no request is answered gives way to the next, the one that has been so
// for the longest time; and where there is none such, the one that has been busy for the
// longest time, when that is long: neither who opens connections and leaves them keeps
// others out, nor who asks for what takes long, or is slow himself.
package connlimit

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// most is how many connections a server has at most, and share of how many
	// descriptors one may be a connection: the rest is for what else the program does.
	most  = 1024
	share = 8
	// busyTime is how long a request is let be when there are too many connections. Most
	// take far less, and who waits for one of them to end is still there then.
	busyTime = 5 * time.Second
)

// Most is how many connections a server may have, as the number of descriptors allows.
func Most() int { return max(1, min(most, descriptors()/share)) }

// Limiter bounds the connections of one server, whatever it listens on.
type Limiter struct {
	most int

	mu sync.Mutex
	// idle has the connections on which no request is answered, the one that has been so
	// for the longest time first.
	idle list.List
	// busy has the others, the one that has been so for the longest time first.
	busy list.List
	room chan struct{} // has one when a connection has ended or become idle
}

// New makes one.
func New(most int) *Limiter { return &Limiter{most: most, room: make(chan struct{}, 1)} }

// open is how many connections there are. The caller holds mu.
func (l *Limiter) open() int { return l.idle.Len() + l.busy.Len() }

// Serve has the limiter bound a server's connections. All that it listens on must be
// wrapped by Listener. It is called before the server is used.
func (l *Limiter) Serve(s *http.Server) {
	next, connContext := s.Handler, s.ConnContext
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*conn); ok {
			c.begin()
			defer c.end()
		}
		next.ServeHTTP(w, r)
	})
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if connContext != nil {
			ctx = connContext(ctx, c)
		}
		if mine := connOf(c); mine != nil { // or else it came through another listener
			ctx = context.WithValue(ctx, connKey{}, mine)
		}
		return ctx
	}
}

type connKey struct{}

// connOf finds ours within what wraps it, such as TLS.
func connOf(c net.Conn) *conn {
	for {
		switch one := c.(type) {
		case *conn:
			return one
		case interface{ NetConn() net.Conn }:
			c = one.NetConn()
		default:
			return nil
		}
	}
}

// Listener bounds what it accepts.
func (l *Limiter) Listener(from net.Listener) net.Listener {
	return &listener{Listener: from, limiter: l, closed: make(chan struct{})}
}

type listener struct {
	net.Listener
	limiter *Limiter
	once    sync.Once
	closed  chan struct{}
}

// Accept gives a connection when there is room for one.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	for {
		mine, wait := l.limiter.admit(c)
		if mine != nil {
			return mine, nil
		}
		select {
		case <-l.limiter.room:
		case <-time.After(wait):
		case <-l.closed:
			c.Close()
			return nil, net.ErrClosed
		}
	}
}

// Close closes it, and ends an Accept that waits for room.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// admit takes a connection in, and ends another one where there are too many. Where each
// of them has a request that is answered, and none for long, it gives how long to wait.
func (l *Limiter) admit(c net.Conn) (mine *conn, wait time.Duration) {
	l.mu.Lock()
	var gives *conn
	if l.open() >= l.most {
		first := l.idle.Front()
		if first == nil {
			wait = busyTime
			if first = l.busy.Front(); first != nil {
				wait -= time.Since(first.Value.(*conn).since)
			}
			if wait > 0 {
				l.mu.Unlock()
				return nil, wait
			}
		}
		gives = first.Value.(*conn)
		gives.leave()
	}
	mine = &conn{Conn: c, limiter: l}
	mine.moveTo(&l.idle)
	if l.open() < l.most {
		l.tell() // another listener may wait as well
	}
	l.mu.Unlock()
	if gives != nil {
		gives.Conn.Close()
	}
	return mine, 0
}

// conn is a connection that counts.
type conn struct {
	net.Conn
	limiter *Limiter

	// Under the limiter's mu:
	requests int           // that are answered
	since    time.Time     // there are any
	in       *list.List    // idle or busy; nil when it counts no more
	place    *list.Element // there
}

// NetConn gives what is below.
func (c *conn) NetConn() net.Conn { return c.Conn }

// CloseWrite ends what is sent, as net/http does before it closes a connection whose
// client still sends.
func (c *conn) CloseWrite() error {
	if one, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return one.CloseWrite()
	}
	return nil
}

// Close closes it, and makes room.
func (c *conn) Close() error {
	c.limiter.mu.Lock()
	c.leave()
	c.limiter.mu.Unlock()
	return c.Conn.Close()
}

// leave has it count no more. The caller holds the limiter's mu.
func (c *conn) leave() {
	if c.in != nil {
		c.moveTo(nil)
		c.limiter.tell()
	}
}

func (c *conn) begin() {
	c.limiter.mu.Lock()
	defer c.limiter.mu.Unlock()
	if c.requests++; c.requests == 1 && c.in != nil {
		c.since = time.Now()
		c.moveTo(&c.limiter.busy)
	}
}

func (c *conn) end() {
	c.limiter.mu.Lock()
	defer c.limiter.mu.Unlock()
	if c.requests--; c.requests == 0 && c.in != nil {
		c.moveTo(&c.limiter.idle)
		c.limiter.tell()
	}
}

// moveTo puts it at the end of a list, nil for none. The caller holds the limiter's mu.
func (c *conn) moveTo(to *list.List) {
	if c.in != nil {
		c.in.Remove(c.place)
	}
	if c.in, c.place = to, nil; to != nil {
		c.place = to.PushBack(c)
	}
}

// tell says that there may be room. The caller holds mu.
func (l *Limiter) tell() {
	select {
	case l.room <- struct{}{}:
	default:
	}
}
