package instrumental

import (
	"bufio"
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
)

// Collector is Instrumental's collector, as one that sends to it sees it.
type Collector struct {
	// Address is host:port.
	Address string
	// TLS is nil for a plain connection.
	TLS *tls.Config
	// Key gives the project's token, asked for each connection so that a
	// changed file is found.
	Key func() (string, error)
	// Host is this machine's name in the greeting; Version the program's.
	Host, Version string
}

// How long to wait (spec/instrumental.md, 3), and for the connection's end.
const (
	connectTimeout = 20 * time.Second
	replyTimeout   = 10 * time.Second
	writeTimeout   = 30 * time.Second
	endTimeout     = 10 * time.Second
)

// RefusedError is an answer to the handshake that is not ok.
type RefusedError struct {
	Step   string // hello or authenticate
	Answer string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("the collector answered %q to %s", e.Answer, e.Step)
}

// Send connects, says the lines and disconnects, as the vendor's daemons do
// each round. The protocol acknowledges no data. What stands in for it: after
// the last line our side of the connection is closed, and the other side must
// end it in good order; a connection that breaks instead may have lost lines,
// and is an error. A collector that keeps its side open for 10 s has had them all.
func (c *Collector) Send(ctx context.Context, lines []string) error {
	conn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	// A cancelled ctx ends whatever read or write is under way.
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	reader := bufio.NewReaderSize(io.LimitReader(conn, 1<<20), 4096)
	if err := c.greet(conn, reader); err != nil {
		return err
	}
	if err := conn.SetDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	w := bufio.NewWriterSize(conn, 32<<10)
	for _, line := range lines {
		w.WriteString(line) //nolint:errcheck // Flush gives the first error
		if err := w.WriteByte('\n'); err != nil {
			return fmt.Errorf("sending to the collector: %w", err)
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("sending to the collector: %w", err)
	}
	return end(ctx, conn, reader)
}

func (c *Collector) dial(ctx context.Context) (net.Conn, error) {
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
func (c *Collector) greet(conn net.Conn, reader *bufio.Reader) error {
	key, err := c.Key()
	if err != nil {
		return err
	}
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
		answer, err := reader.ReadString('\n')
		if err != nil {
			return fmt.Errorf("waiting for the collector's answer to %s: %w", step, err)
		}
		if answer = strings.TrimRight(answer, "\r\n"); answer != "ok" {
			return &RefusedError{step, cut(strings.ToValidUTF8(answer, "\uFFFD"), 100)}
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

// end closes our side and waits for the other's.
func end(ctx context.Context, conn net.Conn, reader *bufio.Reader) error {
	half, ok := conn.(interface{ CloseWrite() error })
	if !ok {
		return fmt.Errorf("%T cannot be closed on one side", conn)
	}
	if err := half.CloseWrite(); err != nil {
		return fmt.Errorf("ending the connection to the collector: %w", err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(endTimeout)); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, reader)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF): // TLS without close_notify: the plain end of the connection
		return fmt.Errorf("the collector broke the connection off, lines may be lost: %w", err)
	}
	return nil
}
