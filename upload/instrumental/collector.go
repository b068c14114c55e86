package instrumental

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"time"

	"scriptbridge/internal/texts"
)

// collectorClient is Instrumental's collector, as one that sends to it sees it.
type collectorClient struct {
	// Address is host:port.
	Address string
	// TLS is nil for a plain connection.
	TLS *tls.Config
	// Key gives the project's token, asked for each connection so that a
	// changed file is found.
	Key func() (string, error)
	// Host is this machine's name in the greeting; Version the program's.
	Host, Version string

	endTimeout time.Duration // 0: endTimeout
}

// How long to wait, and for the connection's end.
const (
	connectTimeout = 20 * time.Second
	replyTimeout   = 10 * time.Second
	writeTimeout   = 30 * time.Second
	endTimeout     = 10 * time.Second
	earlyTimeout   = 200 * time.Millisecond // for an end that was on its way before ours
)

// refusedError is an answer to the handshake that is not ok.
type refusedError struct {
	Step   string // hello or authenticate
	Answer string
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("the collector answered %q to %s", e.Answer, e.Step)
}

// SendText connects, says the lines that tell writes and disconnects, as the vendor's daemons do
// each round. The protocol acknowledges no data. What stands in for it: after
// the last line our side of the connection is closed, and then, not before, the
// other side must end it in good order, with all of ours acknowledged by its
// machine. Whoever ends earlier, breaks it off, keeps it open or says what no
// collector says may not have had the lines, which is an error.
func (c *collectorClient) SendText(ctx context.Context, tell func(write func(text []byte) error) error) error {
	conn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	// A cancelled ctx ends whatever read or write is under way.
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	reader := &answers{r: bufio.NewReaderSize(conn, 4096)}
	if err := c.greet(conn, reader); err != nil {
		return err
	}
	if err := conn.SetDeadline(time.Now().Add(writeTimeout)); err != nil { // for who reads
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- ending(conn, reader) }()
	err = tell(func(text []byte) error {
		err := conn.SetDeadline(time.Now().Add(writeTimeout))
		if err == nil {
			_, err = conn.Write(text)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("sending to the collector: %w", err)
	}
	return end(ctx, conn, ended, cmp.Or(c.endTimeout, endTimeout))
}

func (c *collectorClient) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	var dialer net.Dialer
	if c.TLS == nil {
		return dialer.DialContext(ctx, "tcp", c.Address)
	}
	return (&tls.Dialer{NetDialer: &dialer, Config: c.TLS}).DialContext(ctx, "tcp", c.Address)
}

// greet sends both lines at once, as most clients do, and reads an ok for
// each, in whatever pieces they come.
func (c *collectorClient) greet(conn net.Conn, reader *answers) error {
	key, err := c.Key()
	if err != nil {
		return err
	}
	reader.key = key
	if key == "" || strings.ContainsAny(key, " \t\r\n") {
		return errors.New("the API key is empty or has a blank in it, which the protocol cannot say")
	}
	if err := conn.SetDeadline(time.Now().Add(replyTimeout)); err != nil {
		return err
	}
	greeting := fmt.Sprintf("hello version go/scriptbridge/%s hostname %s pid %d runtime go/%s platform %s-%s\nauthenticate %s\n",
		word(c.Version), word(c.Host), os.Getpid(), strings.TrimPrefix(word(runtime.Version()), "go"), runtime.GOOS, runtime.GOARCH, key)
	if _, err := io.WriteString(conn, greeting); err != nil {
		return fmt.Errorf("greeting the collector: %w", err)
	}
	for _, step := range []string{"hello", "authenticate"} {
		answer, err := reader.line()
		if err != nil {
			return fmt.Errorf("waiting for the collector's answer to %s: %w", step, err)
		}
		if answer != okLine {
			return &refusedError{step, reader.withoutSecret(answer)}
		}
	}
	return nil
}

// word is a value of the greeting: blanks would end it.
func word(s string) string {
	if s = strings.Join(strings.Fields(s), "_"); s == "" {
		return "unknown"
	}
	return s
}

// okLine is all that a collector ever says that is good.
const okLine = "ok"

// answers are what the collector says.
type answers struct {
	r   *bufio.Reader
	key string // which is not to be told
}

// withoutSecret is what may be told of an answer.
func (a *answers) withoutSecret(answer string) string {
	return texts.Cut(texts.Hide(strings.ToValidUTF8(answer, "\uFFFD"), a.key), 100)
}

// line reads a line, of one that is too long its beginning. What breaks off in
// the middle is none.
func (a *answers) line() (string, error) {
	line, err := a.r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return string(line), nil
	case err != nil && len(line) > 0:
		return "", fmt.Errorf("it broke off after %q: %w", a.withoutSecret(string(line)), err)
	case errors.Is(err, io.ErrUnexpectedEOF): // TLS without close_notify: the plain end of the connection
		return "", io.EOF
	case err != nil:
		return "", err
	}
	text, _ := strings.CutSuffix(strings.TrimSuffix(string(line), "\n"), "\r")
	return text, nil
}

// rest reads what the collector says behind the greeting until it ends the
// connection: nothing, or another ok or so.
func (a *answers) rest() error {
	for range mostAnswers {
		switch line, err := a.line(); {
		case err == io.EOF: //nolint:errorlint // one that is wrapped came in the middle of a line
			return nil
		case err != nil:
			return err
		case line != okLine:
			return fmt.Errorf("it said %q", a.withoutSecret(line))
		}
	}
	return errors.New("it goes on saying ok")
}

// mostAnswers bounds what is read behind the greeting.
const mostAnswers = 100_000

// errEarly is of an end that is no answer to ours.
var errEarly = errors.New("it ended the connection before all was said")

// ending reads until the collector ends the connection, and tells whether it can
// have done so because of what we said. An end that comes while its machine has
// not acknowledged all of ours was on its way before.
func ending(conn net.Conn, reader *answers) error {
	if err := reader.rest(); err != nil {
		return err
	}
	if unacknowledged(conn) > 0 {
		return errEarly
	}
	return nil
}

// end closes our side and waits for the other's. An end that the other side made
// before may still be on its way to us, or to the goroutine that reads: that is
// why ours waits a moment.
func end(ctx context.Context, conn net.Conn, ended <-chan error, within time.Duration) error {
	half, ok := conn.(interface{ CloseWrite() error })
	if !ok {
		return fmt.Errorf("%T cannot be closed on one side", conn)
	}
	select {
	case err := <-ended:
		return broken(ctx, cmp.Or(err, errEarly))
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(earlyTimeout):
	}
	if err := conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	if err := half.CloseWrite(); err != nil {
		return fmt.Errorf("ending the connection to the collector: %w", err)
	}
	err := <-ended
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("it has not ended the connection %v after us", within)
	}
	if err == nil {
		err = resetAfter(conn)
	}
	return broken(ctx, err)
}

// resetAfter is the error when a collector says in TLS that it has ended, and
// then has its machine reset the connection, as one does of which a program did
// not read all. Without TLS its end is the connection's, and nothing follows.
func resetAfter(conn net.Conn) error {
	secure, ok := conn.(*tls.Conn)
	if !ok {
		return nil
	}
	if err := conn.SetReadDeadline(time.Now().Add(earlyTimeout)); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, io.LimitReader(secure.NetConn(), 4096))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

// broken is why lines may be lost; nil for nothing.
func broken(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("the collector may not have had the lines, all are kept: %w", err)
	}
	return nil
}
