//go:build unix

package fsx

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestOpenSwapped: a file in whose place a pipe is put at any moment is never
// waited for.
func TestOpenSwapped(t *testing.T) {
	dir := t.TempDir()
	name, pipe, file := filepath.Join(dir, "name"), filepath.Join(dir, "pipe"), filepath.Join(dir, "file")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), syscall.Mkfifo(pipe, 0o600), os.Link(file, name)); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for next := filepath.Join(dir, "next"); ; {
			for _, from := range []string{pipe, file} {
				_ = errors.Join(os.Link(from, next), os.Rename(next, name), os.RemoveAll(next))
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	for range 5000 {
		f, err := Open(name)
		if err != nil && !errors.Is(err, ErrIrregular) {
			t.Fatal(err)
		}
		f.Close()
	}
	close(stop)
	<-stopped
}

// TestReadGrown: a file that grows while it is read is not cut.
func TestReadGrown(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Truncate(name, Most+1); err != nil {
		t.Fatal(err)
	}
	if text, err := readAll(f); len(text) != 0 || !errors.Is(err, ErrTooLarge) {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}
