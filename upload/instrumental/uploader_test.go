package instrumental

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"scriptbridge/internal/testkit"
	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

func openSpool(t *testing.T, path string) *spool.Spool {
	t.Helper()
	s, err := spool.Open(spool.Options{Path: path, MaxBytes: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

var noon = time.Unix(1_500_000_000, 0)

// readLines gives the lines of an entry.
func readLines(data []byte) ([]string, error) {
	text, err := appendLines(nil, data)
	if err != nil || len(text) == 0 {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"), nil
}

// queued gives all lines that wait.
func queued(t *testing.T, s *spool.Spool) []string {
	t.Helper()
	entries, err := s.Read("", noon.Add(1000*time.Hour), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range entries {
		some, err := readLines(e.Data)
		if err != nil {
			t.Fatal(err)
		}
		if e.Items != len(some) {
			t.Errorf("an entry of %d items has %q", e.Items, some)
		}
		lines = append(lines, some...)
	}
	return lines
}

func TestPut(t *testing.T) {
	coscale := func(name, datatype, calctype string) *record.Meta {
		return &record.Meta{ID: "1", Name: name, Datatype: datatype, Calctype: calctype}
	}
	grown, wave := coscale("Grown", "COUNTER", "Difference"), coscale("Wave", "GAUGE", "Difference")
	one := func(kind record.Kind, source string, at time.Time, samples ...record.Sample) *record.Batch {
		return &record.Batch{Source: &record.Source{Kind: kind, Name: source}, Time: at, Samples: samples}
	}
	s := openSpool(t, filepath.Join(t.TempDir(), "spool"))
	u := newUploader(uploaderOptions{Host: "web-01", Spool: s})
	for _, b := range []*record.Batch{
		one(record.Script, "app", noon, record.Sample{Name: "load.disk", Value: 0.7, Meta: &record.Meta{ID: "disk", Name: "load.disk"}}),
		one(record.Script, "disks", noon,
			record.Sample{Name: "Used - google.be", Value: 5, Meta: coscale("Used - google.be", "GAUGE", "Instant"), Labels: []record.Label{{Name: "Mount", Value: "/var/log"}}, Time: noon.Add(-time.Minute)},
			record.Sample{Name: "Jobs", Value: 3, Op: record.Add, Meta: coscale("Jobs", "COUNT", "Instant")},
			record.Sample{Name: "Grown", Value: 10, Meta: grown}, record.Sample{Name: "Wave", Value: 10, Meta: wave},
			record.Sample{Name: "Mean", Value: 2, Meta: coscale("Mean", "DOUBLE", "Average")},
			record.Sample{Name: "é", Value: 1},
			record.Sample{Name: "x", Value: 1, Meta: &record.Meta{Name: "x", Type: record.Summary}},
			record.Sample{Name: "nan", Value: nan()}),
		one(record.Script, "disks", noon.Add(time.Minute), record.Sample{Name: "Grown", Value: 14, Meta: grown}, record.Sample{Name: "Wave", Value: 7, Meta: wave}),
		one(record.Script, "disks", noon.Add(2*time.Minute), record.Sample{Name: "Grown", Value: 1, Meta: grown}),
		one(record.Receiver, "statsd", noon,
			record.Sample{Name: "web_hits", Value: 4, Op: record.Add, Meta: &record.Meta{Name: "web_hits", Native: &record.Native{Program: "StatsD", Name: "web.hits"}}},
			record.Sample{Name: "time", Value: 0.25, Weight: 8, Op: record.Observe, Meta: &record.Meta{Name: "time", Type: record.Summary, Native: &record.Native{Program: "StatsD", Name: "req.time"}}}),
		one(record.Receiver, "coscale", noon, record.Sample{Name: "T", Value: 1, Meta: coscale("T", "DOUBLE", "Instant"), Subject: record.Subject{Kind: record.Server, Name: "db.example"}}),
		{Source: &record.Source{Kind: record.Script, Name: "disks"}, Gone: true},
	} {
		if err := u.Put(b); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"gauge web-01.load.disk 0.7 1500000000 1",
		"gauge web-01.disks.Used_-_google_be.var_log 5 1499999940 1",
		"increment web-01.disks.Jobs 3 1500000000 1",
		"gauge web-01.disks.Mean 2 1500000000 1",
		"increment web.hits 4 1500000000 1",
		"gauge req.time.mean 2 1500000000 8",
		"gauge db.example.coscale.T 1 1500000000 1",
		"gauge web-01.disks.Grown 4 1500000060 1",
		"gauge web-01.disks.Wave -3 1500000060 1",
	}
	if diff := cmp.Diff(want, queued(t, s)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(map[string]uint64{"name": 1, "part": 1, "not_finite": 1}, u.Stats().Skipped); diff != "" {
		t.Errorf("skipped, -want +got:\n%s", diff)
	}
}

// TestHostNames: a host's name keeps its dots, as the vendor's agents joined it
// with the rest, and of what a name must not have each character is a _ there and
// in a script's name.
func TestHostNames(t *testing.T) {
	script := func(source string, samples ...record.Sample) *record.Batch {
		return &record.Batch{Source: &record.Source{Kind: record.Script, Name: source}, Time: noon, Samples: samples}
	}
	own := func(name, printed string) record.Sample {
		return record.Sample{Name: name + "." + printed, Value: 1, Meta: &record.Meta{ID: printed, Name: name + "." + printed, Type: record.Gauge}}
	}
	for _, test := range []struct {
		host  string
		batch *record.Batch
		want  string
	}{
		{"web-1.example.org", script("plain", own("plain", "v")), "web-1.example.org.plain.v"},
		{"web-1.example.org", script("x", own("my.app.v2", "load.one")), "web-1.example.org.my.app.v2.load.one"},
		{"web-1.example.org", script("x", own("we_ird_n_me__", "a")), "web-1.example.org.we_ird_n_me__.a"},
		{"web-1.example.org.", script("plain", own("plain", "v")), "web-1.example.org.plain.v"},
		{"web 1 (büro)..local", script("plain", own("plain", "v")), "web_1__b_ro_.local.plain.v"},
		{"10.0.0.1", script("disk usage!!", record.Sample{Name: "Used (°C)  now", Value: 1, Meta: &record.Meta{ID: "1", Name: "Used", Datatype: "GAUGE"}}), "10.0.0.1.disk_usage__.Used_C_now"},
		{"web.org", script("a.b", record.Sample{Name: "c.d", Value: 1, Labels: []record.Label{{Name: "x", Value: "e.f"}}}), "web.org.a_b.c.d.e_f"},
		{"web.org", script("s", record.Sample{Name: "T", Value: 1, Subject: record.Subject{Kind: record.Server, Name: "db.example.org"}}), "db.example.org.s.T"},
	} {
		s := openSpool(t, filepath.Join(t.TempDir(), "spool"))
		u := newUploader(uploaderOptions{Host: test.host, Spool: s})
		if err := u.Put(test.batch); err != nil {
			t.Fatal(err)
		}
		want := []string{"gauge " + test.want + " 1 1500000000 1"}
		if diff := cmp.Diff(want, queued(t, s)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}

// TestStatsDNames: what StatsD clients sent has the names, and timers the unit,
// that the vendor's backend for the daemon gave, whatever a mapping makes of them
// elsewhere; with tags their values stand behind.
func TestStatsDNames(t *testing.T) {
	sample := func(op record.Op, id, name string, value float64, labels ...string) record.Sample {
		smp := record.Sample{Op: op, Name: name, Value: value, Meta: &record.Meta{Name: name, Type: record.Gauge, Native: &record.Native{Program: "StatsD", Name: id}}}
		for i := 0; i < len(labels); i += 2 {
			smp.Labels = append(smp.Labels, record.Label{Name: labels[i], Value: labels[i+1]})
		}
		return smp
	}
	timer := sample(record.Observe, "web.load", "web_load", 0.068, "page", "index")
	timer.Meta.Unit, timer.Meta.Native.Unit, timer.Weight = "seconds", record.Milliseconds, 3
	mapped := sample(record.Add, "shop.checkout.paypal.success", "checkouts_total", 2, "by", "a.b", "outcome", "success", "provider", "paypal")
	mapped.Meta.Native.Mapped = []string{"outcome", "provider"}
	b := &record.Batch{Source: &record.Source{Kind: record.Receiver, Name: "statsd"}, Time: noon, Samples: []record.Sample{
		sample(record.Add, "web.hits", "web_hits", 5),
		sample(record.Set, "queue", "queue", 3),
		sample(record.Set, "users", "users", 1),
		sample(record.Set, "a-b_cd", "a_b_c_d_", 1),
		sample(record.Add, "_8x", "_8x", 1),
		sample(record.Observe, "size", "size", 12),
		timer, mapped,
		sample(record.Add, "ключ", "____", 1),
		sample(record.Add, "..", "__", 1),
	}}
	for prefix, want := range map[string][]string{
		"": {
			"increment web.hits 5 1500000000 1", "gauge queue 3 1500000000 1", "gauge users 1 1500000000 1", "gauge a-b_cd 1 1500000000 1",
			"increment 8x 1 1500000000 1", "gauge size.mean 12 1500000000 1", "gauge web.load.index.mean 204 1500000000 3",
			"increment shop.checkout.paypal.success.a_b 2 1500000000 1",
		},
		"prod.web 1.": {
			"increment prod.web_1.web.hits 5 1500000000 1", "gauge prod.web_1.queue 3 1500000000 1", "gauge prod.web_1.users 1 1500000000 1", "gauge prod.web_1.a-b_cd 1 1500000000 1",
			"increment prod.web_1._8x 1 1500000000 1", "gauge prod.web_1.size.mean 12 1500000000 1", "gauge prod.web_1.web.load.index.mean 204 1500000000 3",
			"increment prod.web_1.shop.checkout.paypal.success.a_b 2 1500000000 1",
		},
	} {
		s := openSpool(t, filepath.Join(t.TempDir(), "spool"))
		u := newUploader(uploaderOptions{Host: "web-01.example.org", StatsDPrefix: prefix, Spool: s})
		if err := u.Put(b); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, queued(t, s)); diff != "" {
			t.Errorf("prefix %q, -want +got:\n%s", prefix, diff)
		}
		if n := u.Stats().Skipped["name"]; n != 2 {
			t.Errorf("%d without a name", n)
		}
	}
}

func nan() float64 { zero := 0.0; return zero / zero }

// TestEvents: an event is said when it begins and when it has ended, and not
// each time that a script repeats it, also after a restart.
func TestEvents(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	s := openSpool(t, path)
	put := func(e record.Event) {
		t.Helper()
		u := newUploader(uploaderOptions{Host: "web-01", Spool: s})
		b := &record.Batch{Source: &record.Source{Kind: record.Script, Name: "cron"}, Time: noon, Events: []record.Event{e}}
		if err := u.Put(b); err != nil {
			t.Fatal(err)
		}
	}
	e := record.Event{ID: "1", Name: "Backup", Message: "nightly\nrun", Start: noon}
	put(e)
	put(e)
	s.Close()
	s = openSpool(t, path)
	put(e)
	e.Stop = noon.Add(90 * time.Second)
	put(e)
	put(e)
	put(record.Event{ID: "2", Name: "Deployed", Start: noon, Stop: noon})
	want := []string{
		"notice 1500000000 0 web-01 Backup: nightly run",
		"notice 1500000000 90 web-01 Backup: nightly run",
		"notice 1500000000 0 web-01 Deployed",
	}
	if diff := cmp.Diff(want, queued(t, s)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// marks are what the spool's state has.
func marks(t *testing.T, s *spool.Spool) map[string]string {
	t.Helper()
	all := make(map[string]string)
	if err := s.View(func(tx *spool.Tx) error {
		for key, value := range tx.Each("") {
			all[key] = string(value)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestEventRepeated: an event that is repeated, be it for days, costs a write
// now and then and not each time, and is known for as long as it is repeated.
func TestEventRepeated(t *testing.T) {
	testkit.NeedManyLooks(t)
	s := openSpool(t, filepath.Join(t.TempDir(), "spool"))
	u := newUploader(uploaderOptions{Host: "h", Spool: s})
	e := record.Event{ID: "1", Name: "Outage", Start: noon}
	writes := 0
	for minute := range 72 * 60 {
		now := noon.Add(time.Duration(minute) * time.Minute)
		before := marks(t, s)
		if err := u.Put(&record.Batch{Source: &record.Source{Kind: record.Script, Name: "cron"}, Time: now, Events: []record.Event{e}}); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(before, marks(t, s)) {
			writes++
		}
		if err := u.forget(now); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"notice 1500000000 0 h Outage"}, queued(t, s)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if writes < 2 || writes > 12 {
		t.Errorf("%d writes in three days", writes)
	}
	if err := u.forget(noon.Add(72*time.Hour + eventsKept)); err != nil {
		t.Fatal(err)
	}
	if left := marks(t, s); len(left) != 0 {
		t.Errorf("a day after the last it is still known: %q", left)
	}
}

// TestSourcesOfOneName: a script and a receiver of one name have events, and last
// values, of their own.
func TestSourcesOfOneName(t *testing.T) {
	s := openSpool(t, filepath.Join(t.TempDir(), "spool"))
	u := newUploader(uploaderOptions{Host: "h", Spool: s})
	meta := &record.Meta{ID: "1", Name: "n", Datatype: "COUNTER", Calctype: "Difference"}
	for i, kind := range []record.Kind{record.Script, record.Receiver, record.Script, record.Receiver} {
		err := u.Put(&record.Batch{
			Source: &record.Source{Kind: kind, Name: "coscale"}, Time: noon.Add(time.Duration(i) * time.Minute),
			Samples: []record.Sample{{Name: "n", Value: float64(100*(i%2) + i), Meta: meta}},
			Events:  []record.Event{{ID: "1", Name: "Of the " + string(kind), Start: noon}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"notice 1500000000 0 h Of the script",
		"notice 1500000000 0 h Of the receiver",
		"gauge h.coscale.n 2 1500000120 1",
		"gauge h.coscale.n 2 1500000180 1",
	}
	if diff := cmp.Diff(want, queued(t, s)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestForget: what nobody has spoken of for long is forgotten.
func TestForget(t *testing.T) {
	s := openSpool(t, filepath.Join(t.TempDir(), "spool"))
	u := newUploader(uploaderOptions{Host: "h", Spool: s})
	meta := &record.Meta{ID: "1", Name: "n", Datatype: "COUNTER", Calctype: "Difference"}
	put := func(at time.Time, value float64) {
		t.Helper()
		b := &record.Batch{
			Source: &record.Source{Kind: record.Script, Name: "s"}, Time: at,
			Samples: []record.Sample{{Name: "n", Value: value, Meta: meta}},
			Events:  []record.Event{{ID: "1", Name: "E", Start: noon, Stop: noon}},
		}
		if err := u.Put(b); err != nil {
			t.Fatal(err)
		}
	}
	put(noon, 1)
	for _, after := range []time.Duration{23 * time.Hour, 25 * time.Hour, 8 * 24 * time.Hour} {
		if err := u.forget(noon.Add(after)); err != nil {
			t.Fatal(err)
		}
		put(noon, 2) // without news of its own: the same time
	}
	want := []string{ // the event after a day, the value after a week
		"notice 1500000000 0 h E",
		"gauge h.s.n 1 1500000000 1",
		"gauge h.s.n 0 1500000000 1",
		"notice 1500000000 0 h E",
		"notice 1500000000 0 h E",
	}
	if diff := cmp.Diff(want, queued(t, s)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestCollectorDiesAndComesBack: what was put while there was no collector, and
// what it broke off at, arrives in order once it is there; also when the bridge
// was restarted meanwhile.
func TestCollectorDiesAndComesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	s := openSpool(t, path)
	p := newPeer(t, nil)
	p.breakAt = 3 // it dies each time
	c := p.collector()
	u := newUploader(uploaderOptions{Collector: c, Host: "h", Spool: s})
	var want []string
	for i := range 10 {
		b := &record.Batch{
			Source: &record.Source{Kind: record.Script, Name: "s"}, Time: noon.Add(time.Duration(i) * time.Second),
			Samples: []record.Sample{{Name: "n", Value: float64(i)}},
		}
		if err := u.Put(b); err != nil {
			t.Fatal(err)
		}
		want = append(want, queued(t, s)[i])
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- u.Run(ctx) }()
	for u.Stats().Retried == 0 {
		<-time.After(time.Millisecond)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if n := len(queued(t, s)); n != 10 {
		t.Fatalf("%d lines are kept after a failure", n)
	}
	s.Close()

	p.mu.Lock()
	p.breakAt, p.lines = 0, nil
	p.mu.Unlock()
	s = openSpool(t, path)
	u = newUploader(uploaderOptions{Collector: c, Host: "h", Spool: s})
	if err := u.send(context.Background()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, p.got()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if stats := u.Stats(); stats.Entries != 0 || stats.Sent != 10 {
		t.Errorf("afterwards: %+v", stats)
	}
}

// TestDiskIsGivenBack: after an outage the queue's room is given back to the disk.
func TestDiskIsGivenBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	s, err := spool.Open(spool.Options{Path: path, MaxBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	dice := rand.New(rand.NewPCG(1, 2))
	for i := range 24 {
		var lines []byte
		for range 1000 { // which cannot be compressed to much less
			for range 990 {
				lines = append(lines, byte('!'+dice.IntN(90)))
			}
			lines = append(lines, "0123456789\n"...)
		}
		if err := s.Update(func(tx *spool.Tx) error { return tx.Append(noon.Add(time.Duration(i)), 1000, lines) }); err != nil {
			t.Fatal(err)
		}
	}
	size := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	if size() < 19e6 {
		t.Fatalf("the file has %d bytes", size())
	}
	p := newPeer(t, nil)
	u := newUploader(uploaderOptions{Collector: p.collector(), Host: "h", Spool: s})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- u.Run(ctx) }()
	for deadline := time.Now().Add(30 * time.Second); size() > 1e6; <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the file still has %d bytes: %+v", size(), u.Stats())
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if stats := u.Stats(); stats.Entries != 0 || stats.Sent != 24_000 {
		t.Errorf("afterwards: %+v", stats)
	}
}

// TestUnreadable: an entry that cannot be read goes aside once, when it goes, however
// often those beside it are tried.
func TestUnreadable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	s := openSpool(t, path)
	defer s.Close()
	for _, data := range []string{"no lines", `["gauge a 1 2 1"]`} {
		if err := s.Update(func(tx *spool.Tx) error { return tx.Append(time.Now(), 1, []byte(data)) }); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 { // restarts
		ctx, cancel := context.WithCancel(t.Context())
		c := newPeer(t, nil).collector()
		c.Key = func() (string, error) { cancel(); return "", errors.New("no key") }
		u := newUploader(uploaderOptions{Host: "h", Spool: s, Collector: c})
		if err := u.Run(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(path + ".refused"); !errors.Is(err, os.ErrNotExist) || s.Stats().Entries != 2 {
		t.Errorf("nothing has gone: %v, %+v", err, s.Stats())
	}
}

// TestDiskFails: what the disk does not let be done is done when it lets again.
func TestDiskFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	if err := os.Mkdir(path+".refused", 0o700); err != nil { // in the way of SetAside
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s := openSpool(t, path)
		defer s.Close()
		if err := s.Update(func(tx *spool.Tx) error { return tx.Append(time.Now(), 1, []byte("no lines")) }); err != nil {
			t.Fatal(err)
		}
		u := newUploader(uploaderOptions{Collector: &collectorClient{}, Host: "h", Spool: s})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- u.Run(ctx) }()
		synctest.Wait()
		if err := os.Remove(path + ".refused"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(round)
		synctest.Wait()
		if stats := u.Stats(); stats.Entries != 0 || stats.Refused != 1 {
			t.Errorf("a round later: %+v", stats)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// FuzzReadLines: what the disk gives back is lines, or an error.
func FuzzReadLines(f *testing.F) {
	f.Add([]byte(`["gauge a 1 2 1"]`))
	f.Add([]byte("gauge a 1 2 1\ngauge b 1 2 1\n"))
	f.Add([]byte(`{`))
	f.Fuzz(func(t *testing.T, data []byte) {
		lines, err := readLines(data)
		for _, l := range lines {
			if err != nil || strings.ContainsAny(l, "\r\n") {
				t.Errorf("%q, with the error %v", l, err)
			}
		}
	})
}
