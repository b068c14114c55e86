package remotewrite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/exp/api/remote"

	"scriptbridge/internal/testkit"
	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// fakePage is a page that a test writes.
type fakePage struct {
	mu  sync.Mutex
	all map[*record.Source]*record.Shown
}

// set changes what it has of a source; nil: nothing.
func (p *fakePage) set(s *record.Source, shown *record.Shown) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all[s] = shown; shown == nil {
		delete(p.all, s)
	}
}

func (p *fakePage) Sources() []*record.Source {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.all))
}

func (p *fakePage) Shown(s *record.Source, _ bool) *record.Shown {
	p.mu.Lock()
	defer p.mu.Unlock()
	if shown := p.all[s]; shown != nil {
		return shown
	}
	return &record.Shown{Whole: true}
}

func (*fakePage) Process() *record.Shown { return shownOf("# TYPE build gauge\nbuild 1\n", "") }

// bench is an uploader at work in a bubble of time.
type bench struct {
	*Uploader
	t      *testing.T
	page   *fakePage
	path   string
	to     *receiver
	log    bytes.Buffer
	maxAge time.Duration
	only   string
	reader *reader
	stop   func()
}

func newBench(t *testing.T, to *receiver) *bench {
	b := &bench{t: t, page: &fakePage{all: make(map[*record.Source]*record.Shown)}, path: filepath.Join(t.TempDir(), "spool"), to: to, reader: newReader(nil, nil)}
	return b
}

// start begins, or begins again, with the spool that there is.
func (b *bench) start() {
	sp, err := spool.Open(spool.Options{Path: b.path, MaxBytes: 1 << 30, Logger: log.NewNopLogger()})
	if err != nil {
		b.t.Fatal(err)
	}
	b.Uploader = newUploader(options{
		Destination: b.to.to(b.t, b.only), Reader: b.reader, Page: b.page, Interval: time.Minute, MaxAge: b.maxAge,
		Spool: sp, Logger: log.NewSyncLogger(log.NewLogfmtLogger(&b.log)),
	})
	ctx, cancel := context.WithCancel(b.t.Context())
	ended := make(chan error)
	go func() { ended <- b.Run(ctx) }()
	b.stop = func() {
		cancel()
		if err := errors.Join(<-ended, sp.Close()); err != nil {
			b.t.Error(err)
		}
	}
	b.pass(2 * time.Second)
}

func (b *bench) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

var script = &record.Source{Kind: record.Script, Name: "a"}

// run puts what a run of the script shows.
func (b *bench) run(shown *record.Shown) {
	b.t.Helper()
	b.page.set(script, shown)
	if err := b.Put(&record.Batch{Source: script, Time: time.Now(), Shown: shown}); err != nil {
		b.t.Error(err)
	}
}

// seen gives what has arrived since it was asked last, but for the process's.
func (b *bench) seen() (all []string) {
	for _, p := range b.to.got() {
		if !strings.Contains(p.Series, `"build"`) {
			all = append(all, fmt.Sprintf("%s %s", p.Series, p.Value))
		}
	}
	return all
}

func queue(v int) *record.Shown { return shownOf(fmt.Sprintf("# TYPE queue gauge\nqueue %d\n", v), "") }

// Each run is written with its time, what has ended is told so, also where that happened
// between two starts; what nobody renews is written again.
func TestUploader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, newReceiver(remote.WriteV2MessageType))
		b.start()
		first := time.Now()
		b.run(shownOf("# TYPE queue gauge\nqueue 1\n", sums))
		b.pass(5 * time.Second)
		b.run(queue(2))
		b.pass(5 * time.Second)
		points := b.to.got()
		if points[0].Series != `{__name__="build"}` { // it does not wait for an interval
			t.Errorf("%+v", points[0])
		}
		const counter = "METRIC_TYPE_COUNTER||Runs."
		wantPoints(t, points[1:],
			point{`{__name__="queue"}`, "1", first.UnixMilli(), 0, "METRIC_TYPE_GAUGE||"},
			point{`{__name__="runs_total", script="a"}`, "7", first.UnixMilli(), 1_700_000_000_000, counter},
			point{`{__name__="queue"}`, "2", first.UnixMilli() + 5000, 0, "METRIC_TYPE_GAUGE||"},
			point{`{__name__="runs_total", script="a"}`, "stale", first.UnixMilli() + 5000, 0, "METRIC_TYPE_COUNTER||"},
		)
		b.pass(4 * time.Minute) // nobody runs
		want(t, b.seen(), `{__name__="queue"} 2`, `{__name__="queue"} 2`, `{__name__="queue"} 2`)

		b.stop()
		b.page.set(script, nil)
		other := &record.Source{Kind: record.Receiver, Name: "statsd"}
		b.page.set(other, shownOf("# TYPE hits gauge\nhits 5\n", ""))
		b.start()
		want(t, b.seen())
		b.pass(time.Minute)
		got := b.seen()
		slices.Sort(got)
		want(t, got, `{__name__="hits"} 5`, `{__name__="queue"} stale`)
		b.page.set(other, nil)
		if err := b.Put(&record.Batch{Source: other, Time: time.Now(), Gone: true, Shown: &record.Shown{Whole: true}}); err != nil {
			t.Error(err)
		}
		b.pass(2 * time.Minute)
		want(t, b.seen(), `{__name__="hits"} stale`)
		if s := b.Stats(); s.Items != 0 || s.Refused != 0 {
			t.Errorf("%+v", s)
		}
		b.stop()
	})
}

func wantPoints(t *testing.T, got []point, wanted ...point) {
	t.Helper()
	var a, b []string
	for _, p := range got {
		a = append(a, fmt.Sprintf("%+v", p))
	}
	for _, p := range wanted {
		b = append(b, fmt.Sprintf("%+v", p))
	}
	want(t, a, b...)
}

// A run that is renewed by the next one is not written again in between, and one with
// another series is at once.
func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, newReceiver(remote.WriteV2MessageType))
		b.start()
		for i := range 10 {
			b.run(queue(i))
			b.pass(45 * time.Second)
		}
		if got := b.seen(); len(got) != 10 {
			t.Errorf("written: %q", got)
		}
		b.run(shownOf("# TYPE queue gauge\nqueue 1\n# TYPE events_info gauge\nevents_info 1\n", ""))
		b.pass(2 * time.Second)
		b.page.set(script, queue(1)) // an event is shown no more
		b.pass(time.Minute)
		want(t, b.seen(), `{__name__="queue"} 1`, `{__name__="events_info"} 1`, `{__name__="queue"} 1`, `{__name__="events_info"} stale`)
		b.stop()
	})
}

// A series' times ascend though the clock is set back, and though two runs end in the
// same millisecond.
func TestAscending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, newReceiver(remote.WriteV2MessageType))
		b.start()
		b.to.got()
		begin := time.Now()
		for _, at := range []time.Time{begin, begin, begin.Add(-9 * time.Minute), begin.Add(time.Second), begin.Add(6 * time.Hour), begin.Add(2 * time.Second), begin.Add(2 * time.Second)} {
			if err := b.Put(&record.Batch{Source: script, Time: at, Shown: queue(1)}); err != nil {
				t.Error(err)
			}
		}
		b.pass(5 * time.Second)
		var got []int64
		for _, p := range b.to.got() {
			got = append(got, p.At-begin.UnixMilli())
		}
		// What waits is sent in the order of its times.
		slices.Sort(got)
		if !slices.Equal(got, []int64{0, 1, 2, 1000, 2000, 2001, 6 * 60 * 60 * 1000}) {
			t.Errorf("%v", got)
		}
		b.stop()
	})
}

// What a destination refuses costs itself alone: it is found, set aside and counted.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, newReceiver(remote.WriteV2MessageType))
		b.to.refuses = func(p point) string {
			if strings.Contains(p.Series, `n="33"`) {
				return "label value too long"
			}
			return ""
		}
		b.start()
		var text strings.Builder
		text.WriteString("# TYPE queue gauge\n")
		for i := range 200 {
			fmt.Fprintf(&text, "queue{n=\"%d\"} %d\n", i, i)
		}
		for range 3 {
			b.run(shownOf(text.String(), ""))
		}
		b.pass(5 * time.Second)
		if got := b.seen(); len(got) != 3*199 {
			t.Errorf("%d arrive", len(got))
		}
		s := b.Stats()
		if s.Refused != 3 || s.Items != 0 || s.Sent != 3*199+1 || s.Retried != 0 || s.Failing != "" || len(s.Refusals) != 1 {
			t.Errorf("%+v", s)
		}
		if r := s.Refusals[0]; !strings.Contains(r.Shown, `{__name__=\"queue\", n=\"33\"}`) || r.Error != `the destination answers HTTP status 400 Bad Request: {__name__="queue", n="33"}: label value too long` {
			t.Errorf("%+v", r)
		}
		b.to.refuses = nil
		b.stop()
		sp, err := spool.Open(spool.Options{Path: b.path, MaxBytes: 1 << 30})
		if err != nil {
			t.Fatal(err)
		}
		if back, left, err := sp.Restore(Type.Complete); back != 3 || left != 0 || err != nil {
			t.Errorf("%d are back, %d left: %v", back, left, err)
		}
		if err := sp.Close(); err != nil {
			t.Error(err)
		}
		b.start()
		want(t, b.seen(), `{__name__="queue", n="33"} 33`, `{__name__="queue", n="33"} 33`, `{__name__="queue", n="33"} 33`)
		b.stop()
	})
}

// Prometheus 2.42 calls it a fault of its own that a sample is older than its window.
func TestTooOldThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, newReceiver(remote.WriteV1MessageType))
		b.to.code = http.StatusInternalServerError
		b.to.refuses = func(p point) string {
			if p.Value == "2" {
				return "too old sample"
			}
			return ""
		}
		b.start()
		for i := range 5 {
			b.run(queue(i))
		}
		b.pass(time.Minute)
		if got, s := b.seen(), b.Stats(); len(got) != 4 || s.Refused != 1 || s.Items != 0 || s.Failing != "" {
			t.Errorf("%d arrive: %+v", len(got), s)
		}
		b.stop()
	})
}

// Where all is refused, the search for what is to blame ends.
func TestAllRefused(t *testing.T) {
	testkit.NeedManyLooks(t)
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, newReceiver(remote.WriteV2MessageType))
		b.to.refuses = func(point) string { return "no" }
		var busy atomic.Bool
		busy.Store(true)
		b.to.answer = func(w http.ResponseWriter, _ *http.Request) bool {
			if busy.Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return busy.Load()
		}
		b.start()
		for i := range 2000 {
			b.run(queue(i))
		}
		busy.Store(false)
		b.to.answered()
		b.pass(3 * time.Minute)
		if s, n := b.Stats(), len(b.to.answered()); s.Refused < 2001 || s.Items != 0 || n > 2*(mostParts+5) {
			t.Errorf("%d requests, %+v", n, s)
		}
		b.stop()
	})
}

// A receiver of 2.0 may take a part of a request, and says how much that is.
func TestPartlyRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, newReceiver(remote.WriteV2MessageType))
		b.to.partly = true
		b.start()
		b.to.refuses = func(p point) string {
			if p.Value == "5" {
				return "too old"
			}
			return ""
		}
		for i := range 10 {
			b.run(queue(i))
		}
		b.pass(5 * time.Second)
		if got := b.seen(); len(got) != 9 {
			t.Errorf("%q", got)
		}
		if s := b.Stats(); s.Refused != 1 || s.Items != 0 || s.Sent != 10 {
			t.Errorf("%+v", s)
		}
		b.stop()
	})
}

// A destination's own count says how much it has, whatever the status is, unless that cannot be.
func TestWritten(t *testing.T) {
	for _, c := range []struct {
		name    string
		code    int
		written func(samples int) int
		refused func(samples int) int // of a request
	}{
		{"all", http.StatusNoContent, func(n int) int { return n }, func(int) int { return 0 }},
		{"more", http.StatusNoContent, func(n int) int { return n + 1 }, func(int) int { return 0 }},
		{"less", http.StatusNoContent, func(n int) int { return n - 1 }, func(int) int { return 1 }},
		{"nothing", http.StatusOK, func(int) int { return 0 }, func(n int) int { return n }},
		{"less than nothing", http.StatusOK, func(int) int { return -5 }, func(n int) int { return n }},
		{"refused, and more", http.StatusBadRequest, func(n int) int { return n + 1 }, nil},
		{"refused, and less than nothing", http.StatusBadRequest, func(int) int { return -5 }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, newReceiver(remote.WriteV2MessageType))
				largest, refused := 0, 0
				b.to.answer = func(w http.ResponseWriter, r *http.Request) bool {
					points, err := points2(unpack(t, r))
					if err != nil {
						t.Error(err)
					}
					largest = max(largest, len(points))
					if c.refused != nil {
						refused += c.refused(len(points))
					}
					w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", fmt.Sprint(c.written(len(points))))
					w.WriteHeader(c.code)
					return true
				}
				b.start()
				for i := range 10 {
					b.run(queue(i))
				}
				b.pass(5 * time.Second)
				const all = 11 // with the process's
				if c.refused == nil {
					refused = all // one by one
				}
				if s := b.Stats(); int(s.Refused) != refused || int(s.Sent)+refused != all || s.Items != 0 || largest < 2 {
					t.Errorf("%+v, want %d refused; %d in a request", s, refused, largest)
				}
				b.stop()
			})
		})
	}
}

// A request that may have arrived is sent again; what the destination then has
// already is no refusal.
func TestSentTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := newReceiver(remote.WriteV2MessageType)
		newest := make(map[string]int64)
		to.refuses = func(p point) string {
			if p.At < newest[p.Series] {
				return "out of order sample"
			}
			return ""
		}
		b := newBench(t, to)
		broken := 0
		var busy atomic.Bool
		busy.Store(true)
		to.answer = func(w http.ResponseWriter, r *http.Request) bool {
			all, err := points2(unpack(t, r))
			if err != nil {
				t.Error(err)
			}
			switch { // what the process has is first, and holds up the rest
			case busy.Load():
				w.WriteHeader(http.StatusServiceUnavailable)
				return true
			case len(all) < 5 || broken > 0:
				return false
			}
			broken++
			for _, p := range all { // it has them, and does not come to say so
				newest[p.Series] = max(newest[p.Series], p.At)
			}
			w.WriteHeader(http.StatusBadGateway)
			return true
		}
		b.start()
		for i := range 5 {
			b.run(queue(i))
		}
		busy.Store(false)
		b.pass(20 * time.Second)
		if s := b.Stats(); s.Refused != 0 || s.Items != 0 || broken != 1 {
			t.Errorf("%+v", s)
		}
		want(t, b.seen(), `{__name__="queue"} 4`)
		b.pass(time.Minute)
		newest[`{__name__="queue"}`] = time.Now().Add(time.Hour).UnixMilli() // another one writes it
		b.run(queue(6))
		b.pass(5 * time.Second)
		if s := b.Stats(); s.Refused != 1 {
			t.Errorf("%+v", s)
		}
		b.stop()
	})
}

// A destination that knows 1.0 alone gets that, however it says so.
func TestFallback(t *testing.T) {
	for name, c := range map[string]struct {
		deaf   bool
		code   int
		only   string
		always []string
	}{
		"415":            {},
		"says nothing":   {deaf: true},
		"400":            {code: http.StatusBadRequest},
		"500":            {code: http.StatusInternalServerError},
		"1.0 alone":      {only: "prometheus.WriteRequest"},
		"2.0 alone":      {only: "io.prometheus.write.v2.Request", always: []string{"415"}},
		"2.0 and silent": {only: "io.prometheus.write.v2.Request", deaf: true, always: []string{"204"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, newReceiver(remote.WriteV1MessageType))
				b.to.deaf, b.only = c.deaf, c.only
				if c.code != 0 {
					b.to.answer = func(w http.ResponseWriter, r *http.Request) bool {
						if !strings.Contains(r.Header.Get("Content-Type"), "v2") {
							return false
						}
						w.WriteHeader(c.code)
						return true
					}
				}
				b.start()
				b.run(queue(1))
				b.pass(2 * time.Second)
				b.run(queue(2))
				b.pass(3 * time.Minute)
				if c.always != nil {
					if got := slices.Compact(b.to.answered()); !slices.Equal(got, c.always) || b.Stats().Failing == "" {
						t.Errorf("answered %q, %+v", got, b.Stats())
					}
					b.stop()
					return
				}
				if got := slices.Compact(b.seen()); !slices.Equal(got, []string{`{__name__="queue"} 1`, `{__name__="queue"} 2`}) {
					t.Errorf("%q", got)
				}
				if got := b.to.answered()[2:]; slices.ContainsFunc(got, func(code string) bool { return code[0] != '2' }) || b.Stats().Refused != 0 {
					t.Errorf("answered %q, %+v", got, b.Stats())
				}
				b.stop()
			})
		})
	}
}

// Who is too busy says for how long, and is asked no sooner.
func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, newReceiver(remote.WriteV2MessageType))
		var asked []time.Time
		begin := time.Now()
		b.to.answer = func(w http.ResponseWriter, _ *http.Request) bool {
			asked = append(asked, time.Now())
			switch len(asked) {
			case 1:
				w.Header().Set("Retry-After", "300")
				w.WriteHeader(http.StatusTooManyRequests)
			case 2:
				w.Header().Set("Retry-After", time.Now().Add(200*time.Second).UTC().Format(http.TimeFormat))
				w.WriteHeader(http.StatusServiceUnavailable)
			case 3:
				w.WriteHeader(http.StatusUnauthorized) // for the operator to mend, and no fault of a sample
			default:
				return false
			}
			return true
		}
		b.start()
		b.run(queue(1))
		b.pass(20 * time.Minute)
		if len(asked) < 4 || asked[1].Sub(begin) < 300*time.Second || asked[2].Sub(asked[1]) < 199*time.Second {
			t.Errorf("asked after %v", asked)
		}
		if s := b.Stats(); s.Refused != 0 || s.Retried != 3 || s.Items != 0 {
			t.Errorf("%+v", s)
		}
		b.stop()
	})
}

// A request that is too large for the destination is cut.
func TestTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, newReceiver(remote.WriteV2MessageType))
		b.to.answer = func(w http.ResponseWriter, r *http.Request) bool {
			if all, err := points2(unpack(t, r)); err != nil || len(all) > 10 {
				w.WriteHeader(http.StatusRequestEntityTooLarge)
				return true
			}
			return false
		}
		b.start()
		for i := range 100 {
			b.run(queue(i))
		}
		b.pass(10 * time.Second)
		if got, s := b.seen(), b.Stats(); len(got) != 100 || s.Refused != 0 || s.Items != 0 {
			t.Errorf("%d arrive, %+v", len(got), s)
		}
		b.stop()
	})
}

// What has waited for too long is dropped, counted, and said once an outage.
func TestMaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, newReceiver(remote.WriteV2MessageType))
		var down atomic.Bool
		down.Store(true)
		b.to.answer = func(w http.ResponseWriter, _ *http.Request) bool {
			if down.Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return down.Load()
		}
		b.maxAge = time.Hour
		b.start()
		for i := range 100 {
			b.run(queue(i))
			b.pass(time.Minute)
		}
		down.Store(false)
		b.pass(5 * time.Minute)
		got, s := b.seen(), b.Stats()
		if len(got) < 55 || len(got) > 66 || s.DroppedBy[spool.TooOld] < 2*35 || s.Items > 0 {
			t.Errorf("%d arrive, %+v", len(got), s)
		}
		if n := strings.Count(b.log.String(), `msg="what has waited for longer than max_age is dropped" max_age=1h0m0s oldest=`); n != 1 {
			t.Errorf("%d lines:\n%s", n, b.log.String())
		}
		b.stop()
	})
}

// A disk that keeps nothing aside holds up what is not refused as little as what comes.
func TestStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, newReceiver(remote.WriteV2MessageType))
		b.to.refuses = func(p point) string {
			if p.Series == `{__name__="queue"}` && p.Value == "1" {
				return "no"
			}
			return ""
		}
		b.start()
		if err := os.Mkdir(b.path+".refused", 0o700); err != nil { // where the file is to be
			t.Fatal(err)
		}
		for i := range 4 {
			b.run(queue(i))
			b.pass(2 * time.Second)
		}
		b.pass(2 * time.Second)
		if s := b.Stats(); s.Refused != 0 {
			t.Errorf("%+v", s)
		}
		b.pass(2 * time.Minute)
		got := b.seen()
		if !slices.Contains(got, `{__name__="queue"} 3`) || b.Stats().Items == 0 {
			t.Errorf("%q, %+v", got, b.Stats())
		}
		b.stop()
	})
}
