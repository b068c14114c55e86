package remotewrite

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/exp/api/remote"

	"scriptbridge/internal/testkit"
	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

const (
	crashParts = 20
	crashBase  = 1_700_000_000_000 // Unix milliseconds of run 0; each is a second later
)

// crashShown is what a source shows after its run number n.
func crashShown(n int) *record.Shown {
	var b strings.Builder
	b.WriteString("# TYPE m gauge\n")
	for part := range crashParts {
		fmt.Fprintf(&b, "m{part=\"%d\"} %d\n", part, n)
	}
	return shownOf(b.String(), "")
}

// TestCrashChild is the child's life; it is nothing in the parent. It writes a line for
// each run that Put has acknowledged.
func TestCrashChild(t *testing.T) {
	doomed := testkit.Doom(t)
	s, err := spool.Open(spool.Options{Path: filepath.Join(doomed.Folder, "remote_write"), MaxBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDestination(doomed.URL, &http.Client{Transport: http.DefaultTransport}, "", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	page := &fakePage{all: map[*record.Source]*record.Shown{script: crashShown(max(doomed.From, 0))}}
	u := newUploader(options{Destination: d, Reader: newReader(nil, nil), Page: page, Interval: time.Hour, Spool: s, Logger: log.NewNopLogger()})
	if doomed.From < 0 {
		for u.Stats().Entries > 0 {
			if err := u.drain(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	go func() { // Run gathers for longer than this lives
		for u.drain(context.Background()) == nil {
			<-time.After(time.Millisecond)
		}
	}()
	for n := doomed.From; ; n++ {
		if err := u.Put(&record.Batch{Source: script, Time: time.UnixMilli(crashBase + int64(n)*1000), Shown: crashShown(n)}); err != nil {
			t.Fatal(err)
		}
		fmt.Println(n)
	}
}

// TestCrash kills a process that puts and sends, again and again, while the destination
// comes and goes: every run that was acknowledged arrives, whole and at its own time,
// and nothing is taken for refused that has arrived before.
func TestCrash(t *testing.T) {
	kills := 100
	if testing.Short() {
		kills = 20
	}
	to := newReceiver(remote.WriteV2MessageType)
	newest := make(map[string]int64)
	to.refuses = func(p point) string { // as Prometheus does
		if p.At < newest[p.Series] {
			return "out of order sample"
		}
		return ""
	}
	var honest atomic.Bool
	var late atomic.Int64 // requests that were refused
	dice := rand.New(rand.NewPCG(1, 2))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to.mu.Lock()
		fate := dice.IntN(100)
		before := len(to.points)
		to.mu.Unlock()
		if fate == 0 && !honest.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		answer := httptest.NewRecorder()
		to.ServeHTTP(answer, r)
		to.mu.Lock()
		for _, p := range to.points[before:] {
			newest[p.Series] = max(newest[p.Series], p.At)
		}
		to.mu.Unlock()
		if answer.Code == http.StatusBadRequest {
			late.Add(1)
		}
		if !honest.Load() { // who asks may be killed when it is done, and not told yet
			if fate == 1 {
				panic(http.ErrAbortHandler)
			}
			<-time.After(5 * time.Millisecond)
		}
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	}))
	defer server.Close()
	folder := t.TempDir()
	lives := rand.New(rand.NewPCG(3, 4))
	next := 0
	for range kills {
		next = testkit.Doomed{Folder: folder, URL: server.URL, From: next}.Run(t, "TestCrashChild", time.Duration(10+lives.IntN(80))*time.Millisecond) + 1
	}
	to.mu.Lock()
	before := len(to.points)
	to.mu.Unlock()
	honest.Store(true)
	testkit.Doomed{Folder: folder, URL: server.URL, From: -1}.Run(t, "TestCrashChild", 0)

	arrived := make(map[string]bool)
	for _, p := range to.got() {
		arrived[fmt.Sprintf("%s %s %d", p.Series, p.Value, p.At)] = true
	}
	for n := range next {
		for part := range crashParts {
			if want := fmt.Sprintf("{__name__=\"m\", part=\"%d\"} %d %d", part, n, crashBase+int64(n)*1000); !arrived[want] {
				t.Fatalf("run %d of %d: %s is missing", n, next, want)
			}
		}
	}
	if text, err := os.ReadFile(filepath.Join(folder, "remote_write.refused")); err == nil {
		t.Errorf("something was set aside: %.500s", text)
	}
	t.Logf("%d runs acknowledged, %d samples arrived before the last start, %d in all; %d requests were refused", next, before, len(arrived), late.Load())
	if before == 0 || late.Load() == 0 {
		t.Error("nothing was tested: nothing arrived before the last child, or nothing twice")
	}
}
