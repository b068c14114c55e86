package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestFaultDisk: a full disk is a 503, and nothing that was acknowledged before
// or after is lost.
func TestFaultDisk(t *testing.T) { withEach(t, faultOfDisk) }

func faultOfDisk(t *testing.T, to *labUpload) {
	l := newLab(t, to)
	l.smallDisk("4m")
	open := make(chan struct{})
	l.peer.misbehave(holding(open)) // so that something waits, and it is not this that is told
	l.begin()
	l.awaitLoad(10)
	filler := filepath.Join(l.storage, "filler")
	fill(t, filler)
	l.awaitFailures(10)
	lasts := long(20 * time.Second)
	// What is small may fit where something was removed: so it may say now and then
	// that it takes again what comes.
	l.down("no space left on device", 0)
	l.during(lasts)
	counted := l.dropped("unavailable")
	page, err := get("http://" + l.address + "/metrics")
	if err != nil || !strings.Contains(page, `coscale_beat{script="s0"}`) {
		t.Errorf("the page while the disk is full: %v\n%s", err, tail(page, 1000))
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	close(open)
	l.awaitLoad(20)
	o := l.settle()
	l.well()
	l.nothingAside()
	l.onlyFailed("503")
	report(t, to.row+faultFull, seconds(lasts), o, fmt.Sprintf("503, %s; what scripts said meanwhile: `scriptbridge_upload_dropped_total{reason=\"unavailable\"}` %v", toldDown, counted))
}

// fill takes all the room that a disk has.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 1024); ; {
		if _, err := f.Write(block); err != nil {
			return
		}
	}
}

// TestFaultReadOnly: a start on a read-only disk fails with the reason, and a
// later one finds all that waits.
func TestFaultReadOnly(t *testing.T) { withEach(t, faultOfReadOnly) }

func faultOfReadOnly(t *testing.T, to *labUpload) {
	l := newLab(t, to)
	l.smallDisk("16m")
	l.peer.away()
	l.begin()
	l.awaitLoad(20)
	l.kill()
	remount := func(flags uintptr) {
		t.Helper()
		// What the bridge had forked and not yet executed has its files for a moment.
		eventually(t, "the disk to be remounted", func() error {
			return syscall.Mount("tmpfs", l.storage, "tmpfs", syscall.MS_REMOUNT|flags, "")
		})
	}
	remount(syscall.MS_RDONLY)
	if err := l.try(); err == nil || !strings.Contains(err.Error(), "read-only file system") {
		t.Errorf("started on a read-only disk: %v", err)
	}
	remount(0)
	l.start()
	l.peer.back(t)
	l.awaitLoad(20)
	o := l.settle()
	l.onlyFailed(noAnswer, "503")
	report(t, to.row+faultReadOnly, "once", o, "the start fails with the reason")
}

// smallDisk mounts a disk of so many bytes for the lab's storage folder.
func (l *lab) smallDisk(size string) {
	l.t.Helper()
	if err := os.Mkdir(l.storage, 0o700); err != nil {
		l.t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", l.storage, "tmpfs", 0, "mode=700,size="+size); err != nil {
		if errors.Is(err, syscall.EPERM) && os.Getenv("SCRIPTBRIDGE_E2E") != "required" {
			l.t.Skip("only root may mount a disk")
		}
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { syscall.Unmount(l.storage, syscall.MNT_DETACH) })
}
