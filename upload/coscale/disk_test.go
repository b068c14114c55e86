package coscale

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scriptbridge/record"
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
