package coscaleapi_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-kit/log"
	"golang.org/x/sys/unix"

	"scriptbridge/receive"
	"scriptbridge/receive/receivertest"
)

// A disk that does not answer when the file of ids is opened does not hold up the
// end. (A lease makes who opens a file wait.)
func TestSilentAtStart(t *testing.T) {
	storage := t.TempDir()
	ids, err := os.OpenFile(filepath.Join(storage, "ids.db"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer ids.Close()
	lease := func(of int) error {
		_, err := unix.FcntlInt(ids.Fd(), unix.F_SETLEASE, of)
		return err
	}
	if err := lease(unix.F_WRLCK); err != nil {
		t.Skipf("this file system has no leases: %v", err)
	}
	defer lease(unix.F_UNLCK)
	set := receive.NewSet(receive.SetOptions{
		Sink: new(receivertest.Sink), Logger: log.NewNopLogger(), Storage: func(string) (string, error) { return storage, nil },
	})
	c := receivertest.CoScaleConfig(t, t.TempDir())
	reloaded, closed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(reloaded)
		set.Reload(t.Context(), c)
	}()
	for held := unix.F_WRLCK; held == unix.F_WRLCK; { // until somebody waits
		if held, err = unix.FcntlInt(ids.Fd(), unix.F_GETLEASE, 0); err != nil {
			t.Fatal(err)
		}
	}
	go func() {
		defer close(closed)
		set.Close()
	}()
	select {
	case <-closed:
	case <-time.After(20 * time.Second): // a lease is broken after 45
		t.Error("the end waits for the disk")
	}
	_ = lease(unix.F_UNLCK)
	<-closed
	<-reloaded
}
