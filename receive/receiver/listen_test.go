package receiver_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"scriptbridge/receive/receiver"
	"scriptbridge/receive/receivertest"

	"scriptbridge/internal/testkit"

	"github.com/go-kit/log"
)

// The errors that a listener outlasts, as the net package gives them.
func listenErrors(op string) (all []error) {
	for _, errno := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EINTR, syscall.EAGAIN, syscall.ECONNABORTED, syscall.ECONNRESET,
		syscall.ECONNREFUSED, syscall.EPROTO, syscall.EPERM, syscall.ENOPROTOOPT, syscall.EOPNOTSUPP, syscall.ENETDOWN, syscall.ENETUNREACH,
		syscall.EHOSTDOWN, syscall.EHOSTUNREACH, syscall.ETIMEDOUT,
	} {
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

// troubledPackets are a socket that gives errors before it gives packets.
type troubledPackets struct {
	*net.UDPConn
	errs []error
}

func (c *troubledPackets) next() error {
	if len(c.errs) == 0 {
		return nil
	}
	err := c.errs[0]
	c.errs = c.errs[1:]
	return err
}

func (c *troubledPackets) Read(b []byte) (int, error) {
	if err := c.next(); err != nil {
		return 0, err
	}
	return c.UDPConn.Read(b)
}

// Readers of packets outlast the same, and end with what does not pass.
func TestPacketsOutlastErrors(t *testing.T) {
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	errs := listenErrors("read")
	c := &troubledPackets{udp, errs[:4]} // which are over after 75 ms
	counts, said := new(receiver.Counts), new(testkit.Buffer)
	retrier := receiver.NewRetrier("udp", receiver.Env{Counts: counts, Logger: log.NewLogfmtLogger(said)}, make(chan struct{}))
	packets := make(chan string, 1)
	read := func() error {
		return retrier.ReadPackets(c, make([]byte, 100), c.Read, func(packet []byte) { packets <- string(packet) })
	}
	receivertest.Dial(t, "udp", udp.LocalAddr().String()).Write([]byte("a:1|c"))
	ended := make(chan error)
	go func() { ended <- read() }()
	select {
	case err := <-ended:
		t.Fatalf("it ended: %v", err)
	case packet := <-packets:
		if packet != "a:1|c" {
			t.Errorf("packet %q", packet)
		}
	}
	udp.SetReadDeadline(receiver.LongAgo)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := counts.View().Failed["udp"]; n != 4 || !strings.Contains(said.String(), "the listener takes what comes again") {
		t.Errorf("%d are counted; log:\n%s", n, said)
	}
	c.errs = []error{io.ErrUnexpectedEOF}
	go func() { ended <- read() }()
	if err := <-ended; !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("what does not pass: %v", err)
	}
}

// What one has sent and leads to a fault of ours is lost, and no more.
func TestPacketsOutlastFaults(t *testing.T) {
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	counts, said := new(receiver.Counts), new(testkit.Buffer)
	retrier := receiver.NewRetrier("udp", receiver.Env{Counts: counts, Logger: log.NewLogfmtLogger(said)}, make(chan struct{}))
	packets := make(chan string, 3)
	ended := make(chan error)
	read := func() {
		ended <- retrier.ReadPackets(udp, make([]byte, 100), udp.Read, func(packet []byte) {
			if packet[0] == 'x' {
				panic("odd")
			}
			packets <- string(packet)
		})
	}
	go read()
	client := receivertest.Dial(t, "udp", udp.LocalAddr().String())
	for _, packet := range []string{"a", "x1", "x2", "b"} {
		client.Write([]byte(packet))
	}
	if got := <-packets + <-packets; got != "ab" {
		t.Errorf("taken was %q", got)
	}
	udp.SetReadDeadline(receiver.LongAgo)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	// What waits at the end, too.
	for _, packet := range []string{"x3", "c"} {
		client.Write([]byte(packet))
	}
	udp.SetReadDeadline(receiver.LongAgo) // which the end has taken away
	go read()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := <-packets; got != "c" {
		t.Errorf("taken was %q", got)
	}
	if n := counts.View().Dropped[receiver.Faulty]; n != 3 {
		t.Errorf("%d are counted", n)
	}
	if n := strings.Count(said.String(), `msg="what was sent is lost" err="this is a fault of scriptbridge itself: odd (please report it; --log.level=debug tells where it is)" stack="goroutine `); n != 1 {
		t.Errorf("it is told %d times:\n%s", n, said)
	}
}
