package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// folderFault is what may befall the storage folder while it is in use.
type folderFault struct {
	name string
	harm func(l *lab) error
	// mend undoes it; nil: the bridge goes on by itself. Until then nothing is
	// acknowledged.
	mend func(l *lab) error
	line string // what an error line has
	// reason is that by which scriptbridge_upload_dropped_total counts what was
	// lost; empty: nothing is.
	reason string
	// forgets says that sessions and ids are lost, too.
	forgets bool
	// upload says that it befalls the upload's own file, whichever upload that is.
	upload bool
}

var folderFaults = []folderFault{
	{
		name: "the folder is moved away, and back", line: "the folder was moved away, removed or replaced while it was in use",
		harm: func(l *lab) error { return os.Rename(l.storage, l.storage+".gone") },
		mend: func(l *lab) error { return os.Rename(l.storage+".gone", l.storage) },
	},
	{
		name: "another folder takes its place, for a while", line: "the folder was moved away, removed or replaced while it was in use",
		harm: func(l *lab) error {
			return errors.Join(os.Rename(l.storage, l.storage+".gone"), os.Mkdir(l.storage, 0o700))
		},
		mend: func(l *lab) error {
			return errors.Join(os.Rename(l.storage, l.storage+".other"), os.Rename(l.storage+".gone", l.storage))
		},
	},
	{
		name: "the uploads' folder is moved away, and back", line: "the folder was moved away, removed or replaced while it was in use",
		harm: func(l *lab) error { return os.Rename(l.at("uploads"), l.at("gone")) },
		mend: func(l *lab) error { return os.Rename(l.at("gone"), l.at("uploads")) },
	},
	{
		name: "the upload's file is moved away, and back", upload: true, line: "it was moved away while it was in use",
		harm: func(l *lab) error { return os.Rename(l.spool(), l.at("uploads/gone")) },
		mend: func(l *lab) error { return os.Rename(l.at("uploads/gone"), l.spool()) },
	},
	{
		name: "the folder is removed; later a restart", line: "the folder was removed while it was in use", reason: "removed", forgets: true,
		harm: func(l *lab) (err error) {
			for range 100 { // a file may be begun in it meanwhile
				if err = os.RemoveAll(l.storage); err == nil {
					break
				}
			}
			return err
		},
		mend: func(l *lab) error { l.end(); return l.try() },
	},
	{
		name: "the upload's file is removed", upload: true, line: "the spool was removed while it was in use", reason: "removed",
		harm: func(l *lab) error { return os.Remove(l.spool()) },
	},
	{
		name: "the upload's file is cut to its first 8 KiB", upload: true, line: "the spool", reason: "damaged",
		harm: func(l *lab) error { return os.Truncate(l.spool(), 8192) },
	},
	{
		name: "the upload's file is emptied", upload: true, line: "the spool", reason: "damaged",
		harm: func(l *lab) error { return os.Truncate(l.spool(), 0) },
	},
	{
		name: "the file of ids is cut to its first 8 KiB", line: "the file of ids was lost while it was in use",
		harm: func(l *lab) error { return os.Truncate(l.at("receivers/coscale/ids.db"), 8192) },
	},
	{
		name: "the file of ids is removed", line: "the file of ids was lost while it was in use",
		harm: func(l *lab) error { return os.Remove(l.at("receivers/coscale/ids.db")) },
	},
}

// at is a path in the storage folder, and spool that of the upload's file.
func (l *lab) at(name string) string { return filepath.Join(l.storage, name) }

func (l *lab) spool() string { return l.at("uploads/" + l.upload.name) }

// TestFaultFolder harms the storage folder while much waits in it. While it is
// not what it was, nothing is acknowledged; what is lost with it is counted.
func TestFaultFolder(t *testing.T) {
	for _, c := range folderFaults {
		for _, to := range []*labUpload{toCoScale, toRemoteWrite} {
			if to == toCoScale || c.upload {
				t.Run(to.row+c.name, func(t *testing.T) {
					t.Parallel()
					c.try(t, to)
				})
			}
		}
	}
}

func (c *folderFault) try(t *testing.T, to *labUpload) {
	t.Helper()
	l := newLab(t, to)
	open := make(chan struct{})
	l.peer.misbehave(holding(open)) // so that something waits, and it is not this that is told
	l.begin()
	l.awaitLoad(100)
	l.awaitMetric(l.figure("up"), 1)
	if err := c.harm(l); err != nil {
		t.Fatal(err)
	}
	extent, told := "at once", "a line at level error"
	if c.mend != nil {
		lasts := long(20 * time.Second)
		l.unacknowledged(c.line, lasts)
		extent, told = seconds(lasts), "503, "+toldDown
	} else {
		l.awaitErrorLine(c.line)
	}
	counted := 0.0
	if c.reason != "" {
		counted = l.dropped(c.reason)
		l.mayLose()
	}
	if c.mend != nil {
		if err := c.mend(l); err != nil {
			t.Fatal(err)
		}
	}
	l.awaitLoad(40)
	// What is on the disk now is what the next one begins with.
	l.kill()
	l.start()
	close(open)
	l.awaitLoad(40)
	o := l.settle()
	l.well()
	l.nothingAside()
	if o.lost > int(counted) {
		t.Errorf("%d acknowledged values and events are lost, and %v were counted", o.lost, counted)
	}
	if c.reason != "" {
		told += fmt.Sprintf(", `scriptbridge_upload_dropped_total{reason=%q}` %v (with those of scripts)", c.reason, counted)
	}
	answers := []string{noAnswer, "503"}
	if c.forgets {
		answers = append(answers, "401", "404", unknownID)
	}
	l.onlyFailed(answers...)
	report(t, to.row+folderRow(c.name), extent, o, told)
}

// unacknowledged sees that for a while no request is acknowledged, and that it is
// told.
func (l *lab) unacknowledged(why string, d time.Duration) {
	l.t.Helper()
	l.awaitFailures(10 * labClients) // each of them has met it
	before := l.acknowledged()
	l.down(why, d)
	if now := l.acknowledged(); now != before {
		l.t.Errorf("%d points were acknowledged", now-before)
	}
	l.onlyFailed("503")
}

// awaitErrorLine waits until the log tells something.
func (l *lab) awaitErrorLine(has string) {
	l.t.Helper()
	eventually(l.t, fmt.Sprintf("an error line with %q", has), func() error {
		if told := errorLines(l.log()); !strings.Contains(told, has) {
			return fmt.Errorf("they are:\n%s", tail(told, 2000))
		}
		return nil
	})
}

// dropped waits until what was lost is counted.
func (l *lab) dropped(reason string) (n float64) {
	l.t.Helper()
	series := fmt.Sprintf(`scriptbridge_upload_dropped_total{reason=%q,upload=%q}`, reason, l.upload.name)
	eventually(l.t, series+" to count", func() error {
		n, _ = l.metric(series)
		if n == 0 {
			return fmt.Errorf("it is 0; the log:\n%s", tail(l.log(), 2000))
		}
		return nil
	})
	return n
}
