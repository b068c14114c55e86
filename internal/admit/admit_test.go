package admit

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestSemaphore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := make(Semaphore, 2)
		a, _ := Acquire(t.Context(), p)
		b, _ := Acquire(t.Context(), p)
		begin := time.Now()
		if _, ok := Acquire(t.Context(), p); ok || time.Since(begin) != Wait {
			t.Errorf("a third has a place: %t, after %s", ok, time.Since(begin))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin = time.Now()
		if _, ok := Acquire(ctx, p); ok || time.Since(begin) != time.Second {
			t.Errorf("who has left has a place: %t, after %s", ok, time.Since(begin))
		}
		time.AfterFunc(2*time.Second, a)
		begin = time.Now()
		if c, ok := Acquire(t.Context(), p); !ok || time.Since(begin) != 2*time.Second {
			t.Errorf("who waits has a place: %t, after %s", ok, time.Since(begin))
		} else {
			c()
		}
		b()
		if len(p) != 0 {
			t.Errorf("%d places are taken at the end", len(p))
		}
	})
}

// Who waits for several has no more time for all, and keeps none where one is missing.
func TestSeveralPermits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, q := make(Semaphore, 1), make(Semaphore, 1)
		both, _ := Acquire(t.Context(), p, q)
		time.AfterFunc(time.Second, func() { <-p })
		begin := time.Now()
		if _, ok := Acquire(t.Context(), p, q); ok || time.Since(begin) != Wait {
			t.Errorf("there is a place of each: %t, after %s", ok, time.Since(begin))
		}
		if len(p) != 0 {
			t.Error("a place is kept without the other")
		}
		p <- struct{}{}
		both()
		if len(p)+len(q) != 0 {
			t.Errorf("%d and %d places are taken at the end", len(p), len(q))
		}
	})
}

// A body that has a place may be silent for Stall in all; what comes gives time back.
func TestPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		p := &Paced{R: ours}
		read := func(n int) error {
			_, err := io.ReadFull(p, make([]byte, n))
			return err
		}
		send := func(after time.Duration, n int) {
			time.AfterFunc(after, func() { theirs.Write(make([]byte, n)) })
		}
		send(time.Hour, 10)
		if err := read(10); err != nil {
			t.Errorf("without a place: %v", err)
		}
		p.Hurry(pipeWriter{httptest.NewRecorder(), ours}, time.Now().Add(time.Hour))
		for range 10 { // at the pace
			send(time.Second, minRate)
			if err := read(minRate); err != nil {
				t.Fatalf("at the pace: %v", err)
			}
		}
		time.Sleep(time.Minute) // which is our own time
		send(Stall-1, minRate)
		if err := read(minRate); err != nil {
			t.Errorf("just in time: %v", err)
		}
		begin := time.Now()
		send(time.Second, minRate/2)
		if err := read(minRate); !errors.Is(err, ErrSlow) || time.Since(begin) != 1500*time.Millisecond+1 {
			t.Errorf("silent: %v after %s", err, time.Since(begin))
		}
		p.Hurry(pipeWriter{httptest.NewRecorder(), ours}, time.Now().Add(time.Second))
		if err := read(1); !errors.Is(err, ErrSlow) {
			t.Errorf("after the end: %v", err)
		}
	})
}

type pipeWriter struct {
	*httptest.ResponseRecorder
	net.Conn
}

func (w pipeWriter) Write(p []byte) (int, error) { return w.ResponseRecorder.Write(p) }

func TestBegin(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 17, Small - 1, Small, Small + 1, 3 * Small} {
		text := strings.Repeat("x", n)
		for _, length := range []int64{int64(n), -1} {
			r, small := Begin(strings.NewReader(text), length)
			if got, err := io.ReadAll(r); err != nil || string(got) != text {
				t.Errorf("%d bytes of length %d: %d are read, %v", n, length, len(got), err)
			}
			if small != (n < Small) {
				t.Errorf("%d bytes of length %d are small: %t", n, length, small)
			}
		}
	}
}
