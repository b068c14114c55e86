package coscale

import (
	"crypto/rand"
	"errors"
	"math"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"scriptbridge/internal/testkit"
	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// roundTripper is a function as the way to a server.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A slot is over a little after its end, whenever the uploader begins: what comes
// in that moment belongs to the one value that is sent of it.
func TestUploadStartsAtASlotsEnd(t *testing.T) {
	underTest(t, func(r *rig) {
		mean := declared("GAUGE", "Average")
		r.put(&record.Batch{Samples: []record.Sample{one(mean, 1)}})
		r.end()
		r.pass(time.Minute + time.Second)
		r.start()
		r.pass(time.Second)
		r.want("values within the moment", r.values(), nil)
		r.put(&record.Batch{Time: time.Now().Add(-10 * time.Second), Samples: []record.Sample{one(mean, 3)}})
		r.pass(10 * time.Second)
		r.want("values after it", r.values(), []string{"GAUGEAverage - Custom@web-1 0 2"})
	})
}

// What is sent once for a slot is kept when it does not arrive: the end may come
// while it is tried.
func TestUploadEndsBeforeItArrives(t *testing.T) {
	underTest(t, func(r *rig) {
		away := true
		peer := r.peer
		r.end()
		r.other = roundTripper(func(req *http.Request) (*http.Response, error) {
			if away && strings.HasSuffix(req.URL.Path, "/data/") && req.Method == http.MethodPost {
				return nil, errors.New("it is away")
			}
			return peer.RoundTrip(req)
		})
		r.start()
		r.put(&record.Batch{Samples: []record.Sample{one(declared("GAUGE", "Average"), 7)}})
		r.pass(70 * time.Second)
		if stats := r.Stats(); stats.Retried == 0 || stats.Entries != 1 {
			t.Errorf("while it is away: %+v", stats)
		}
		r.end()
		away = false
		r.start()
		r.pass(time.Minute)
		r.want("values", r.values(), []string{"GAUGEAverage - Custom@web-1 0 7"})
		if stats := r.Stats(); stats.Entries != 0 || stats.Sent != 1 {
			t.Errorf("afterwards: %+v", stats)
		}
	})
}

// An entry that cannot be read, as one that a later version has written, is set
// aside, and holds up nothing.
func TestUploadUnreadableEntry(t *testing.T) {
	underTest(t, func(r *rig) {
		for _, data := range []string{"\xffof tomorrow", "", string([]byte{valuesEntry, 1}), string([]byte{eventEntry, 1})} {
			if err := r.spool.Update(func(tx *spool.Tx) error { return tx.Append(time.Now(), 2, []byte(data)) }); err != nil {
				t.Fatal(err)
			}
		}
		r.put(&record.Batch{Samples: []record.Sample{one(declared("GAUGE", "Instant"), 7)}})
		r.pass(70 * time.Second)
		r.want("values", r.values(), []string{"GAUGEInstant - Custom@web-1 0 7"})
		if stats := r.Stats(); stats.Entries != 0 || stats.Refused != 8 || stats.Sent != 1 {
			t.Errorf("stats: %+v", stats)
		}
		text, err := os.ReadFile(r.path + ".refused")
		if err != nil || strings.Count(string(text), "\n") != 4 {
			t.Errorf("set aside: %q, %v", text, err)
		}
	})
}

// After an outage the queue's room is given back to the disk.
func TestUploadGivesRoomBack(t *testing.T) {
	underTest(t, func(r *rig) {
		size := func() int64 {
			info, err := os.Stat(r.path)
			if err != nil {
				t.Fatal(err)
			}
			return info.Size()
		}
		b := &record.Batch{}
		for range 100_000 {
			var label string // which cannot be compressed to nothing
			for range 10 {
				label += rand.Text()
			}
			b.Samples = append(b.Samples, record.Sample{Name: "n", Value: 1, Labels: []record.Label{{Name: "long", Value: label}}})
		}
		r.put(b)
		if size() < 16<<20 {
			t.Fatalf("the file has %d bytes", size())
		}
		r.pass(3 * time.Minute)
		if n := size(); n > 2<<20 || r.Stats().Entries != 0 {
			t.Errorf("the file still has %d bytes: %+v", n, r.Stats())
		}
	})
}

// Slots begin at multiples of the interval since 1970, whatever it is.
func TestSlots(t *testing.T) {
	for _, interval := range []time.Duration{time.Second, 7 * time.Second, time.Minute, 11 * time.Minute, 25 * time.Hour} {
		u := &Uploader{interval: interval}
		for _, at := range []int64{0, 1, 946684800, 1785000000} {
			n := at - at%int64(interval/time.Second)
			if got := u.slot(time.Unix(at, 5)); !got.Equal(time.Unix(n, 0)) {
				t.Errorf("%v, %d: %d, want %d", interval, at, got.Unix(), n)
			}
		}
	}
}

// A unit that was only declared, and never came with a value, is known all the
// same, also after a restart: names do not depend on who spoke first.
func TestUploadDeclaredUnit(t *testing.T) {
	underTest(t, func(r *rig) {
		ms, s := *declared("GAUGE", "Instant"), *declared("GAUGE", "Instant")
		ms.Unit, s.Unit = "ms", "s"
		r.put(&record.Batch{Declared: &record.Declared{Metrics: []*record.Meta{&ms}}})
		r.end()
		r.start()
		r.put(&record.Batch{Samples: []record.Sample{one(&s, 7)}})
		r.pass(70 * time.Second)
		r.want("values", r.values(), []string{"GAUGEInstant (s) - Custom@web-1 0 7"})
	})
}

// A difference that is no number any more is not sent, and not set aside either.
func TestUploadEndlessDifference(t *testing.T) {
	underTest(t, func(r *rig) {
		wave := declared("GAUGE", "Difference")
		for _, v := range []float64{-math.MaxFloat64, math.MaxFloat64, math.MaxFloat64} {
			r.put(&record.Batch{Samples: []record.Sample{one(wave, v)}})
			r.pass(20 * time.Second)
		}
		r.pass(time.Minute)
		r.want("values", r.values(), []string{"GAUGEDifference - Custom@web-1 40 0"})
		if stats := r.Stats(); stats.Sent != 1 || stats.Refused != 0 {
			t.Errorf("stats: %+v", stats)
		}
	})
}

// An event that goes on for weeks and is repeated all the time is one event.
func TestUploadLongEvent(t *testing.T) {
	testkit.NeedManyLooks(t)
	underTest(t, func(r *rig) {
		e := record.Event{ID: "1", Name: "Outage", Start: time.Now()}
		for range 40 * 4 {
			r.put(&record.Batch{Events: []record.Event{e}})
			r.pass(6*time.Hour + time.Minute)
		}
		if n := len(r.peer.events); n != 1 {
			t.Errorf("the server has %d events", n)
		}
		if stats := r.Stats(); stats.Sent != 1 || stats.Entries != 0 {
			t.Errorf("stats: %+v", stats)
		}
	})
}
