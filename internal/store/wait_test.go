package store

import (
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"
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
