package coscale

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"scriptbridge/record"
	"scriptbridge/upload/spool"

	"scriptbridge/internal/testkit"
)

func backup(id, message string, stop time.Duration) *record.Batch {
	start := time.Unix(946684800, 0)
	e := record.Event{
		ID: id, Name: "Backup", Message: message, Start: start,
		Attributes: []record.Label{{Name: "Exit code", Value: "137"}, {Name: "what", Value: `a "<b>`}, {Name: "no", Value: "007"}},
		Meta:       &record.EventMeta{ID: "1", Name: "Backup", Description: "nightly", Attributes: []string{"Exit code", "what"}},
	}
	if stop > 0 {
		e.Stop = start.Add(stop)
	}
	return &record.Batch{Events: []record.Event{e}}
}

const (
	backupCategory = `POST events/ Backup - Custom attributeDescriptions=%5B%7B%22name%22%3A%22Exit+code%22%2C%22type%22%3A%22string%22%7D%2C%7B%22name%22%3A%22what%22%2C%22type%22%3A%22string%22%7D%5D&description=nightly`
	backupBody     = `attribute=%7B%22Exit+code%22%3A137%2C%22what%22%3A%22a+%5C%22%3Cb%3E%22%2C%22no%22%3A%22007%22%7D&message=`
)

func TestUploadEvents(t *testing.T) {
	underTest(t, func(r *rig) {
		for range 2 { // a source repeats itself
			r.put(backup("1", "begun", 0))
		}
		r.pass(65 * time.Second)
		r.want("requests", r.peer.asked(), []string{
			"POST login/", backupCategory, "POST servers/ web-1 ",
			"POST events/101/data/ " + backupBody + "begun&subject=s102&timestamp=946684800",
		})
		r.put(backup("1", "begun", 0))
		r.pass(65 * time.Second)
		r.want("requests for what is known", r.peer.asked(), nil)

		// A later word changes it, after a restart too; only the last one goes.
		r.end()
		r.start()
		r.put(backup("1", "going on", 0))
		r.put(backup("1", "ended", time.Minute))
		r.pass(65 * time.Second)
		r.want("requests for a change", r.peer.asked(), []string{
			"POST login/", "GET events/101/data/get/103/",
			"PUT events/101/data/103/ " + backupBody + "ended&stopTime=946684860&subject=s102&timestamp=946684800&version=1",
		})
		if stats := r.Stats(); stats.Sent != 1 || stats.Entries != 0 { // since the restart
			t.Errorf("stats: %+v", stats)
		}
	})
}

// TestUploadEventOnce loses the answer, or the request, of every first
// insertion and change.
func TestUploadEventOnce(t *testing.T) {
	for name, f := range map[string]fault{
		"the answer":  {after: true},
		"the request": {before: true},
		"busy":        {status: 503},
	} {
		t.Run(name, func(t *testing.T) {
			underTest(t, func(r *rig) {
				n := 0
				r.peer.fault = func(req *http.Request, _ url.Values) fault {
					if req.Method != http.MethodGet && len(req.URL.Path) > len("/api/v1/app/app/events/") {
						if n++; n%2 == 1 {
							return f
						}
					}
					return fault{}
				}
				for i := range 3 { // the same words, but three events
					r.put(backup(fmt.Sprint(i), "same", time.Minute))
				}
				r.pass(5 * time.Minute)
				if len(r.peer.events) != 3 {
					t.Errorf("the server has %d events", len(r.peer.events))
				}
				r.put(backup("1", "changed", time.Minute))
				r.pass(5 * time.Minute)
				changed := 0
				for _, e := range r.peer.events {
					if e.Message == "changed" {
						changed++
					}
				}
				if len(r.peer.events) != 3 || changed != 1 {
					t.Errorf("the server has %d events, %d of them changed", len(r.peer.events), changed)
				}
				if stats := r.Stats(); stats.Sent != 4 || stats.Entries != 0 || stats.Refused != 0 {
					t.Errorf("stats: %+v", stats)
				}
			})
		})
	}
}

// TestUploadEventChangedInFlight changes an event while it is not known whether
// the server has it.
func TestUploadEventChangedInFlight(t *testing.T) {
	underTest(t, func(r *rig) {
		lost := false
		r.peer.fault = func(req *http.Request, _ url.Values) fault {
			if !lost && req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/data/") {
				lost = true
				return fault{after: true}
			}
			return fault{}
		}
		r.put(backup("1", "begun", 0))
		r.pass(time.Minute + r.grace)
		r.peer.mu.Lock()
		if !lost {
			t.Error("it is not in flight")
		}
		r.peer.mu.Unlock()
		r.put(backup("1", "ended", time.Minute))
		r.pass(3 * time.Minute)
		if len(r.peer.events) != 1 || r.peer.events[0].Message != "ended" {
			t.Errorf("the server has %d events, the first %+v", len(r.peer.events), r.peer.events[0])
		}
	})
}

func TestUploadEventRefused(t *testing.T) {
	underTest(t, func(r *rig) {
		r.peer.fault = func(_ *http.Request, body url.Values) fault {
			if body.Get("message") == "bad" {
				return fault{status: 422}
			}
			return fault{}
		}
		r.put(backup("1", "bad", 0))
		r.put(backup("2", "good", 0))
		r.pass(65 * time.Second)
		if stats := r.Stats(); stats.Sent != 1 || stats.Refused != 1 || stats.Entries != 0 || len(r.peer.events) != 1 {
			t.Errorf("stats: %+v", stats)
		}

		// The server has forgotten all; the event is changed, and so made anew.
		r.peer.reset()
		r.peer.next = 700
		r.put(backup("2", "better", 0))
		r.pass(65 * time.Second)
		if len(r.peer.events) != 1 || r.peer.events[0].Message != "better" {
			t.Errorf("events: %v", r.peer.events)
		}
	})
}

func TestUploadEventNames(t *testing.T) {
	underTest(t, func(r *rig) {
		for _, s := range []*record.Source{{Kind: record.Receiver, Name: "coscale", WholeNames: true}, {Kind: record.Receiver, Name: "statsd"}, {Kind: record.Script, Name: "coin"}} {
			r.put(&record.Batch{Source: s, Events: []record.Event{{ID: "a/b", Name: "Deploy", Subject: record.Subject{Kind: record.Application}}}})
		}
		r.pass(65 * time.Second)
		r.want("categories", grep(r.peer.asked(), "events/ "), []string{
			"POST events/ Deploy attributeDescriptions=%5B%5D",
			"POST events/ statsd Deploy attributeDescriptions=%5B%5D",
			"POST events/ coin Deploy attributeDescriptions=%5B%5D",
		})
	})
}

func TestUploadEventsForgotten(t *testing.T) {
	testkit.NeedManyLooks(t)
	underTest(t, func(r *rig) {
		r.put(backup("1", "old", 0))
		r.pass(16 * 24 * time.Hour)
		r.put(backup("2", "new", 0))
		r.pass(65 * time.Second)
		if got := r.marks(); got != 2 {
			t.Errorf("%d marks are there", got)
		}
	})
}

// marks counts what the spool knows of events: themselves, and their ids.
func (r *rig) marks() int {
	r.t.Helper()
	n := 0
	err := r.spool.View(func(tx *spool.Tx) error {
		for range tx.Each(eventPrefix) {
			n++
		}
		for range tx.Each(claimPrefix) {
			n++
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}
