package receive

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/go-kit/log"

	"scriptbridge/internal/repeat"
)

// ended is what became of a listener: nil when it was stopped.
func ended(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

// passing are errors of a listener that pass: the system is short of something,
// or one client's connection was at its end before it was taken (accept(2)).
// The listener itself is as good as before.
var passing = []error{
	syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EINTR, syscall.EAGAIN,
	syscall.ECONNABORTED, syscall.ECONNRESET, syscall.ECONNREFUSED, syscall.EPROTO, syscall.EPERM, syscall.ENOPROTOOPT, syscall.EOPNOTSUPP,
	syscall.ENETDOWN, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.EHOSTUNREACH, syscall.ETIMEDOUT,
}

func passes(err error) bool {
	for _, one := range passing {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}

// The pauses of a listener after errors that pass, as net/http's: they double.
const (
	listenPause     = 5 * time.Millisecond
	listenPauseMost = time.Second
)

// patience is what a listener has with errors that pass: each is counted, the
// first of a row is told, and after each there is a pause.
type patience struct {
	name    string // of the listener, such as udp
	counts  *Counts
	logger  log.Logger
	stopped <-chan struct{} // ends a pause

	pause time.Duration // the last one; 0 when all is well
	told  repeat.State
}

func newPatience(name string, env Env, stopped <-chan struct{}) *patience {
	env.Counts.Failed(name, 0)
	return &patience{name: name, counts: env.Counts, logger: log.With(env.Logger, "listener", name), stopped: stopped}
}

// again says whether to try again, when it is time for that.
func (p *patience) again(err error) bool {
	if !passes(err) {
		return false
	}
	p.counts.Failed(p.name, 1)
	p.tell(err)
	p.pause = min(max(listenPause, 2*p.pause), listenPauseMost)
	wait := time.NewTimer(p.pause)
	defer wait.Stop()
	select {
	case <-wait.C:
		return true
	case <-p.stopped:
		return true // which then gives the error of a listener that was stopped
	}
}

// well says that something came.
func (p *patience) well() {
	if p.pause > 0 {
		p.pause = 0
		p.tell(nil)
	}
}

func (p *patience) tell(err error) {
	p.told.Log(p.logger, err, "the system keeps the listener from taking what comes; it is tried again", "the listener takes what comes again")
}

// steady is a listener for connections whose Accept has patience.
type steady struct {
	net.Listener
	*patience
	stop func()
}

func newSteady(l net.Listener, name string, env Env) *steady {
	stopped := make(chan struct{})
	return &steady{l, newPatience(name, env, stopped), sync.OnceFunc(func() { close(stopped) })}
}

// Accept gives the next connection, or the error of a listener that is closed or
// of no use any more.
func (s *steady) Accept() (net.Conn, error) {
	for {
		c, err := s.Listener.Accept()
		if err == nil {
			s.well()
			return c, nil
		}
		if !s.again(err) {
			return nil, err
		}
	}
}

// Close closes it and ends an Accept that waits.
func (s *steady) Close() error {
	s.stop()
	return s.Listener.Close()
}
