package coscale

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"scriptbridge/record"
)

// page is what a proxy, a portal or a firewall answers.
const page = "<html><head><title>Site</title></head></html>"

// TestUploadForeign has everything be answered for a while by something that is
// not the API: nothing is lost, nothing is set aside, it is told, and all
// arrives in the end, each event once.
func TestUploadForeign(t *testing.T) {
	all := func(*http.Request) bool { return true }
	part := func(words ...string) func(*http.Request) bool {
		return func(r *http.Request) bool {
			for _, w := range words {
				if strings.Contains(r.URL.Path, w) {
					return true
				}
			}
			return false
		}
	}
	for name, c := range map[string]struct {
		what func(*http.Request) bool
		f    fault
		told string // in the last error
	}{
		"404":                {all, fault{status: 404, body: page}, "404 Not Found: the answer is not of this API: " + page},
		"404 of another API": {all, fault{status: 404, body: `{"message":"no Route matched with those values"}`}, "404 Not Found: the answer is not of this API: {"},
		"403":                {all, fault{status: 403, body: page}, "403 Forbidden: the answer is not of this API"},
		"400 for data":       {part("/data/"), fault{status: 400, body: page}, "400 Bad Request: the answer is not of this API"},
		"413 for data":       {part("/data/"), fault{status: 413, body: page}, "413 Request Entity Too Large: the answer is not of this API"},
		"409 for data":       {part("/data/"), fault{status: 409, body: page}, "409 Conflict: the answer is not of this API"},
		"200":                {all, fault{status: 200, body: page}, "200 OK: the answer is not of this API: " + page},
		"200 for data":       {part("app/data/"), fault{status: 200, body: page}, "200 OK: the answer is not of this API: " + page},
		"nothing for data":   {part("app/data/"), fault{status: 200, body: " "}, "200 OK: the answer is not of this API: it is empty"},
		"a list for data":    {part("app/data/"), fault{status: 200, body: "[]"}, "200 OK: the answer is not of this API: []"},
		"200 for a link":     {part("/metricgroups/101/metrics/"), fault{status: 200, body: page}, ""},
		"moved":              {all, fault{status: 302, header: http.Header{"Location": {"https://new.example/login"}}}, "302 Found: a redirect to https://new.example/login"},
	} {
		t.Run(name, func(t *testing.T) {
			underTest(t, func(r *rig) {
				down := false
				r.peer.fault = func(req *http.Request, _ url.Values) fault {
					if down && c.what(req) {
						return c.f
					}
					return fault{}
				}
				m := *declared("GAUGE", "Instant")
				m.Rare = &record.Rare{Groups: "G", Tags: "CPU"}
				put := func(i int) {
					b := backup(fmt.Sprint(i), fmt.Sprint("message ", i), time.Minute)
					b.Samples = []record.Sample{one(&m, float64(i)), {Name: fmt.Sprint("new", i), Value: 1}}
					r.put(b)
					r.pass(time.Minute)
				}
				put(0)
				r.pass(10 * time.Second) // it is sent
				r.peer.mu.Lock()
				down = true
				r.peer.mu.Unlock()
				for i := 1; i < 15; i++ {
					put(i)
				}
				stats := r.Stats()
				if stats.Refused != 0 || stats.Dropped != 0 || c.told != "" && (!strings.Contains(stats.Failing, c.told) || stats.Items == 0) {
					t.Errorf("while it lasts: %+v", stats)
				}
				r.peer.mu.Lock()
				down = false
				r.peer.mu.Unlock()
				r.pass(5 * time.Minute)
				if stats := r.Stats(); stats.Entries != 0 || stats.Refused != 0 || stats.Sent != 3*15 || stats.Failing != "" {
					t.Errorf("afterwards: %+v", stats)
				}
				if got := r.values(); len(got) != 2*15 || len(r.peer.events) != 15 {
					t.Errorf("values: %q, %d events", got, len(r.peer.events))
				}
				if calls := grep(r.peer.asked(), "POST metricgroups/"); len(grep(calls, "/metrics/")) == 0 {
					t.Errorf("the metric was never put into its group: %q", calls)
				}
			})
		})
	}
}

// TestUploadToHandlerAnew has our own receiver forget all it had, as
// without a storage, or with a new disk: the objects are made again, and no
// value is lost.
func TestUploadToHandlerAnew(t *testing.T) {
	underTest(t, func(r *rig) {
		m := &record.Meta{ID: "1", Name: "Traffic", Unit: "b/s", Datatype: "GAUGE", Calctype: "Instant", Rare: &record.Rare{Groups: "Network"}}
		var want []string
		for i := range 6 {
			sink := r.toHandler()
			for j := range 3 {
				n := 10*i + j
				want = append(want, fmt.Sprintf("Traffic - Custom of server web-1: %d %d b/s", n, time.Now().Unix()))
				r.put(&record.Batch{Samples: []record.Sample{one(m, float64(n))}})
				r.pass(time.Minute)
			}
			r.pass(time.Minute)
			r.want(fmt.Sprint("samples of handler ", i), sink.told(), want)
			want = nil
		}
		if stats := r.Stats(); stats.Refused != 0 || stats.Entries != 0 {
			t.Errorf("stats: %+v", stats)
		}
	})
}

// fileText is a file's text; empty where there is none.
func (r *rig) fileText(path string) string {
	r.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.t.Fatal(err)
	}
	return string(text)
}

// TestUploadDroppedInFlight fills the spool while what it holds is on its way:
// each value is counted once, as sent or as dropped.
func TestUploadDroppedInFlight(t *testing.T) {
	underTest(t, func(r *rig) {
		r.spool.SetMaxBytes(64 << 10)
		total := 0
		fill := func() {
			b := &record.Batch{}
			for i := range 500 {
				b.Samples = append(b.Samples, sample(fmt.Sprint("m", i), float64(total+i)))
			}
			b.Events = []record.Event{event1(fmt.Sprint(total), "m")}
			total += 501
			r.put(b)
		}
		fill()
		calls := 0
		r.lies(func(req *http.Request, _ url.Values) fault {
			if is(req, "POST", "data/") {
				if calls++; calls == 1 {
					for range 20 {
						fill()
					}
				}
			}
			return fault{}
		})
		r.pass(5 * time.Minute)
		stats := r.Stats()
		if stats.Dropped == 0 || stats.Entries != 0 || stats.Sent+stats.Dropped != uint64(total) {
			t.Errorf("%d were put: %+v", total, stats)
		}
	})
}

// TestUploadClock has batches come while the clock is wrong: what is far ahead is
// not waited for, and what the other end refuses for its time counts as refused.
func TestUploadClock(t *testing.T) {
	underTest(t, func(r *rig) {
		sink := r.toHandler()
		r.end()
		r.other = r.other.(*listener).direct
		r.start()
		now := time.Now()
		put := func(name string, at time.Time) {
			r.put(&record.Batch{Time: at, Samples: []record.Sample{sample(name, 1)}, Events: []record.Event{{ID: name, Name: "E", Message: name}}})
		}
		put("boot", time.Unix(66, 0))
		put("years", now.AddDate(10, 0, 0))
		put("hour", now.Add(time.Hour))
		put("minutes", now.Add(5*time.Minute))
		r.pass(70 * time.Second)
		for range 3 {
			put("now", time.Now())
			r.pass(time.Minute)
		}
		var values []string
		for _, v := range sink.told() {
			values = append(values, strings.Fields(v)[1])
		}
		r.want("values", values, []string{"hour", "now", "now", "now"})
		stats := r.Stats()
		if stats.Items != 2 || stats.Refused != 4 || stats.Failing != "" { // two of minutes wait
			t.Errorf("stats: %+v", stats)
		}
		text := r.fileText(r.path + ".refused")
		for _, why := range []string{"the time 66 is before 1973", "is more than a day ahead"} {
			if !strings.Contains(text, why) {
				t.Errorf("it is not told that %s: %s", why, text)
			}
		}
		r.pass(3 * time.Minute)
		if stats := r.Stats(); stats.Items != 0 || stats.Refused != 4 {
			t.Errorf("when its time had come: %+v", stats)
		}
	})
}
