package coscale

import (
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	api "scriptbridge/coscale"
	"scriptbridge/internal/testkit"
	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// TestFormerSpool: a spool of the version before compressed entries is sent, and
// goes on: three slots of a gauge with a dimension, a difference, a rate and an
// event wait in it.
func TestFormerSpool(t *testing.T) {
	path := filepath.Join(t.TempDir(), "coscale")
	testkit.Gunzip(t, "testdata/spool-format-1.gz", path)
	p := newPeer()
	server := httptest.NewServer(p)
	defer server.Close()
	s, err := spool.Open(spool.Options{Path: path, MaxBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if stats := s.Stats(); stats.Items != 3*20+2+3+1 { // a difference has a value before
		t.Errorf("%d items wait", stats.Items)
	}
	u, err := newUploader(uploaderOptions{
		Client: api.NewClient(api.ClientOptions{URL: server.URL, AppID: "app", Token: func() (string, error) { return "token", nil }}),
		Server: "web-1", Interval: time.Minute, Spool: s,
	})
	if err != nil {
		t.Fatal(err)
	}
	u.tidied = time.Now() // the values are of former times
	grown := &record.Meta{ID: "2", Name: "Grown", Datatype: "COUNTER", Calctype: "Difference"}
	err = u.Put(&record.Batch{
		Source: &record.Source{Kind: record.Script, Name: "net"}, Time: time.Unix(outageBegin+180, 0),
		Samples: []record.Sample{{Name: "Grown", Meta: grown, Value: 90}},
	})
	if err != nil {
		t.Fatal(err)
	}
	catchUp(t, u)
	for slot := range 3 {
		at := outageBegin + 60*int64(slot)
		for i := range 20 {
			if series := fmt.Sprintf("Traffic@web-1{interface=interface-%04d}", i); p.points[series][at] != float64(slot*100+i) {
				t.Errorf("%s, slot %d: %v", series, slot, p.points[series])
			}
		}
		if v := p.points["net Hits@web-1"][at]; v != 1 {
			t.Errorf("hits, slot %d: %v", slot, p.points["net Hits@web-1"])
		}
		if v := p.points["Grown@web-1"][at+60]; v != float64(10+20*slot) {
			t.Errorf("grown, slot %d: %v", slot, p.points["Grown@web-1"])
		}
	}
	if len(p.events) != 1 || p.events[0].Message != "done" {
		t.Errorf("events: %v", p.events)
	}
}
