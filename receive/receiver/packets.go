package receiver

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

const (
	// packetsAtOnce are taken with one call to the system, where it can do so.
	packetsAtOnce = 16
	// longestPause is between two looks at a socket that much comes to.
	longestPause = 20 * time.Millisecond
	// packetTime is how long a sender needs for a packet at the least: a socket must
	// have room for all that may come in a pause.
	packetTime = 2 * time.Microsecond
)

// packetConn is what net.UDPConn and net.UnixConn have in common.
type packetConn interface {
	net.Conn
	syscall.Conn
}

// PacketListener takes packets from a socket. One reader is enough, and keeps their
// order.
//
// Most of what a small packet costs is that its reader is woken for it. So where
// packets come in quick succession the reader leaves the socket alone for some
// milliseconds after each look at it, as long as the kernel has room for what comes
// meanwhile, and takes all of that together. What comes at longer intervals is taken
// at once.
type PacketListener struct {
	*Retrier
	address string
	socket  *packetSocket
	read    func() (n int, err error) // the socket's
	pause   time.Duration             // 0: never
	last    time.Time                 // when it was read
	given   int                       // which of those that were read last is given to take
	stop    func()
}

// NewPacketListener makes one of a socket, which it closes, by the name of the
// listener in counters and logs. size is that of the largest packet: of a larger one
// the rest is lost.
func NewPacketListener(c packetConn, size int, name string, env Env) (*PacketListener, error) {
	socket, err := newPacketSocket(c, size)
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("%s: %w", c.LocalAddr(), err)
	}
	env.Counts.Received(name, 0, 0)
	stopped := make(chan struct{})
	l := &PacketListener{
		Retrier: NewRetrier(name, env, stopped), address: c.LocalAddr().String(),
		socket: socket, read: socket.read, pause: pauseFor(socket.room),
	}
	l.stop = sync.OnceFunc(func() {
		socket.stop()
		close(stopped)
	})
	return l, nil
}

// pauseFor is the pause that a socket allows with room for so many packets. The
// poller counts in milliseconds.
func pauseFor(room int) time.Duration {
	return min((packetTime * time.Duration(room)).Truncate(time.Millisecond), longestPause)
}

// Address is where it listens.
func (l *PacketListener) Address() string { return l.address }

// Lost is how many packets the kernel has dropped because the socket had no room; 0
// where it cannot be told.
func (l *PacketListener) Lost() uint32 { return l.socket.lost() }

// Stop has Serve return when it has taken what waits already.
func (l *PacketListener) Stop() { l.stop() }

// Sender is who sent the packet that take is given; not a valid address where it has
// none. take may ask until it returns.
func (l *PacketListener) Sender() netip.AddrPort { return l.socket.sender(l.given) }

// Close closes the socket; Serve must have returned, or never be called.
func (l *PacketListener) Close() { l.socket.close() }

// Serve counts every packet and gives it to take, with the time at which it was read,
// until Stop, and then those that wait already: who sent them before the end shall not
// lose them. The packet is overwritten by a later one.
func (l *PacketListener) Serve(take func(packet []byte, at time.Time)) error {
	var now time.Time
	one := func() { take(l.socket.packet(l.given), now) }
	all := func(n int) {
		now = time.Now()
		bytes := 0
		for i := range n {
			bytes += len(l.socket.packet(i))
		}
		l.counts.Received(l.name, n, bytes)
		for l.given = range n {
			l.Handle(one)
		}
	}
	for {
		n, err := l.read()
		if err != nil {
			if err = Ended(err); err == nil {
				break
			}
			if l.retry(err) {
				continue
			}
			return err
		}
		l.well()
		all(n)
		if l.quick(n, now) {
			l.socket.rest(l.pause)
		}
		l.last = now
	}
	for until := time.Now().Add(drainFor); time.Now().Before(until); {
		n := l.socket.waiting()
		if n == 0 {
			break
		}
		all(n)
	}
	return nil
}

// quick says whether a pause saves anything after n packets were read: whether two or
// more come in one. Where as many as can be have been read, others wait.
func (l *PacketListener) quick(n int, now time.Time) bool {
	return l.pause > 0 && n < packetsAtOnce && now.Sub(l.last) < l.pause/2*time.Duration(n)
}
