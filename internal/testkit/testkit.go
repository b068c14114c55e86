// Package testkit is what tests of several packages share. child.go runs a test in a
// process of its own, acl_unix.go makes access control lists, net.go has listeners,
// system.go has the texts of Windows be those of other systems.
package testkit

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"sync"
	"testing"
	"time"
)

// patience is for what comes at once, or never.
const patience = 30 * time.Second

// Buffer is a log that many goroutines may write. The zero value is ready.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// String gives all that was written since it was last taken.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Take gives what String gives, and forgets it.
func (b *Buffer) Take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.b.Reset()
	return b.b.String()
}

// Poll waits until ask says so; where it waits in vain, state says how things
// are.
func Poll(t testing.TB, what string, ask func() bool, state func() string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ask() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s; %s", what, state())
		}
		<-time.After(5 * time.Millisecond)
	}
}

// Await is Poll where nothing more can be said.
func Await(t testing.TB, what string, ask func() bool) {
	t.Helper()
	Poll(t, what, ask, func() string { return "there is no more to say" })
}

// Promptly runs what must wait for nobody.
func Promptly(t testing.TB, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s waits for ever", what)
	}
}

// Gunzip makes a file of what is compressed in another one.
func Gunzip(tb testing.TB, from, to string) {
	tb.Helper()
	f, err := os.Open(from)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	file, err := io.ReadAll(zip)
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(to, file, 0o600); err != nil {
		tb.Fatal(err)
	}
}
