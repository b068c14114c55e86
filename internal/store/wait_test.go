package store

import (
	"path/filepath"
	"regexp"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"

	"scriptbridge/internal/testkit"
)

// TestWaitIsNoCircle: who waits for a disk, however long, goes round in nothing.
func TestWaitIsNoCircle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	synctest.Test(t, func(t *testing.T) {
		o := testOptions
		o.Fatal = func(err error) { t.Errorf("the end: %v", err) }
		f, err := Open(path, o)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		err = f.Update(func(tx *bolt.Tx) error {
			time.Sleep(10 * time.Minute)
			return tx.Bucket([]byte("rows")).Put([]byte("a"), nil)
		})
		if err != nil {
			t.Errorf("it is told: %v", err)
		}
	})
}

// TestEndless: what has a processor all the time, and makes nothing grow, is found
// too.
func TestEndless(t *testing.T) {
	done := make(chan struct{})
	var stop atomic.Bool
	go func() {
		defer close(done)
		for !stop.Load() {
		}
	}()
	if !endless(done, usageNow(), 5*look) {
		t.Error("it was not found")
	}
	stop.Store(true)
	<-done
}

// TestLeft: who comes back uses the file no more. A file that somebody seems to use
// still when it is let go of is put aside, however well it is.
func TestLeft(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "file"))
	back := make(chan struct{})
	go func() {
		defer close(back)
		_ = f.call(func() error { f.mu.Lock(); return nil }) // which it needs to leave
	}()
	leaving := regexp.MustCompile(`\[sync\.Mutex\.Lock\]:\n(?:.+\n)*scriptbridge/internal/store\.\(\*File\)\.leave`)
	waiting := regexp.MustCompile(`\[select\]:\n(?:.+\n)*scriptbridge/internal/store\.\(\*File\)\.call`)
	stacks := make([]byte, 1<<20)
	testkit.Await(t, "the end of the call, or its waiting", func() bool {
		select {
		case <-back:
			t.Error("it is back, and uses the file still")
			return true
		default:
		}
		now := stacks[:runtime.Stack(stacks, true)]
		return leaving.Match(now) && waiting.Match(now)
	})
	f.mu.Unlock()
	<-back
}
