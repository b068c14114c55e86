package receiver

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/go-kit/log"

	"scriptbridge/internal/errno"
	"scriptbridge/internal/panics"
	"scriptbridge/internal/repeat"
)

// drainFor bounds how long a listener that is to end goes on with what the
// kernel holds: others may send as fast as we read.
const drainFor = time.Second

// LongAgo is a deadline that ends what waits for a socket.
var LongAgo = time.Unix(1, 0)

// Ended is what became of a listener: nil when it was stopped.
func Ended(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

// passing are errors of a listener that pass: the system is short of something,
// or one client's connection was at its end before it was taken (accept(2)).
// The listener itself is as good as before.
var passing = []syscall.Errno{
	syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EINTR, syscall.EAGAIN,
	syscall.ECONNABORTED, syscall.ECONNRESET, syscall.ECONNREFUSED, syscall.EPROTO, syscall.EPERM, syscall.ENOPROTOOPT, syscall.EOPNOTSUPP,
	syscall.ENETDOWN, syscall.ENETRESET, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.EHOSTUNREACH, syscall.ETIMEDOUT,
}

func passes(err error) bool { return errno.Is(err, passing...) }

// The pauses of a listener after errors that pass, as net/http's: they double.
const (
	firstPause = 5 * time.Millisecond
	maxPause   = time.Second
)

// Retrier has a listener outlast errors that pass: each is counted, the first of
// a row is logged, and after each there is a pause.
type Retrier struct {
	name    string // of the listener, such as udp
	counts  *Counts
	logger  log.Logger
	stopped <-chan struct{} // ends a pause

	pause  time.Duration // the last one; 0 when all is well
	told   repeat.State
	faults repeat.State
}

// NewRetrier makes one for the listener of that name, such as udp.
func NewRetrier(name string, env Env, stopped <-chan struct{}) *Retrier {
	env.Counts.Failed(name, 0)
	return &Retrier{name: name, counts: env.Counts, logger: log.With(env.Logger, "listener", name), stopped: stopped}
}

// retry says whether to try again after an error, when it is time for that.
func (r *Retrier) retry(err error) bool {
	if !passes(err) {
		return false
	}
	r.counts.Failed(r.name, 1)
	r.report(err)
	r.pause = min(max(firstPause, 2*r.pause), maxPause)
	select {
	case <-time.After(r.pause):
	case <-r.stopped: // trying then gives the error of a listener that was stopped
	}
	return true
}

// well says that something came.
func (r *Retrier) well() {
	if r.pause > 0 {
		r.pause = 0
		r.report(nil)
	}
}

func (r *Retrier) report(err error) {
	r.told.Log(r.logger, err, "the system keeps the listener from taking what comes; it is tried again", "the listener takes what comes again")
}

// Faulty is the reason by which it is counted that something was lost to a fault of
// ours.
const Faulty = "fault"

// Handle has something handled that was sent to the listener. A fault of ours in
// that costs what was sent, and no more: whoever may send must not be able to end
// the listener.
func (r *Retrier) Handle(what func()) {
	err := panics.Try(func() error {
		what()
		return nil
	})
	if err != nil {
		r.counts.Dropped(Faulty, 1)
		r.faults.Log(r.logger, err, "what was sent is lost", "")
	}
}

// Drain reads what the kernel holds of a socket into room, and has each n bytes
// taken, until there is no more or take reports false.
func Drain(c net.Conn, room func() []byte, take func(n int) (more bool)) {
	for until := time.Now().Add(drainFor); time.Now().Before(until); {
		n, ok := readWaiting(c, room())
		if !ok || !take(n) {
			return
		}
	}
}

// Listener is a listener for connections whose Accept outlasts errors that pass.
type Listener struct {
	net.Listener
	*Retrier
	stop func()
}

// NewListener makes one of l, by the name of the listener in counters and logs.
func NewListener(l net.Listener, name string, env Env) *Listener {
	stopped := make(chan struct{})
	return &Listener{l, NewRetrier(name, env, stopped), sync.OnceFunc(func() { close(stopped) })}
}

// Accept gives the next connection, or the error of a listener that is closed or
// of no use any more.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err == nil {
			l.well()
			return c, nil
		}
		if !l.retry(err) {
			return nil, err
		}
	}
}

// Close closes it and ends an Accept that waits.
func (l *Listener) Close() error {
	l.stop()
	return l.Listener.Close()
}
