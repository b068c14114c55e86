package coscale

import (
	"encoding/binary"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	api "scriptbridge/coscale"
	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// What was made is saved together, and known from then on: in memory without a look
// at the disk, and after a restart.
func TestIDs(t *testing.T) {
	const metrics = 500
	batch := func(slot int) *record.Batch {
		b := &record.Batch{Source: &record.Source{Kind: record.Script, Name: "net"}, Time: time.Unix(outageBegin+60*int64(slot), 0)}
		for i := range metrics {
			m := &record.Meta{ID: fmt.Sprint(i), Name: fmt.Sprintf("Metric %d", i), Datatype: "GAUGE", Calctype: "Instant", Rare: &record.Rare{Groups: "Network", Tags: "IO"}}
			b.Samples = append(b.Samples, record.Sample{Name: m.Name, Meta: m, Value: 1})
		}
		return b
	}
	p := newPeer()
	server := httptest.NewServer(p)
	defer server.Close()
	path := filepath.Join(t.TempDir(), "coscale")
	s, err := spool.Open(spool.Options{Path: path, MaxBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	u, err := newUploader(uploaderOptions{
		Client: api.NewClient(api.ClientOptions{URL: server.URL, AppID: "app", Token: func() (string, error) { return "token", nil }}),
		Server: "web-1", Interval: time.Minute, Spool: s,
	})
	if err != nil {
		t.Fatal(err)
	}
	send := func(slot int) {
		if err := u.Put(batch(slot)); err != nil {
			t.Fatal(err)
		}
		catchUp(t, u)
	}
	before := transactions(t, path)
	send(0)
	if n := transactions(t, path) - before; n > 10 {
		t.Errorf("%d objects with a group and a tag each took %d transactions", metrics, n)
	}
	made := len(p.calls)
	clear(u.ids.recent)
	send(1)
	if len(u.ids.recent) > 0 || len(u.ids.targets) != metrics {
		t.Errorf("of %d metrics %d are known, and %d ids were read", metrics, len(u.ids.targets), len(u.ids.recent))
	}
	u.ids = newIDs() // as after a restart
	send(2)
	if calls := len(p.calls) - made; calls != 2 {
		t.Errorf("two slots took %d calls", calls)
	}
}

// transactions is the number of the last transaction in a file of bbolt: the larger of
// those of its two heads.
func transactions(t *testing.T, path string) uint64 {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var last uint64
	for page := range int64(2) {
		var b [8]byte
		if _, err := f.ReadAt(b[:], page*int64(os.Getpagesize())+16+48); err != nil {
			t.Fatal(err)
		}
		last = max(last, binary.NativeEndian.Uint64(b[:]))
	}
	return last
}
