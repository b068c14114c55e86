package lossy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// disk is a destination that a test can fill, break and block.
type disk struct {
	mu    sync.Mutex
	got   bytes.Buffer
	room  int // bytes until err; negative: no end
	err   error
	block chan struct{} // writes wait until it is closed; nil: they don't
}

func (d *disk) Write(p []byte) (int, error) {
	if d.block != nil {
		<-d.block
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.room < 0 || len(p) <= d.room {
		d.room -= len(p)
		return d.got.Write(p)
	}
	n, _ := d.got.Write(p[:d.room])
	d.room = 0
	return n, d.err
}

func (d *disk) set(room int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room = room
}

func (d *disk) text() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.got.String()
}

func TestWriter(t *testing.T) {
	t.Run("all lines in order", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := &disk{room: -1}
			w := New(d, Options{})
			var want strings.Builder
			line := []byte("line ?\n")
			for i := range 10 {
				line[5] = byte('0' + i) // the caller's slice is its own again
				w.Write(line)
				want.Write(line)
			}
			if !w.Close(time.Second) {
				t.Error("Close did not wait for the rest")
			}
			if d.text() != want.String() || w.Dropped() != 0 {
				t.Errorf("%d dropped, got %q", w.Dropped(), d.text())
			}
		})
	})

	t.Run("a destination that nobody reads", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := &disk{room: -1, block: make(chan struct{})}
			w := New(d, Options{Buffer: 100})
			line := []byte(strings.Repeat("x", 9) + "\n")
			for i := range 25 {
				var want error
				if i >= 10 {
					want = ErrDropped
				}
				if _, err := w.Write(line); err != want {
					t.Fatalf("line %d: %v", i, err)
				}
			}
			if w.Dropped() != 15 {
				t.Errorf("%d dropped of 25 where 10 fit", w.Dropped())
			}
			start := time.Now()
			if w.Close(3 * time.Second) {
				t.Error("Close says that all was written")
			}
			if took := time.Since(start); took != 3*time.Second {
				t.Errorf("Close took %v", took)
			}
			if w.Dropped() != 25 {
				t.Errorf("%d counted as lost, not all 25", w.Dropped())
			}
			close(d.block) // lets the goroutine end
			<-w.done
		})
	})

	t.Run("room again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := &disk{room: -1, block: make(chan struct{})}
			var w *Writer
			began := 0
			w = New(d, Options{Buffer: 100, OnFull: func(full bool, dropped int) {
				if full {
					began++
				} else {
					fmt.Fprintf(w, "(%d are missing)\n", dropped)
				}
			}})
			w.Write([]byte(strings.Repeat("a", 97) + "\n"))
			w.Write([]byte("b\n"))
			w.Write([]byte("c\n"))
			w.Write([]byte("d\n"))
			close(d.block)
			synctest.Wait()
			w.Write([]byte("e\n"))
			w.Write([]byte("f\n"))
			w.Close(time.Second)
			if !strings.HasSuffix(d.text(), "a\nb\n(2 are missing)\ne\nf\n") || w.Dropped() != 2 || began != 1 {
				t.Errorf("%d dropped, told %d times, got %q", w.Dropped(), began, d.text())
			}
		})
	})

	t.Run("a full disk loses nothing that waits, and no half line is left", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := &disk{room: 9, err: syscall.ENOSPC}
			var changes []string
			w := New(d, Options{OnError: func(err error) { changes = append(changes, fmt.Sprint(err)) }})
			w.Write([]byte("first\n"))
			w.Write([]byte("second\n"))
			w.Write([]byte("third\n"))
			time.Sleep(time.Minute)
			if d.text() != "first\nsec" {
				t.Errorf("got %q", d.text())
			}
			d.set(-1)
			time.Sleep(retryLast)
			w.Close(time.Second)
			if d.text() != "first\nsecond\nthird\n" || w.Dropped() != 0 {
				t.Errorf("%d dropped, got %q", w.Dropped(), d.text())
			}
			if want := []string{"no space left on device", "<nil>"}; !slices.Equal(changes, want) {
				t.Errorf("told %q, not %q", changes, want)
			}
		})
	})

	t.Run("a full disk at the end", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := New(&disk{err: syscall.ENOSPC}, Options{})
			w.Write([]byte("lost\n"))
			if w.Close(2*time.Second) || w.Dropped() != 1 {
				t.Errorf("%d dropped", w.Dropped())
			}
			<-w.done // it does not go on trying
			w.Write([]byte("after the end\n"))
			if w.Dropped() != 2 {
				t.Errorf("%d dropped", w.Dropped())
			}
		})
	})

	t.Run("a reader that went away", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, pipe := io.Pipe()
			r.Close()
			told := 0
			w := New(pipe, Options{OnError: func(error) { told++ }})
			for range 3 {
				w.Write([]byte("line\n"))
			}
			synctest.Wait()
			if w.Dropped() != 3 || told != 1 {
				t.Errorf("%d dropped, told %d times", w.Dropped(), told)
			}
			w.Close(time.Second)
		})
	})

	t.Run("one count for several writers", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var drops Drops
			for range 2 {
				w := New(&disk{err: errors.New("broken")}, Options{Drops: &drops})
				w.Write([]byte("line\n"))
				w.Close(time.Second)
				w.Close(time.Second) // once more changes nothing
			}
			if drops.Count() != 2 {
				t.Errorf("%d dropped", drops.Count())
			}
		})
	})
}

// TestWriterTellsAgain: a line that comes after a row of dropped ones is not lost
// where others are dropped while that row is told.
func TestWriterTellsAgain(t *testing.T) {
	var to bytes.Buffer
	var w *Writer
	var told []int
	w = New(&to, Options{Buffer: 100, OnFull: func(full bool, dropped int) {
		if full {
			return
		}
		if told = append(told, dropped); len(told) == 1 {
			_, _ = w.Write(make([]byte, 200)) // as another one does just then
		}
	}})
	_, _ = w.Write(make([]byte, 200))
	if _, err := w.Write([]byte("arrives\n")); err != nil {
		t.Error(err)
	}
	if !w.Close(time.Minute) || to.String() != "arrives\n" || w.Dropped() != 2 || !slices.Equal(told, []int{1, 1}) {
		t.Errorf("%q was written, %d were dropped, told were %v", to.String(), w.Dropped(), told)
	}
}

// TestWriterConcurrently writes lines from many goroutines to a real pipe that
// is read slowly: each line arrives whole or is counted.
func TestWriterConcurrently(t *testing.T) {
	r, pipe, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan int)
	go func() {
		text, _ := io.ReadAll(r)
		for line := range bytes.Lines(text) {
			if len(line) != 64 {
				t.Errorf("a line of %d bytes: %q", len(line), line)
			}
		}
		read <- bytes.Count(text, []byte("\n"))
	}()
	w := New(pipe, Options{Buffer: 1000})
	const writers, lines = 8, 200
	var group sync.WaitGroup
	for i := range writers {
		group.Go(func() {
			for j := range lines {
				fmt.Fprintf(w, "%031d %031d\n", i, j)
			}
		})
	}
	group.Wait()
	if !w.Close(time.Minute) {
		t.Error("not all was written")
	}
	pipe.Close()
	if got := <-read; got+int(w.Dropped()) != writers*lines {
		t.Errorf("%d arrived and %d were dropped of %d", got, w.Dropped(), writers*lines)
	}
}
