package coscale

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	api "scriptbridge/coscale"
	"scriptbridge/internal/testkit"
	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// What the child puts: number n is a value of one of so many series, at its own
// time; every so many numbers there is an event too.
const (
	crashSeries = 50
	crashEvents = 20
	crashBase   = 1_700_000_000
)

func crashBatch(n int) *record.Batch {
	at := time.Unix(crashBase+int64(n/crashSeries), 0)
	b := &record.Batch{
		Source:  &record.Source{Kind: record.Script, Name: "crash"},
		Time:    time.Now(),
		Samples: []record.Sample{{Name: fmt.Sprintf("m%d", n%crashSeries), Value: float64(n), Time: at}},
	}
	if n%crashEvents == 0 {
		text := strconv.Itoa(n)
		b.Events = []record.Event{{ID: text, Name: "event", Message: text, Start: at, Stop: at.Add(time.Second)}}
	}
	return b
}

// TestCrashChild is the child's life; it is nothing in the parent. It writes a
// line for each number that Put has acknowledged.
func TestCrashChild(t *testing.T) {
	doomed := testkit.Doom(t)
	s, err := spool.Open(spool.Options{Path: filepath.Join(doomed.Folder, "coscale"), MaxBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	u, err := newUploader(uploaderOptions{
		Client:   api.NewClient(api.ClientOptions{URL: doomed.URL, AppID: "app", Token: func() (string, error) { return "token", nil }}),
		Server:   "web-1",
		Interval: 50 * time.Millisecond,
		Spool:    s,
	})
	if err != nil {
		t.Fatal(err)
	}
	if doomed.From >= 0 {
		go u.Run(context.Background())
		for n := doomed.From; ; n++ {
			if err := u.Put(crashBatch(n)); err != nil {
				t.Fatal(err)
			}
			fmt.Println(n)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for u.Stats().Entries > 0 {
			<-time.After(5 * time.Millisecond)
		}
		cancel()
	}()
	if err := u.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

// TestCrash kills a process that puts and sends, again and again, while the
// server comes and goes: every value that was acknowledged arrives, at its own
// time, and no event arrives twice.
func TestCrash(t *testing.T) {
	if testkit.Wine() {
		t.Skip("Wine takes so long to start a program that none sends anything before its end")
	}
	kills := 100
	if testing.Short() {
		kills = 20
	}
	dice := rand.New(rand.NewPCG(1, 2)) // the server's
	p := newPeer()
	requests, downUntil := 0, 0
	p.fault = func(*http.Request, url.Values) fault {
		requests++
		if requests < downUntil {
			return fault{before: dice.IntN(2) == 0, status: 503}
		}
		switch dice.IntN(100) {
		case 0:
			return fault{before: true}
		case 1, 2:
			return fault{after: true}
		case 3:
			return fault{status: 500}
		case 4:
			downUntil = requests + dice.IntN(10)
		}
		return fault{}
	}
	server := httptest.NewServer(p)
	defer server.Close()
	folder := t.TempDir()

	lives := rand.New(rand.NewPCG(3, 4))
	next, arrived := 0, 0
	for range kills {
		last := testkit.Doomed{Folder: folder, URL: server.URL, From: next}.Run(t, "TestCrashChild", time.Duration(10+lives.IntN(80))*time.Millisecond)
		next = last + 1
		arrived = len(p.told())
	}
	p.mu.Lock()
	p.fault = nil
	p.mu.Unlock()
	t.Logf("%d values acknowledged, %d arrived before the last start", next, arrived)
	testkit.Doomed{Folder: folder, URL: server.URL, From: -1}.Run(t, "TestCrashChild", 0)

	p.mu.Lock()
	defer p.mu.Unlock()
	for n := range next {
		series := fmt.Sprintf("crash m%d@web-1", n%crashSeries)
		if v, ok := p.points[series][crashBase+int64(n/crashSeries)]; !ok || v != float64(n) {
			t.Fatalf("value %d: %v %v", n, v, ok)
		}
	}
	all := 0
	for series, points := range p.points {
		for at, v := range points {
			all++
			n := int(v)
			if at != crashBase+int64(n/crashSeries) || series != fmt.Sprintf("crash m%d@web-1", n%crashSeries) {
				t.Errorf("%s has %d at %d", series, n, at)
			}
		}
	}
	if all > next+kills { // each child may have died before it could say so
		t.Errorf("%d values arrived, %d were put", all, next)
	}
	times := make(map[string]int)
	for _, e := range p.events {
		times[e.Message]++
		if n, err := strconv.Atoi(e.Message); err != nil || e.Timestamp != crashBase+int64(n/crashSeries) {
			t.Errorf("event %q is of %d", e.Message, e.Timestamp)
		}
	}
	for n := 0; n < next; n += crashEvents {
		if got := times[strconv.Itoa(n)]; got != 1 {
			t.Errorf("event %d arrived %d times", n, got)
		}
	}
	// How often an event's answer was on its way when the child was killed is
	// chance; that it is looked for then has tests of its own.
	t.Logf("%d values, %d points sent again, %d events, of which %d were looked for", all, p.again, len(p.events), len(grep(p.calls, "GET events/")))
	if arrived == 0 {
		t.Error("nothing was tested: no value arrived before the last child")
	}
}
