// The race detector reads what the program reads, and where a damaged file leads
// to memory that is not there, its own reads end the process: nothing can guard
// them. `make test` runs these without it.

//go:build !race

package server

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"scriptbridge/internal/testkit"
)

// TestDamageLiveIDs harms the file while clients use the API: nobody waits for
// ever, and no id that was given is lost.
func TestDamageLiveIDs(t *testing.T) {
	for name, harm := range map[string]func(path string) error{
		"emptied": func(path string) error { return os.Truncate(path, 0) },
		"half":    func(path string) error { return os.Truncate(path, 16384) },
		"zeroed":  func(path string) error { return write(path, make([]byte, 1<<20)) },
		"noise": func(path string) error {
			b := make([]byte, 1<<20)
			dice := rand.New(rand.NewPCG(1, 2))
			for i := range b {
				b[i] = byte(dice.Uint32())
			}
			return write(path, b)
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 3 {
				liveIDs(t, harm)
			}
		})
	}
}

// write writes over a file as it is, and not another one in its place.
func write(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	return errors.Join(err, f.Close())
}

func liveIDs(t *testing.T, harm func(path string) error) {
	folder := t.TempDir()
	path := filepath.Join(folder, "ids.db")
	var said bytes.Buffer
	h, _ := newTestHandler(t, folder, logged(&said))
	for i := range 50 {
		create(h, fmt.Sprint("first", i))
	}
	var stop atomic.Bool
	var clients sync.WaitGroup
	var mu sync.Mutex
	given := make(map[string]bool)
	for c := range 3 {
		clients.Go(func() {
			for n := 0; !stop.Load(); n++ {
				if name := fmt.Sprintf("c%d-%d", c, n); create(h, name) == http.StatusOK {
					mu.Lock()
					given[name] = true
					mu.Unlock()
				}
			}
		})
	}
	if err := harm(path); testkit.Kept(err) {
		stop.Store(true)
		clients.Wait()
		t.Skip("Windows cuts no file that is mapped into memory")
	} else if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 10 {
			create(h, fmt.Sprint("after", i))
		}
		stop.Store(true)
		clients.Wait()
		if code := create(h, "last"); code != http.StatusOK {
			t.Errorf("after the harm: %d\n%s", code, said.String())
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("somebody waits for ever")
	}
	again, err := NewHandler(HandlerOptions{Folder: folder})
	if err != nil {
		t.Fatalf("after a restart: %v\n%s", err, said.String())
	}
	defer again.Close()
	known := named(t, again)
	for name := range given {
		if !strings.Contains(known+",", " "+name+",") {
			t.Errorf("%s is lost", name)
		}
	}
	if !strings.Contains(said.String(), "all of it was written anew from memory") {
		t.Errorf("log:\n%s", said.String())
	}
}
