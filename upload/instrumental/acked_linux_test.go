package instrumental

import (
	"bufio"
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

// TestEndUnacknowledged: an end is no answer to what has not arrived.
func TestEndUnacknowledged(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	other, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for err == nil { // until neither side's kernel takes more
		_, err = conn.Write(make([]byte, 1<<20))
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	if err := other.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if err := ending(conn, &answers{r: bufio.NewReader(conn)}); !errors.Is(err, errEarly) {
		t.Errorf("got %v", err)
	}
}
