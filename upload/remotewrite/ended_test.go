package remotewrite

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/exp/api/remote"

	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// What was written only as part of what a source shows ends too, when it is gone before
// all is written again; also when the bridge was stopped in between, and when the source
// is gone by then.
func TestPartEnds(t *testing.T) {
	for _, c := range []struct {
		name          string
		restart, gone bool
	}{{"at once", false, false}, {"over a restart", true, false}, {"with its source", true, true}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				to := newReceiver(remote.WriteV2MessageType)
				b := newBench(t, to)
				b.start()
				pushed := &record.Source{Kind: record.Receiver, Name: "pushed"}
				if !c.gone {
					b.page.set(pushed, shownOf("# TYPE stays gauge\nstays 1\n", ""))
				}
				for _, text := range []string{"# TYPE event info\nevent_info{code=\"-1\"} 1\n", "# TYPE event info\nevent_info{code=\"-1\"} 1\n", "# TYPE event info\nevent_info{code=\"0\"} 1\n"} {
					part := shownOf(text, "")
					part.Whole = false
					if err := b.Put(&record.Batch{Source: pushed, Time: time.Now(), Shown: part}); err != nil {
						t.Error(err)
					}
				}
				if c.restart {
					b.stop()
					b.start()
				}
				b.pass(2 * time.Minute)
				got := b.seen()
				for _, want := range []string{`{__name__="event_info", code="-1"} stale`, `{__name__="event_info", code="0"} stale`} {
					if n := len(slices.DeleteFunc(slices.Clone(got), func(s string) bool { return s != want })); n != 1 {
						t.Errorf("%d times %s in %q", n, want, got)
					}
				}
				if slices.Contains(got, `{__name__="stays"} stale`) {
					t.Errorf("it has ended: %q", got)
				}
				b.pass(5 * time.Minute)
				if got := b.seen(); slices.ContainsFunc(got, func(s string) bool { return s != `{__name__="stays"} 1` }) {
					t.Errorf("later: %q", got)
				}
				b.stop()
			})
		})
	}
}

// Without a page nobody asks again what has ended, and so nothing is kept for that: a command
// that puts a part, each time of other series, leaves nothing in its storage.
func TestPartWithoutPage(t *testing.T) {
	sp, err := spool.Open(spool.Options{Path: filepath.Join(t.TempDir(), "spool"), MaxBytes: 1 << 30, Logger: log.NewNopLogger()})
	if err != nil {
		t.Fatal(err)
	}
	defer sp.Close()
	u := newUploader(options{Destination: newReceiver(remote.WriteV2MessageType).to(t, ""), Reader: newReader(nil, nil), Interval: time.Minute, Spool: sp, Logger: log.NewNopLogger()})
	for i := range 3 {
		part := shownOf(fmt.Sprintf("# TYPE event info\nevent_info{id=\"%d\"} 1\n", i), "")
		part.Whole = false
		if err := u.Put(&record.Batch{Source: script, Time: time.Now(), Shown: part}); err != nil {
			t.Error(err)
		}
	}
	err = sp.View(func(tx *spool.Tx) error {
		for key := range tx.Each(setPrefix) {
			t.Errorf("%q is kept", key)
		}
		return nil
	})
	if n := sp.Stats().Items; err != nil || n != 3 {
		t.Errorf("%d wait, %v", n, err)
	}
}
