package coscale

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	api "scriptbridge/coscale"
	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// rig is an uploader with its spool and a peer. Time is the bubble's.
type rig struct {
	t     *testing.T
	peer  *peer
	other http.RoundTripper // in the place of peer
	path  string
	spool *spool.Spool
	*Uploader
	stop func()
}

// underTest runs a test with an uploader whose clock stands at the beginning
// of a slot of one minute.
func underTest(t *testing.T, f func(*rig)) {
	path := filepath.Join(t.TempDir(), "coscale")
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, peer: newPeer(), path: path}
		r.start()
		defer func() { r.end() }()
		f(r)
	})
}

func (r *rig) start() {
	r.t.Helper()
	var err error
	if r.spool, err = spool.Open(spool.Options{Path: r.path, MaxBytes: 1 << 30}); err != nil {
		r.t.Fatal(err)
	}
	var transport http.RoundTripper = r.peer
	if r.other != nil {
		transport = r.other
	}
	r.Uploader, err = newUploader(uploaderOptions{
		Client: api.NewClient(api.ClientOptions{
			URL: "http://peer", AppID: "app", HTTP: &http.Client{Transport: transport},
			Token: func() (string, error) { return "token", nil },
		}),
		Server: "web-1", Interval: time.Minute, NameSuffix: " - Custom", Spool: r.spool,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.t.Context())
	ended := make(chan error)
	u := r.Uploader
	go func() { ended <- u.Run(ctx) }()
	r.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Error(err)
		}
	}
}

func (r *rig) end() {
	r.stop()
	if err := r.spool.Close(); err != nil {
		r.t.Error(err)
	}
}

func (r *rig) put(b *record.Batch) {
	r.t.Helper()
	if b.Source == nil {
		b.Source = &record.Source{Kind: record.Script, Name: "net"}
	}
	if b.Time.IsZero() {
		b.Time = time.Now()
	}
	if err := r.Put(b); err != nil {
		r.t.Fatal(err)
	}
}

// pass lets time go by, and the uploader do what it must.
func (r *rig) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (r *rig) want(what string, got, want []string) {
	r.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// values are told, without times before the bubble's beginning: seconds after
// it.
func (r *rig) values() []string {
	var all []string
	for _, line := range r.peer.told() {
		parts := strings.Fields(line)
		var at int64
		fmt.Sscan(parts[len(parts)-2], &at)
		parts[len(parts)-2] = fmt.Sprint(at - 946684800)
		all = append(all, strings.Join(parts, " "))
	}
	return all
}

func declared(datatype, calctype string) *record.Meta {
	return &record.Meta{ID: "1", Name: datatype + calctype, Datatype: datatype, Calctype: calctype}
}

func one(m *record.Meta, v float64) record.Sample {
	op := record.Set
	if m.Datatype == "COUNT" && m.Calctype == "Instant" {
		op = record.Add
	}
	return record.Sample{Name: m.Name, Meta: m, Value: v, Op: op}
}

func TestUploadTypes(t *testing.T) {
	underTest(t, func(r *rig) {
		var metas []*record.Meta
		for _, datatype := range []string{"GAUGE", "DOUBLE", "COUNT", "COUNTER"} {
			for _, calctype := range []string{"Instant", "Difference", "Average"} {
				metas = append(metas, declared(datatype, calctype))
			}
		}
		for _, v := range []float64{10, 16, 4, 5} {
			b := new(record.Batch)
			for _, m := range metas {
				b.Samples = append(b.Samples, one(m, v))
			}
			r.put(b)
			r.pass(20 * time.Second)
		}
		r.pass(2 * time.Minute)
		var want []string
		for _, s := range []struct{ name, values string }{
			{"COUNTAverage", "0 10;60 5"},
			{"COUNTDifference", "20 6;60 1"},
			{"COUNTERAverage", "0 10;60 5"},
			{"COUNTERDifference", "20 6;60 1"},
			{"COUNTERInstant", "0 10;20 16;40 4;60 5"},
			{"COUNTInstant", "0 10;20 16;40 4;60 5"},
			{"DOUBLEAverage", "0 10;60 5"},
			{"DOUBLEDifference", "20 6;60 1"},
			{"DOUBLEInstant", "0 10;20 16;40 4;60 5"},
			{"GAUGEAverage", "0 10;60 5"},
			{"GAUGEDifference", "20 6;40 -12;60 1"},
			{"GAUGEInstant", "0 10;20 16;40 4;60 5"},
		} {
			for v := range strings.SplitSeq(s.values, ";") {
				want = append(want, s.name+" - Custom@web-1 "+v)
			}
		}
		r.want("values", r.values(), want)
		if stats := r.Stats(); stats.Entries != 0 || stats.Sent != uint64(len(want)) {
			t.Errorf("stats: %+v, not %d sent", stats, len(want))
		}
	})
}

func TestUploadRequests(t *testing.T) {
	underTest(t, func(r *rig) {
		m := &record.Meta{
			ID: "1", Name: "Traffic", Help: "what goes by", Unit: "b/s", Datatype: "GAUGE", Calctype: "Instant",
			Rare: &record.Rare{Groups: "Network/Interfaces, Plain", Tags: "NETWORK, IO"}, Dimensions: []string{"interface"},
		}
		sample := func(v float64, subject record.Subject, labels ...record.Label) record.Sample {
			return record.Sample{Name: "Traffic", Labels: labels, Value: v, Meta: m, Subject: subject}
		}
		eth0 := record.Label{Name: "interface", Value: "eth0"}
		first := &record.Batch{
			Run: &record.Run{Interval: 5 * time.Minute},
			Samples: []record.Sample{
				sample(1, record.Subject{}, eth0),
				sample(2, record.Subject{}, record.Label{Name: "interface"}),
				sample(3, record.Subject{Kind: record.Server, Name: "db-1"}, eth0),
				sample(4, record.Subject{Kind: record.Group, Name: "all"}),
				sample(5, record.Subject{Kind: record.Application}),
			},
		}
		r.put(first)
		r.pass(time.Minute)
		r.want("before the slot has settled", r.peer.asked(), nil)
		r.pass(5 * time.Second)
		r.want("requests", r.peer.asked(), []string{
			"POST login/",
			"POST servers/ web-1 ",
			"POST metrics/ Traffic - Custom dataType=DOUBLE&description=what+goes+by&period=300&subject=SERVER&unit=b%2Fs",
			"POST metricgroups/ Network subject=SERVER",
			"POST metricgroups/ Interfaces parentId=103&subject=SERVER",
			"POST metricgroups/104/metrics/102/",
			"POST metricgroups/ Plain subject=SERVER",
			"POST metricgroups/105/metrics/102/",
			"POST metrics/102/attributes/ TAG=NETWORK",
			"POST metrics/102/attributes/ TAG=IO",
			"POST dimensions/ interface ",
			"POST metrics/102/dimensions/106/",
			"POST servers/ db-1 ",
			"POST servergroups/ all state=ENABLED",
			"POST data/ 5",
		})
		r.want("values", r.values(), []string{
			"Traffic - Custom@all 0 4",
			"Traffic - Custom@application 0 5",
			"Traffic - Custom@db-1{interface=eth0} 0 3",
			"Traffic - Custom@web-1 0 2",
			"Traffic - Custom@web-1{interface=eth0} 0 1",
		})

		// Ids last longer than the process.
		r.end()
		r.start()
		first.Time = time.Now()
		r.put(first)
		r.pass(65 * time.Second)
		r.want("requests after a restart", r.peer.asked(), []string{"POST login/", "POST data/ 5"})
	})
}

func TestUploadNames(t *testing.T) {
	underTest(t, func(r *rig) {
		hours := &record.Meta{ID: "1", Name: "Server time", Unit: "hours", Datatype: "GAUGE", Calctype: "Instant"}
		minutes := &record.Meta{ID: "2", Name: "Server time", Unit: "minutes", Datatype: "GAUGE", Calctype: "Instant", Rare: &record.Rare{Rename: "ignored"}}
		plain := &record.Meta{ID: "3", Name: "Size", Datatype: "GAUGE", Calctype: "Instant"}
		bytes := &record.Meta{ID: "1", Name: "Size", Unit: "bytes", Datatype: "GAUGE", Calctype: "Instant"}
		r.put(&record.Batch{ // the declaration alone says that there are two units
			Declared: &record.Declared{Metrics: []*record.Meta{hours, minutes, plain}},
			Samples:  []record.Sample{one(minutes, 1), one(plain, 2)},
		})
		r.put(&record.Batch{
			Source: &record.Source{Kind: record.Script, Name: "node"},
			Samples: []record.Sample{
				{Name: "load1", Value: 3, Labels: []record.Label{{Name: "cpu", Value: "0"}}},
				{Name: "reads_total", Value: 4, Meta: &record.Meta{Name: "reads", Type: record.Counter}},
			},
		})
		r.put(&record.Batch{
			Source:  &record.Source{Kind: record.Receiver, Name: "coscale", WholeNames: true},
			Samples: []record.Sample{{Name: "Pushed", Value: 5, Meta: &record.Meta{Name: "Pushed", Datatype: "DOUBLE"}}},
		})
		r.pass(70 * time.Second)
		r.put(&record.Batch{Source: &record.Source{Kind: record.Script, Name: "other"}, Samples: []record.Sample{one(bytes, 6), one(plain, 7)}})
		r.pass(time.Minute)
		r.want("values", r.values(), []string{
			"Pushed@web-1 0 5",
			"Server time (minutes) - Custom@web-1 0 1",
			"Size (bytes) - Custom@web-1 70 6",
			"Size - Custom@web-1 0 2",
			"Size - Custom@web-1 70 7",
			"node load1@web-1{cpu=0} 0 3",
			"node reads_total@web-1 0 4",
		})
		r.want("kinds", grep(r.peer.asked(), "node "), []string{
			"POST metrics/ node load1 dataType=DOUBLE&period=60&subject=SERVER",
			"POST metrics/ node reads_total dataType=COUNTER&period=60&subject=SERVER",
		})
	})
}

func grep(lines []string, word string) []string {
	var found []string
	for _, line := range lines {
		if strings.Contains(line, word) {
			found = append(found, line)
		}
	}
	return found
}

func TestUploadSkips(t *testing.T) {
	underTest(t, func(r *rig) {
		r.put(&record.Batch{Samples: []record.Sample{
			{Name: "a", Value: math.NaN()},
			{Name: "b", Value: math.Inf(1)},
			{Name: "h_count", Value: 1, Meta: &record.Meta{Name: "h", Type: record.Histogram}},
			{Name: "s_sum", Value: 1, Meta: &record.Meta{Name: "s", Type: record.Summary}},
			{Name: "i", Value: 1, Meta: &record.Meta{Name: "i", Type: record.Info}},
			{Name: "o", Value: 1, Op: record.Observe, Weight: -1},
			{Name: "o", Value: 1, Op: record.Observe, Weight: math.Inf(1)},
			{Name: "o", Value: math.Inf(-1), Op: record.Observe},
		}})
		stats := r.Stats()
		want := map[string]uint64{"not_a_number": 3, "histogram": 1, "summary": 1, "info": 1, "bad_weight": 2}
		if diff := cmp.Diff(want, stats.Skipped); diff != "" || stats.Entries != 0 {
			t.Errorf("skipped (-want +got):\n%s%+v", diff, stats)
		}
	})
}

func TestUploadOwnTimes(t *testing.T) {
	underTest(t, func(r *rig) {
		m := declared("GAUGE", "Average")
		at := func(seconds int, v float64) record.Sample {
			s := one(m, v)
			s.Time = time.Unix(946684800+int64(seconds), 0)
			return s
		}
		r.put(&record.Batch{Samples: []record.Sample{at(-200, 1), at(-190, 3), at(-100, 5), at(0, 8), at(100_000, 10)}})
		r.pass(65 * time.Second)
		r.want("values", r.values(), []string{
			"GAUGEAverage - Custom@web-1 -240 2",
			"GAUGEAverage - Custom@web-1 -120 5",
			"GAUGEAverage - Custom@web-1 0 9", // the future's belongs to the batch's slot
		})
		r.want("calls, the earliest slot first", grep(r.peer.asked(), "data/"), []string{"POST data/ 1", "POST data/ 1", "POST data/ 1"})
	})
}

func TestUploadDifferencesLast(t *testing.T) {
	underTest(t, func(r *rig) {
		m := declared("COUNTER", "Difference")
		put := func(v float64) { r.put(&record.Batch{Samples: []record.Sample{one(m, v)}}) }
		put(100)
		r.end()
		r.start()
		r.pass(time.Second)
		put(130)
		r.put(&record.Batch{Gone: true})
		r.pass(time.Second)
		put(500)
		r.pass(time.Second)
		put(501)
		r.pass(time.Minute)
		r.pass(time.Minute)
		r.want("values", r.values(), []string{
			"COUNTERDifference - Custom@web-1 1 30", "COUNTERDifference - Custom@web-1 3 1",
		})
	})
}

func TestUploadOutage(t *testing.T) {
	underTest(t, func(r *rig) {
		m := declared("GAUGE", "Instant")
		down := true
		kinds := []fault{{status: 500}, {before: true}, {status: 401}, {status: 409}, {status: 429}, {status: 408}, {status: 302}}
		n := 0
		r.peer.fault = func(*http.Request, url.Values) fault {
			if n++; down {
				return kinds[n%len(kinds)]
			}
			return fault{}
		}
		var want []string
		for i := range 10 {
			r.put(&record.Batch{Samples: []record.Sample{one(m, float64(i))}})
			want = append(want, fmt.Sprintf("GAUGEInstant - Custom@web-1 %d %d", 60*i, i))
			r.pass(time.Minute)
		}
		if stats := r.Stats(); stats.Entries != 10 || stats.Sent != 0 || stats.Retried < 5 {
			t.Errorf("stats while it is down: %+v", stats)
		}
		r.end() // in the middle of a pause
		r.start()
		r.pass(time.Second)
		r.peer.mu.Lock()
		down = false
		r.peer.mu.Unlock()
		r.pass(100 * time.Second)
		got := r.values()
		if len(got) != len(want) {
			t.Errorf("values: %q", got)
		}
		for _, line := range want {
			if len(grep(got, line)) == 0 {
				t.Errorf("%s is missing", line)
			}
		}
		if stats := r.Stats(); stats.Entries != 0 || stats.Sent != 10 {
			t.Errorf("stats after: %+v", stats)
		}
	})
}

// TestUploadConflict has a value and an event be answered with 409 for ever, and a tag
// too: what is behind them waits for a minute, once, and then not at all.
func TestUploadConflict(t *testing.T) {
	underTest(t, func(r *rig) {
		r.peer.fault = func(req *http.Request, body url.Values) fault {
			switch {
			case strings.HasSuffix(req.URL.Path, "/attributes/"), strings.HasSuffix(req.URL.Path, "/data/") && strings.Contains(req.URL.Path, "/events/"):
				return fault{status: 409}
			case !strings.HasSuffix(req.URL.Path, "/data/"):
				return fault{}
			}
			for _, d := range decodeCall(t, body) {
				for _, p := range d.Points {
					if p.Value == 13 {
						return fault{status: 409}
					}
				}
			}
			return fault{}
		}
		m := *declared("GAUGE", "Instant")
		m.Rare = &record.Rare{Tags: "CPU"}
		for n, after := range []time.Duration{150 * time.Second, 70 * time.Second} {
			r.put(&record.Batch{
				Samples: []record.Sample{one(&m, float64(n)), {Name: "bad", Value: 13}, {Name: "good", Value: 1}},
				Events:  []record.Event{{ID: fmt.Sprint(n), Name: "E", Message: "m", Start: time.Now()}},
			})
			r.pass(after)
			if stats := r.Stats(); stats.Refused != uint64(2*n+2) || stats.Sent != uint64(2*n+2) || stats.Entries != 0 {
				t.Errorf("batch %d: %+v", n, stats)
			}
		}
	})
}

func TestUploadRefused(t *testing.T) {
	underTest(t, func(r *rig) {
		bad := map[string]bool{}
		r.peer.fault = func(req *http.Request, body url.Values) fault {
			if strings.HasSuffix(req.URL.Path, "/metrics/") && body.Get("name") == "s no metric" {
				return fault{status: 403}
			}
			if strings.HasSuffix(req.URL.Path, "/data/") {
				data := decodeCall(t, body)
				for _, d := range data {
					for _, p := range d.Points {
						if bad[fmt.Sprint(p.Value)] {
							return fault{status: 400}
						}
					}
				}
			}
			return fault{}
		}
		b := &record.Batch{Source: &record.Source{Kind: record.Script, Name: "s"}}
		for i := range 20 {
			b.Samples = append(b.Samples, record.Sample{Name: fmt.Sprintf("m%d", i), Value: float64(i)})
		}
		b.Samples = append(b.Samples, record.Sample{Name: "no metric", Value: 1})
		for i := range 8 {
			b.Samples = append(b.Samples, record.Sample{Name: "m0", Value: 100 + float64(i), Time: time.Now().Add(time.Duration(i-10) * time.Second)})
		}
		bad["7"], bad["13"], bad["103"] = true, true, true
		r.put(b)
		r.pass(70 * time.Second)
		if got := r.values(); len(got) != 20-2+8-1 || len(grep(got, "m7@")) != 0 || len(grep(got, " 103")) != 0 || len(grep(got, " 104")) != 1 {
			t.Errorf("values: %q", got)
		}
		if stats := r.Stats(); stats.Refused != 4 || stats.Sent != 25 || stats.Entries != 0 || stats.Retried != 0 {
			t.Errorf("stats: %+v", stats)
		}
		text, err := os.ReadFile(r.path + ".refused")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for line := range strings.Lines(string(text)) {
			_, what, _ := strings.Cut(line, `,"error"`)
			what, _, _ = strings.Cut(what, `,"items":1`) // and how it would be queued again
			got = append(got, `"error"`+what+"}")
		}
		r.want("aside", got, []string{
			`"error":"POST /api/v1/app/app/data/: 400 Bad Request: fault 400","data":{"metric":"s m0","subject":"server","name":"web-1","points":[[946684793,103]]}}`,
			`"error":"POST /api/v1/app/app/metrics/: 403 Forbidden: fault 403","data":{"metric":"s no metric","subject":"server","name":"web-1","points":[[946684800,1]]}}`,
			`"error":"POST /api/v1/app/app/data/: 400 Bad Request: fault 400","data":{"metric":"s m7","subject":"server","name":"web-1","points":[[946684800,7]]}}`,
			`"error":"POST /api/v1/app/app/data/: 400 Bad Request: fault 400","data":{"metric":"s m13","subject":"server","name":"web-1","points":[[946684800,13]]}}`,
		})
	})
}

func TestUploadForgottenObjects(t *testing.T) {
	underTest(t, func(r *rig) {
		m := declared("GAUGE", "Instant")
		m.Rare = &record.Rare{Groups: "G"}
		put := func(v float64) { r.put(&record.Batch{Samples: []record.Sample{one(m, v)}}) }
		put(1)
		r.pass(70 * time.Second)
		r.peer.reset()
		r.peer.next = 500
		r.peer.asked()
		put(2)
		r.pass(60 * time.Second)
		r.want("values", r.values(), []string{"GAUGEInstant - Custom@web-1 70 2"})
		r.peer.reset() // once more, soon
		put(3)
		r.pass(60 * time.Second)
		if stats := r.Stats(); stats.Refused != 0 || stats.Sent != 3 || stats.Entries != 0 {
			t.Errorf("stats: %+v", stats)
		}
		r.pass(10 * time.Minute)
		put(4)
		r.pass(2 * time.Minute)
		if got := r.values(); len(got) != 2 || !strings.HasSuffix(got[0], " 3") || !strings.HasSuffix(got[1], " 4") {
			t.Errorf("values: %q", got)
		}
	})
}

func TestNewUploader(t *testing.T) {
	if _, err := newUploader(uploaderOptions{}); err == nil || err.Error() != "an interval of 0s" {
		t.Errorf("no interval: %v", err)
	}
	s, err := spool.Open(spool.Options{Path: filepath.Join(t.TempDir(), "x"), MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	u, err := newUploader(uploaderOptions{Client: api.NewClient(api.ClientOptions{}), Interval: time.Minute, Spool: s})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	err = u.Put(&record.Batch{Source: &record.Source{}, Samples: []record.Sample{{Name: "x"}}})
	if !errors.Is(err, spool.ErrClosed) || err.Error() != "upload: the spool is closed" {
		t.Errorf("Put: %v", err)
	}
	if err := u.Run(t.Context()); !errors.Is(err, spool.ErrClosed) {
		t.Errorf("Run: %v", err)
	}
}
