package receiver_test

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"scriptbridge/receive/receiver"

	"scriptbridge/internal/testkit"

	"github.com/go-kit/log"
)

// The errors that a listener outlasts, as the net package gives them.
func listenErrors(op string) (all []error) {
	for _, errno := range append([]syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EINTR, syscall.EAGAIN, syscall.ECONNABORTED, syscall.ECONNRESET,
		syscall.ECONNREFUSED, syscall.EPROTO, syscall.EPERM, syscall.ENOPROTOOPT, syscall.EOPNOTSUPP, syscall.ENETDOWN, syscall.ENETUNREACH,
		syscall.EHOSTDOWN, syscall.EHOSTUNREACH, syscall.ETIMEDOUT,
	}, ofSystem...) {
		all = append(all, &net.OpError{Op: op, Net: "tcp", Err: os.NewSyscallError(op, errno)})
	}
	return all
}

// troubled gives errors before it gives connections.
type troubled struct {
	net.Listener
	errs   []error // nil: a connection
	closed chan struct{}
}

func (l *troubled) Accept() (net.Conn, error) {
	if len(l.errs) == 0 {
		<-l.closed
		return nil, net.ErrClosed
	}
	err := l.errs[0]
	l.errs = l.errs[1:]
	if err != nil {
		return nil, err
	}
	return new(net.TCPConn), nil
}

func (l *troubled) Close() error {
	close(l.closed)
	return nil
}

func newTroubled(t *testing.T, errs ...error) (*receiver.Listener, *receiver.Counts, *testkit.Buffer) {
	counts, said := new(receiver.Counts), new(testkit.Buffer)
	l := receiver.NewListener(&troubled{errs: errs, closed: make(chan struct{})}, "tcp", receiver.Env{Counts: counts, Logger: log.NewLogfmtLogger(said)})
	return l, counts, said
}

// Whatever passes is waited for, counted, and each kind of it told once; the pauses are those of
// net/http, and begin anew when all was well.
func TestAcceptOutlastsErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errs := listenErrors("accept4")
		n := len(errs)
		same := errs[0]
		for range 10 {
			errs = append(errs, same)
		}
		errs = append(errs, nil, same, nil)
		l, counts, said := newTroubled(t, errs...)
		began := time.Now()
		if _, err := l.Accept(); err != nil {
			t.Fatal(err)
		}
		// 5 ms, 10 ms, … 640 ms are 1275 ms; then a second each.
		if took, want := time.Since(began), 1275*time.Millisecond+time.Duration(n+10-8)*time.Second; took != want {
			t.Errorf("it took %v, want %v", took, want)
		}
		began = time.Now()
		if _, err := l.Accept(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 5*time.Millisecond {
			t.Errorf("after it was well, it took %v", took)
		}
		if got := counts.View().Failed["tcp"]; got != uint64(n+11) {
			t.Errorf("%d are counted, want %d", got, n+11)
		}
		if got := strings.Count(said.String(), `too many open files"`); got != 1 {
			t.Errorf("it is told %d times:\n%s", got, said)
		}
		if want := `level=info listener=tcp msg="the listener takes what comes again"`; strings.Count(said.String(), want) != 1 {
			t.Errorf("log:\n%s", said)
		}
	})
}

// What does not pass is the listener's end, and so is Close, also in a pause.
func TestAcceptEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EBADF)}
		l, counts, _ := newTroubled(t, broken)
		if _, err := l.Accept(); !errors.Is(err, syscall.EBADF) {
			t.Errorf("Accept: %v", err)
		}
		if got := counts.View().Failed["tcp"]; got != 0 {
			t.Errorf("%d are counted", got)
		}
		var many []error
		for range 1000 {
			many = append(many, listenErrors("accept4")[0])
		}
		l, _, _ = newTroubled(t, many...)
		l.Listener.(*troubled).errs = many[:20]
		ended := make(chan error)
		go func() {
			_, err := l.Accept()
			ended <- err
		}()
		time.Sleep(5 * time.Second) // in the bubble
		synctest.Wait()
		began := time.Now()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept: %v", err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("the end took %v", took)
		}
	})
}
