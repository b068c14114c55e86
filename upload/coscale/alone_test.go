package coscale

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// lies has the peer answer with a fault where it says so.
func (r *rig) lies(f func(req *http.Request, body url.Values) fault) {
	r.peer.mu.Lock()
	defer r.peer.mu.Unlock()
	r.peer.fault = f
}

// is says whether a request is one of a method and a path, whose last part may
// be any.
func is(req *http.Request, method, path string) bool {
	return req.Method == method && strings.HasPrefix(req.URL.Path, "/api/v1/app/app/"+path)
}

// ofEventData says whether a request is of the data of events.
func ofEventData(req *http.Request) bool {
	return is(req, req.Method, "events/") && strings.Contains(req.URL.Path, "/data/")
}

func event1(id, message string) record.Event {
	return record.Event{ID: id, Name: "E", Message: message, Start: time.Now(), Subject: record.Subject{Kind: record.Application}}
}

func sample(name string, v float64) record.Sample { return record.Sample{Name: name, Value: v} }

// aside counts the lines of what was set aside.
func (r *rig) aside() int {
	r.t.Helper()
	return strings.Count(r.fileText(r.path+".refused"), "\n")
}

// TestUploadAllRefused has the API refuse all in the same words, as one whose
// application is switched off: that is an outage, however much or little there
// is to send, and nothing goes aside.
func TestUploadAllRefused(t *testing.T) {
	for name, put := range map[string]func(r *rig, i int){
		"a value a minute":  func(r *rig, i int) { r.put(&record.Batch{Samples: []record.Sample{sample("a", float64(i))}}) },
		"an event a minute": func(r *rig, i int) { r.put(&record.Batch{Events: []record.Event{event1(fmt.Sprint(i), "m")}}) },
		"many, and new ones": func(r *rig, i int) {
			b := &record.Batch{}
			for j := range 10 {
				b.Samples = append(b.Samples, sample(fmt.Sprint("m", j), float64(i)), sample(fmt.Sprint("new", i, j), 1))
				b.Events = append(b.Events, event1(fmt.Sprint(i, j), fmt.Sprint(i, j)))
			}
			r.put(b)
		},
	} {
		for _, all := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, %t", name, all), func(t *testing.T) {
				underTest(t, func(r *rig) {
					put(r, 0)
					r.pass(70 * time.Second)
					before := r.Stats().Sent
					if before == 0 {
						t.Fatal("nothing was sent")
					}
					r.lies(func(req *http.Request, _ url.Values) fault {
						if all || strings.HasSuffix(req.URL.Path, "/data/") {
							return fault{status: 403, body: `{"msg":"The application is disabled."}`}
						}
						return fault{}
					})
					for i := range 30 {
						put(r, i+1)
						r.pass(time.Minute)
					}
					if stats := r.Stats(); stats.Refused != 0 || stats.Sent != before || r.aside() != 0 ||
						!strings.HasSuffix(stats.Failing, "403 Forbidden: The application is disabled.") {
						t.Errorf("while it lasts: %+v", stats)
					}
					r.lies(nil)
					r.pass(5 * time.Minute)
					if stats := r.Stats(); stats.Refused != 0 || stats.Sent != 31*before || stats.Entries != 0 || stats.Failing != "" {
						t.Errorf("afterwards: %+v", stats)
					}
				})
			})
		}
	}
}

// TestUploadSomeRefused has the API refuse some things for good, of which there
// may be many, at the front, at the end or all over: they go aside as soon as it is
// known that the others are accepted, and hold up none of these.
func TestUploadSomeRefused(t *testing.T) {
	for name, bad := range map[string]func(i int) bool{
		"the first":   func(i int) bool { return i == 0 },
		"the last":    func(i int) bool { return i == 99 },
		"the front":   func(i int) bool { return i < 60 },
		"every other": func(i int) bool { return i%2 == 0 },
		"all but one": func(i int) bool { return i != 50 },
	} {
		t.Run(name, func(t *testing.T) {
			underTest(t, func(r *rig) {
				r.lies(func(req *http.Request, body url.Values) fault {
					no := fault{status: 422, body: `{"msg":"No."}`}
					switch {
					case is(req, "POST", "metrics/") && strings.HasPrefix(body.Get("name"), "net unmade"):
						return no
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
				b := &record.Batch{}
				want := uint64(0)
				for i := range 100 {
					v, message, metric := 1.0, "good", "made"
					if bad(i) {
						v, message, metric = -1, "bad", "unmade"
						want += 3
					}
					b.Samples = append(b.Samples, sample(fmt.Sprint("m", i), v), sample(fmt.Sprint(metric, i), 1))
					b.Events = append(b.Events, event1(fmt.Sprint(i), message))
				}
				r.put(b)
				r.pass(70 * time.Second)
				for range 20 { // what is refused needs something good to be known for it
					r.put(&record.Batch{Samples: []record.Sample{sample("m50", 1)}, Events: []record.Event{event1(fmt.Sprint("later", time.Now()), "good")}})
					r.pass(time.Minute)
				}
				if stats := r.Stats(); stats.Refused != want || stats.Sent != 340-want || stats.Entries != 0 || r.aside() != int(want) || stats.Failing != "" {
					t.Errorf("%d lines are aside, not %d; %+v", r.aside(), want, stats)
				}
			})
		})
	}
}

// TestUploadStuck has one thing that cannot be settled, each in a way of its own:
// all else goes on without it, it is tried again, and goes aside alone when it
// has been the only one for long. An outage in between counts for nothing.
func TestUploadStuck(t *testing.T) {
	const garbage = "garbage"
	for name, f := range map[string]func(req *http.Request, body url.Values) fault{
		"an event whose answer is lost and whose listing is garbage": func(req *http.Request, body url.Values) fault {
			switch {
			case ofEventData(req) && req.Method == "GET":
				return fault{status: 200, body: garbage}
			case ofEventData(req) && body.Get("message") == "bad":
				return fault{before: true}
			}
			return fault{}
		},
		"an event that a firewall dislikes": func(req *http.Request, body url.Values) fault {
			if ofEventData(req) && body.Get("message") == "bad" {
				return fault{status: 403, body: page}
			}
			return fault{}
		},
		"an event that ends the server": func(req *http.Request, body url.Values) fault {
			if ofEventData(req) && body.Get("message") == "bad" {
				return fault{before: true}
			}
			return fault{}
		},
		"a metric that is made without an id": func(req *http.Request, body url.Values) fault {
			if is(req, "POST", "metrics/") && body.Get("name") == "net bad" {
				return fault{status: 200, body: "{}"}
			}
			return fault{}
		},
		"a dimension whose link is a page": func(req *http.Request, body url.Values) fault {
			if is(req, "POST", "metrics/") && strings.Contains(req.URL.Path, "/dimensions/") {
				return fault{status: 200, body: page}
			}
			return fault{}
		},
		"a value that is too much for the server": func(req *http.Request, body url.Values) fault {
			if is(req, "POST", "data/") {
				for _, d := range decodeCall(t, body) {
					for _, p := range d.Points {
						if p.Value == 13 {
							return fault{status: 500}
						}
					}
				}
			}
			return fault{}
		},
		"a metric that is not there, whatever is done": func(req *http.Request, body url.Values) fault {
			if is(req, "POST", "metrics/") && body.Get("name") == "net bad" {
				return fault{status: 404}
			}
			return fault{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			underTest(t, func(r *rig) {
				good := 0
				minute := func(events bool) {
					b := &record.Batch{Samples: []record.Sample{sample("a", 1), sample("b", 2)}}
					if events {
						b.Events = []record.Event{event1(fmt.Sprint(good), "good")}
					}
					good += 2 + len(b.Events)
					r.put(b)
					r.pass(time.Minute)
				}
				sent := func() uint64 { return uint64(good) }
				minute(true)
				r.lies(f)
				b := &record.Batch{}
				if strings.Contains(name, "event") {
					b.Events = []record.Event{event1("bad", "bad")}
				} else {
					b.Samples = []record.Sample{{Name: "bad", Value: 13, Labels: []record.Label{{Name: "x", Value: "y"}}}}
				}
				r.put(b)
				for i := range 9 {
					minute(i%3 == 1)
				}
				r.pass(10 * time.Second)
				stats := r.Stats()
				if stats.Items != 1 || stats.Sent != sent() || stats.Refused != 0 || !strings.HasPrefix(stats.Failing, "1 of what waits cannot be settled, all else can") {
					t.Errorf("after nine minutes, %d good: %+v", sent(), stats)
				}
				// An outage, in which an hour goes by.
				r.lies(func(*http.Request, url.Values) fault { return fault{status: 200, body: page} })
				for range 60 {
					minute(false) // of an event it would not be known whether it is there
				}
				if stats := r.Stats(); stats.Refused != 0 || r.aside() != 0 || !strings.Contains(stats.Failing, page) {
					t.Errorf("in the outage: %+v", stats)
				}
				r.lies(f)
				for i := range 9 {
					minute(i%3 == 1)
				}
				r.pass(10 * time.Second)
				if stats := r.Stats(); stats.Items != 1 || stats.Refused != 0 || stats.Sent != sent() {
					t.Errorf("nine minutes after it, %d good: %+v", sent(), stats)
				}
				for i := range 5 {
					minute(i%3 == 1)
				}
				r.pass(10 * time.Second)
				if stats := r.Stats(); stats.Items != 0 || stats.Refused != 1 || stats.Sent != sent() || stats.Failing != "" || r.aside() != 1 {
					t.Errorf("in the end, %d good: %+v", sent(), stats)
				}
				if text := r.fileText(r.path + ".refused"); !strings.Contains(text, "it could not be settled for 10m0s while all else was: ") {
					t.Errorf("aside: %s", text)
				}
			})
		})
	}
}

// TestUploadUnreadable has an entry that cannot be read beside values of which one
// point is made at the end of the slot: it goes aside once, when it goes.
func TestUploadUnreadable(t *testing.T) {
	underTest(t, func(r *rig) {
		r.put(&record.Batch{Samples: []record.Sample{{Name: "h", Value: 3, Op: record.Observe}}})
		if err := r.spool.Update(func(tx *spool.Tx) error { return tx.Append(time.Now(), 2, []byte("no entry")) }); err != nil {
			t.Fatal(err)
		}
		r.pass(70 * time.Second)
		if stats := r.Stats(); stats.Sent != 1 || stats.Refused != 2 || stats.Entries != 0 || r.aside() != 1 {
			t.Errorf("%d lines are aside: %+v", r.aside(), stats)
		}
	})
}

// TestUploadStuckChange has a change of an event whose present state cannot be
// read.
func TestUploadStuckChange(t *testing.T) {
	underTest(t, func(r *rig) {
		r.put(backup("1", "begun", 0))
		r.pass(70 * time.Second)
		r.lies(func(req *http.Request, _ url.Values) fault {
			if is(req, "GET", "events/") && strings.Contains(req.URL.Path, "/get/") {
				return fault{status: 200, body: "[]"}
			}
			return fault{}
		})
		r.put(backup("1", "ended", time.Minute))
		for i := range 15 {
			r.put(backup(fmt.Sprint("other", i), "begun", 0))
			r.pass(time.Minute)
		}
		r.pass(10 * time.Second)
		if stats := r.Stats(); stats.Sent != 16 || stats.Refused != 1 || stats.Entries != 0 {
			t.Errorf("stats: %+v", stats)
		}
	})
}

// TestUploadStuckHeals: what cannot be settled is when it can be again, in the
// order of its words.
func TestUploadStuckHeals(t *testing.T) {
	underTest(t, func(r *rig) {
		lost := false
		r.lies(func(req *http.Request, body url.Values) fault {
			switch {
			case ofEventData(req) && req.Method == "GET":
				return fault{status: 200, body: "garbage"}
			case ofEventData(req) && body.Get("message") == "begun" && !lost:
				lost = true
				return fault{after: true} // the server has it
			}
			return fault{}
		})
		r.put(backup("1", "begun", 0))
		r.pass(70 * time.Second)
		r.put(backup("1", "ended", time.Minute))
		for i := range 4 {
			r.put(backup(fmt.Sprint("other", i), fmt.Sprint("other", i), 0))
			r.pass(time.Minute)
		}
		if stats := r.Stats(); stats.Items != 2 || stats.Sent != 4 || len(r.peer.events) != 5 {
			t.Errorf("while it is stuck: %+v, %d events", stats, len(r.peer.events))
		}
		r.lies(nil)
		r.pass(3 * time.Minute)
		if stats := r.Stats(); stats.Items != 0 || stats.Refused != 0 || len(r.peer.events) != 5 || r.peer.events[0].Message != "ended" {
			t.Errorf("healed: %+v, %d events, the first %q", stats, len(r.peer.events), r.peer.events[0].Message)
		}
	})
}

// TestUploadTooLarge has a proxy refuse calls of more than so many bytes: they
// are made smaller, and all arrives.
func TestUploadTooLarge(t *testing.T) {
	underTest(t, func(r *rig) {
		r.lies(func(req *http.Request, body url.Values) fault {
			if req.ContentLength > 4096 {
				return fault{status: 413, body: page}
			}
			return fault{}
		})
		b := &record.Batch{}
		for i := range 1000 {
			b.Samples = append(b.Samples, sample(fmt.Sprint("m", i), float64(i)*1.1))
		}
		r.put(b)
		r.pass(70 * time.Second)
		if stats := r.Stats(); stats.Sent != 1000 || stats.Refused != 0 || stats.Entries != 0 || stats.Retried != 0 {
			t.Errorf("stats: %+v", stats)
		}
	})
}

// TestUploadRetryAfter: a server that asks to be left alone is.
func TestUploadRetryAfter(t *testing.T) {
	underTest(t, func(r *rig) {
		asked := 0
		r.lies(func(*http.Request, url.Values) fault {
			asked++
			return fault{status: 429, body: page, header: http.Header{"Retry-After": {"300"}}}
		})
		r.put(&record.Batch{Samples: []record.Sample{sample("a", 1)}, Events: []record.Event{event1("1", "m")}})
		r.pass(65*time.Second + 290*time.Second)
		if asked != 1 {
			t.Errorf("it was asked %d times", asked)
		}
		r.lies(nil)
		r.pass(20 * time.Second)
		if stats := r.Stats(); stats.Sent != 2 {
			t.Errorf("stats: %+v", stats)
		}
	})
}

// TestUploadRestore refuses all kinds of things, and takes them when they are
// queued again: they say what they said before. What a former version set aside
// is queued again too.
func TestUploadRestore(t *testing.T) {
	underTest(t, func(r *rig) {
		refuse := true
		r.lies(func(req *http.Request, body url.Values) fault {
			if refuse && (ofEventData(req) && body.Get("message") != "good" || is(req, "POST", "metrics/") && body.Get("name") != "net good") {
				return fault{status: 422}
			}
			return fault{}
		})
		b := &record.Batch{
			Via: []string{"other"},
			Samples: []record.Sample{
				one(declared("GAUGE", "Instant"), 1), one(declared("DOUBLE", "Average"), 2),
				{Name: "h", Value: 3, Op: record.Observe, Labels: []record.Label{{Name: "x", Value: "y"}}},
			},
			Events: []record.Event{event1("1", "bad")},
		}
		r.put(b)
		r.put(&record.Batch{Samples: []record.Sample{sample("good", 0)}, Events: []record.Event{event1("2", "good")}})
		r.pass(70 * time.Second)
		if stats := r.Stats(); stats.Refused != 4 || stats.Sent != 2 || stats.Entries != 0 {
			t.Fatalf("stats: %+v", stats)
		}
		r.end()
		former := `{"time":"2026-01-01T00:00:00Z","error":"e","data":{"metric":"old","unit":"b","subject":"group","name":"all","dimensions":{"d":"e"},"points":[[946684800,7],[946684801,8]]}}` + "\n" +
			`{"time":"2026-01-01T00:00:00Z","error":"e","data":{"metric":"old h","subject":"server","name":"web-1","points":[[946684800,[4,10,[1,2]]]]}}` + "\n" +
			`{"time":"2026-01-01T00:00:00Z","error":"e","data":{"key":"event/k","hash":"h","category":"old","message":"old","start":946684800,"subject":{"Kind":3,"Name":""}}}` + "\n" +
			`{"time":"2026-01-01T00:00:00Z","error":"e","data":"dgM="}` + "\n"
		if err := os.WriteFile(r.path+".refused.1", []byte(former), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := spool.Open(spool.Options{Path: r.path, MaxBytes: 1 << 30})
		if err != nil {
			t.Fatal(err)
		}
		if back, left, err := s.Restore(completeAside); back != 8 || left != 1 || err != nil {
			t.Errorf("%d items, %d lines left, %v", back, left, err)
		}
		s.Close()
		refuse = false
		r.start()
		r.pass(10 * time.Second)
		if stats := r.Stats(); stats.Refused != 0 || stats.Sent != 8 || stats.Entries != 0 {
			t.Errorf("stats: %+v", stats)
		}
		r.want("values", r.values(), []string{
			"DOUBLEAverage - Custom@web-1 0 2", "GAUGEInstant - Custom@web-1 0 1", "net good@web-1 0 0", "net h@web-1{x=y} 0 0",
			"old h@web-1 0 0", "old@all{d=e} 0 7", "old@all{d=e} 1 8",
		})
		if len(r.peer.events) != 3 {
			t.Errorf("%d events", len(r.peer.events))
		}
	})
}
