// Package admit bounds how many at once do what takes memory, such as taking the body
// of a request apart. Who comes later waits for a while.
package admit

import (
	"bufio"
	"context"
	"io"
	"time"
)

const (
	// Small is how much of a body is read before there is a place for it: a client that is
	// slow, or has few data, holds none.
	Small = 64 << 10
	// Wait is how long to wait for a place: not every client would come back. It is well
	// below the timeouts of clients that send data.
	Wait = 5 * time.Second
)

// Places are how many may be at work at once.
type Places chan struct{}

// Take waits for a place; ok says that there is one, which leave gives back.
func (p Places) Take(ctx context.Context) (leave func(), ok bool) {
	select {
	case p <- struct{}{}:
		return func() { <-p }, true
	case <-time.After(Wait):
	case <-ctx.Done():
	}
	return nil, false
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
