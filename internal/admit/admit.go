// Package admit bounds how many requests at once have their bodies read, since what a
// body becomes takes memory. Others wait for a while.
package admit

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

const (
	// Small is how much of a body is read before a permit is needed: a client that is
	// slow, or has few data, holds none.
	Small = 64 << 10
	// Wait is how long to wait for a permit: not every client would come back. It is well
	// below the timeouts of clients that send data.
	Wait = 5 * time.Second
)

// Semaphore bounds how many are at work at once, by its capacity.
type Semaphore chan struct{}

// Acquire waits for a permit of each, in this order, for as long as Wait in all; release
// gives them back.
func Acquire(ctx context.Context, of ...Semaphore) (release func(), ok bool) {
	over := time.After(Wait)
	var held []Semaphore
	release = func() {
		for _, s := range held {
			<-s
		}
	}
	for _, s := range of {
		select {
		case s <- struct{}{}:
			held = append(held, s)
			continue
		case <-over:
		case <-ctx.Done():
		}
		release()
		return nil, false
	}
	return release, true
}

// Begin waits for the beginning of a body of so many bytes, -1 for one of unknown length:
// all of it when it is small.
func Begin(body io.Reader, length int64) (r *bufio.Reader, small bool) {
	size := int64(Small)
	if length >= 0 && length < size {
		size = length + 1 // so that it is known to be all
	}
	r = bufio.NewReaderSize(body, int(size))
	_, err := r.Peek(r.Size()) // what is wrong will be told to who reads it
	return r, err != nil
}

// Stall is how long a client that has a permit may keep us waiting: less than Wait, so that
// who waits for one that is silent gets its permit. Each second of it comes back with
// so many bytes as minRate.
const (
	Stall   = 4 * time.Second
	minRate = 64 << 10
)

// ErrSlow is why the rest of a body is not waited for.
var ErrSlow = errors.New("it comes too slowly")

// Paced is a body that has to come at a certain pace once it has a permit.
type Paced struct {
	R io.Reader

	w    http.ResponseWriter // nil: there is time
	left time.Duration       // of Stall
	end  time.Time
}

// Hurry begins with that. w is the answer's; end is when the body must have come
// anyway.
func (p *Paced) Hurry(w http.ResponseWriter, end time.Time) { p.w, p.left, p.end = w, Stall, end }

// Read waits no longer than there is time. What we do ourselves meanwhile does not
// count.
func (p *Paced) Read(b []byte) (int, error) {
	if p.w == nil {
		return p.R.Read(b)
	}
	begin := time.Now()
	until := begin.Add(p.left)
	if until.After(p.end) {
		until = p.end
	}
	_ = http.NewResponseController(p.w).SetReadDeadline(until) // which a recorder in a test has not
	n, err := p.R.Read(b)
	p.left = min(Stall, p.left-time.Since(begin)+time.Duration(n)*time.Second/minRate)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = ErrSlow
	}
	return n, err
}
