package coscale

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// TestUploadSentAndNotRemoved: what was sent and cannot be removed from the queue
// is not sent again before that, and nothing else is.
func TestUploadSentAndNotRemoved(t *testing.T) {
	underTest(t, func(r *rig) {
		folder := filepath.Dir(r.path)
		away, calls := false, 0
		move := func(from, to string) {
			if err := os.Rename(from, to); err != nil {
				t.Error(err)
			}
		}
		r.lies(func(req *http.Request, _ url.Values) fault {
			if is(req, "POST", "data/") {
				if calls++; !away { // in the middle of sending
					away = true
					move(folder, folder+".away")
				}
			}
			return fault{}
		})
		for i := range 3 {
			r.put(&record.Batch{Samples: []record.Sample{sample("a", float64(i))}, Time: time.Now().Add(time.Duration(i) * time.Second)})
		}
		r.pass(5 * time.Minute)
		if told := len(r.peer.told()); told != 3 || calls != 1 {
			t.Errorf("%d values arrived in %d calls", told, calls)
		}
		if failing := r.Stats().Failing; !strings.Contains(failing, "the folder was moved away") {
			t.Errorf("failing: %q", failing)
		}
		move(folder+".away", folder)
		r.put(&record.Batch{Samples: []record.Sample{sample("a", 3)}})
		r.pass(5 * time.Minute)
		if told := r.peer.told(); len(told) != 4 || r.peer.again != 0 || calls != 2 {
			t.Errorf("%d values arrived in %d calls, %d more than once: %q", len(told), calls, r.peer.again, told)
		}
		if stats := r.Stats(); stats.Entries != 0 || stats.Sent != 4 || stats.Failing != "" {
			t.Errorf("stats: %+v", stats)
		}
	})
}

// TestUploadAsideFails: what is refused and cannot be set aside, as on a full disk,
// stays in the queue, and keeps nothing else from being sent. It goes aside when
// that works again.
func TestUploadAsideFails(t *testing.T) {
	underTest(t, func(r *rig) {
		if err := os.Mkdir(r.path+".refused", 0o700); err != nil { // in the way
			t.Fatal(err)
		}
		r.lies(func(req *http.Request, body url.Values) fault {
			no := fault{status: 422, body: `{"msg":"No."}`}
			switch {
			case is(req, "POST", "data/"):
				for _, d := range decodeCall(t, body) {
					if d.Points[0].Value < 0 {
						return no
					}
				}
			case ofEventData(req) && body.Get("message") == "bad":
				return no
			}
			return fault{}
		})
		if err := r.spool.Update(func(tx *spool.Tx) error { return tx.Append(time.Now(), 1, []byte("no entry")) }); err != nil {
			t.Fatal(err)
		}
		minutes := func(n int) {
			for range n {
				r.put(&record.Batch{
					Samples: []record.Sample{sample("good", 1), sample("bad", -1)},
					Events:  []record.Event{event1(fmt.Sprint("good", time.Now()), "good"), event1(fmt.Sprint("bad", time.Now()), "bad")},
				})
				r.pass(time.Minute)
			}
			r.pass(time.Minute)
		}
		minutes(3)
		if stats := r.Stats(); stats.Sent != 6 || stats.Refused != 0 || stats.Items != 7 {
			t.Errorf("while nothing can be set aside: %+v", stats)
		}
		if err := os.Remove(r.path + ".refused"); err != nil {
			t.Fatal(err)
		}
		minutes(3)
		if stats := r.Stats(); stats.Sent != 12 || stats.Refused != 13 || stats.Entries != 0 || r.aside() != 13 {
			t.Errorf("%d lines are aside; %+v", r.aside(), stats)
		}
	})
}
