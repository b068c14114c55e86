package coscale

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	api "scriptbridge/coscale"
	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// The outage of TestCatchUp and BenchmarkCatchUp: an hour of a thousand series
// once a minute.
const (
	outageSlots  = 60
	outageSeries = 1000
	outageBegin  = 1_700_000_040 // the beginning of a minute
)

func outageBatch(slot int) *record.Batch {
	meta := &record.Meta{ID: "1", Name: "Traffic", Unit: "b/s", Datatype: "GAUGE", Calctype: "Instant", Rare: &record.Rare{Groups: "Network"}, Dimensions: []string{"interface"}}
	b := &record.Batch{
		Source: &record.Source{Kind: record.Script, Name: "net"},
		Time:   time.Unix(outageBegin+60*int64(slot), 0),
	}
	for i := range outageSeries {
		b.Samples = append(b.Samples, record.Sample{
			Name: meta.Name, Meta: meta, Value: float64(slot*outageSeries + i),
			Labels: []record.Label{{Name: "interface", Value: fmt.Sprintf("interface-%04d", i)}},
		})
	}
	return b
}

func newOutage(tb testing.TB, address string, slots int) *Uploader {
	tb.Helper()
	s, err := spool.Open(spool.Options{Path: filepath.Join(tb.TempDir(), "coscale"), MaxBytes: 1 << 30})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	u, err := newUploader(uploaderOptions{
		Client: api.NewClient(api.ClientOptions{URL: address, AppID: "app", Token: func() (string, error) { return "token", nil }}),
		Server: "web-1", Interval: time.Minute, Spool: s,
	})
	if err != nil {
		tb.Fatal(err)
	}
	for slot := range slots {
		if err := u.Put(outageBatch(slot)); err != nil {
			tb.Fatal(err)
		}
	}
	return u
}

// catchUp sends all that is queued.
func catchUp(tb testing.TB, u *Uploader) {
	tb.Helper()
	for before := u.Stats().Entries; before > 0; {
		if _, err := u.sendDue(context.Background()); err != nil {
			tb.Fatal(err)
		}
		left := u.Stats().Entries
		if left == before {
			tb.Fatalf("nothing of %d entries was sent: %s", left, u.Stats().Failing)
		}
		before = left
	}
}

func TestCatchUp(t *testing.T) {
	p := newPeer()
	server := httptest.NewServer(p)
	defer server.Close()
	slots := outageSlots
	if testing.Short() {
		slots = 10
	}
	u := newOutage(t, server.URL, slots)
	if stats := u.Stats(); stats.Items != uint64(slots*outageSeries) || !stats.Oldest.Equal(time.Unix(outageBegin, 0)) {
		t.Errorf("stats before: %+v", stats)
	}
	catchUp(t, u)
	if p.late > 0 || p.again > 0 {
		t.Errorf("%d points came late, %d again", p.late, p.again)
	}
	if calls := len(grep(p.calls, "POST data/")); calls != slots {
		t.Errorf("%d data calls", calls)
	}
	for slot := range slots {
		for i := range outageSeries {
			series := fmt.Sprintf("Traffic@web-1{interface=interface-%04d}", i)
			if v := p.points[series][outageBegin+60*int64(slot)]; v != float64(slot*outageSeries+i) {
				t.Fatalf("%s, slot %d: %v", series, slot, v)
			}
		}
	}
	if stats := u.Stats(); stats.Sent != uint64(slots*outageSeries) || stats.Entries != 0 {
		t.Errorf("stats after: %+v", stats)
	}
}

// BenchmarkCatchUp is how long it takes to send what an hour's outage has left,
// with the heap of uploader and server at its largest.
func BenchmarkCatchUp(b *testing.B) {
	var largest uint64
	calls := 0
	p := newPeer()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		largest = max(largest, m.HeapAlloc)
		calls++
		p.ServeHTTP(w, r)
	}))
	defer server.Close()
	var disk int64
	for b.Loop() {
		b.StopTimer()
		u := newOutage(b, server.URL, outageSlots)
		disk = u.Stats().Bytes
		b.StartTimer()
		catchUp(b, u)
	}
	b.ReportMetric(float64(largest)/(1<<20), "heap-MiB")
	b.ReportMetric(float64(calls)/float64(b.N), "calls/op")
	b.ReportMetric(float64(disk)/(1<<20), "spool-MiB")
}

// BenchmarkUploaderPut is one batch of a thousand values, synced: as they are,
// and as differences, whose previous values are kept.
func BenchmarkUploaderPut(b *testing.B) {
	for _, calctype := range []string{"Instant", "Difference"} {
		b.Run(calctype, func(b *testing.B) {
			u := newOutage(b, "http://nobody", 0)
			batch := outageBatch(0)
			batch.Samples[0].Meta.Calctype = calctype
			for b.Loop() {
				batch.Time = batch.Time.Add(time.Minute)
				if err := u.Put(batch); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
