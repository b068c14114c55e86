package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"scriptbridge/config"
	"scriptbridge/record"
	"scriptbridge/upload/spool"
)

// told is a sink that says which batches it has, by their first sample.
type told struct {
	mu   sync.Mutex
	put  []string
	err  error
	hold chan struct{} // closed when Put may return; nil: at once

	entered atomic.Int64 // how many have called Put
	dropped map[string]uint64
}

func (s *told) Put(b *record.Batch) error {
	s.entered.Add(1)
	if s.hold != nil {
		<-s.hold
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put = append(s.put, b.Samples[0].Name)
	return s.err
}

func (s *told) Run(ctx context.Context) error { <-ctx.Done(); return nil }

func (s *told) Stats() spool.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return spool.Stats{DroppedBy: s.dropped}
}

func (s *told) fails(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *told) drops(by map[string]uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropped = by
}

func (s *told) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.put)
}

func named(name string) *record.Batch {
	return &record.Batch{Source: &record.Source{Kind: record.Script, Name: "s"}, Time: time.Now(), Samples: []record.Sample{{Name: name, Value: 1}}}
}

// await polls until ask says so.
func await(t *testing.T, what string, ask func() bool) {
	t.Helper()
	eventually(t, func() error {
		if !ask() {
			return errors.New("waited in vain for " + what)
		}
		return nil
	})
}

// Every sink has a batch, whatever another one does with it, and none waits for
// another.
func TestSinks(t *testing.T) {
	page, slow, broken := &told{}, &told{hold: make(chan struct{})}, &told{err: errors.New("disk full")}
	s := &sinks{always: record.Tee{page}}
	if err := s.Put(named("a")); err != nil {
		t.Error(err)
	}
	s.use(record.Tee{slow, broken})
	put := make(chan error)
	go func() { put <- s.Put(named("b")) }()
	await(t, "the others to have it", func() bool { return len(broken.all()) == 1 && len(page.all()) == 2 })
	s.use(nil)
	if err := s.Put(named("c")); err != nil {
		t.Error(err)
	}
	close(slow.hold)
	if err := <-put; err == nil || err.Error() != "disk full" {
		t.Errorf("Put: %v", err)
	}
	for _, c := range []struct {
		what string
		sink *told
		want []string
	}{{"page", page, []string{"a", "b", "c"}}, {"slow", slow, []string{"b"}}, {"broken", broken, []string{"b"}}} {
		if diff := cmp.Diff(c.want, c.sink.all()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.what, diff)
		}
	}
}

// opening is an upload whose spool takes as long to open as a test wants.
type opening struct {
	*upload
	sink *told
	log  *bytes.Buffer // to be read when it has ended
	open chan error    // gets what opening comes to
}

func newOpening(t *testing.T) *opening {
	o := &opening{sink: &told{}, log: new(bytes.Buffer), open: make(chan error)}
	path := filepath.Join(t.TempDir(), "spool")
	ways := &uploads{logger: log.NewLogfmtLogger(o.log), storage: func(string) (string, error) { return path, <-o.open }}
	kind := uploadKind{
		name: "told",
		most: func(*config.Upload) int64 { return 1 << 20 },
		make: func(*config.Upload, string, *spool.Spool, log.Logger) (uploader, error) { return o.sink, nil },
	}
	o.upload = ways.newUpload(kind, new(config.Upload), config.Inputs{})
	go o.loop(nil)
	return o
}

func (o *opening) end() {
	o.stop()
	<-o.done
}

// While a spool is opened nobody waits for it but those who are told that a
// batch is safe; and then all is there, in order.
func TestUploadOpens(t *testing.T) {
	o := newOpening(t)
	for _, name := range []string{"a", "b"} {
		b := named(name)
		if err := o.Put(b); err != nil {
			t.Error(err)
		}
		b.Samples[0].Name = "somebody else's by now"
	}
	acknowledged := named("told")
	acknowledged.Source.Acknowledged = true
	safe := make(chan error, 1)
	go func() { safe <- o.Put(acknowledged) }()
	if s := o.state(); !s.opening || s.err != "" || s.stats != nil {
		t.Errorf("state: %+v", s)
	}
	if err := o.Put(named("c")); err != nil {
		t.Error(err)
	}
	select {
	case err := <-safe:
		t.Errorf("it was acknowledged before there was a spool: %v", err)
	default:
	}
	o.open <- nil
	if err := <-safe; err != nil {
		t.Error(err)
	}
	if err := o.Put(named("d")); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"a", "b", "c", "told", "d"}, o.sink.all()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if s := o.state(); s.opening || s.stats == nil {
		t.Errorf("state: %+v", s)
	}
	o.end()
	if err := o.Put(named("late")); err != nil { // it is configured no more
		t.Error(err)
	}
	if o.log.Len() > 0 {
		t.Errorf("log: %s", o.log)
	}
}

// What is held is bounded; who comes then waits.
func TestUploadOpensFull(t *testing.T) {
	o := newOpening(t)
	large := named("large")
	large.Samples = append(large.Samples, make([]record.Sample, heldMost-2)...)
	if err := o.Put(large); err != nil {
		t.Error(err)
	}
	put := make(chan error, 1)
	go func() { put <- o.Put(named("next")) }()
	o.open <- nil
	if err := <-put; err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"large", "next"}, o.sink.all()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if o.holds != 0 {
		t.Errorf("it still holds %d", o.holds)
	}
	o.end()
}

// A spool that cannot be opened loses what came until then, and says so.
func TestUploadDoesNotOpen(t *testing.T) {
	o := newOpening(t)
	if err := o.Put(named("a")); err != nil {
		t.Error(err)
	}
	o.open <- errors.New("no such disk")
	await(t, "it to be tried", o.isTried)
	if err := o.Put(named("b")); err == nil || err.Error() != "upload told: no such disk" {
		t.Errorf("Put: %v", err)
	}
	if s := o.state(); s.opening || s.err != "no such disk" {
		t.Errorf("state: %+v", s)
	}
	// What has changed is tried at once, and not half a minute later.
	o.change(t.Context(), new(config.Upload), config.InputsOf("another"))
	select {
	case o.open <- nil:
	case <-time.After(uploadRetry / 2):
		t.Fatal("it is not tried again")
	}
	await(t, "it to be open", func() bool { return o.Put(named("c")) == nil })
	o.end()
	if diff := cmp.Diff([]string{"c"}, o.sink.all()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	want := `level=error upload=told msg="values that came while the spool was opened are lost" values=1 err="no such disk"
level=error upload=told msg="the upload cannot take anything; it is tried again" err="no such disk"
level=info upload=told msg="the upload takes again what comes"
`
	if o.log.String() != want {
		t.Errorf("log:\n%s", o.log)
	}
}

// What comes while the held is put into the spool comes after it.
func TestUploadOpensInUse(t *testing.T) {
	o := newOpening(t)
	o.sink.hold = make(chan struct{})
	for _, name := range []string{"a", "b"} {
		if err := o.Put(named(name)); err != nil {
			t.Error(err)
		}
	}
	o.open <- nil
	await(t, "the spool to be open", func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		return o.holds == 0 // they are on their way
	})
	if err := o.Put(named("c")); err != nil {
		t.Error(err)
	}
	close(o.sink.hold)
	await(t, "all to be put", func() bool { return len(o.sink.all()) == 3 })
	if diff := cmp.Diff([]string{"a", "b", "c"}, o.sink.all()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	o.end()
}

// An upload that ends lets those who are putting into its spool come to their
// end, before it closes that.
func TestUploadEndsInUse(t *testing.T) {
	o := newOpening(t)
	o.open <- nil
	await(t, "it to be open", o.isTried)
	o.sink.hold = make(chan struct{})
	put := make(chan error)
	go func() { put <- o.Put(named("a")) }()
	await(t, "the batch to be on its way", func() bool { return o.sink.entered.Load() > 0 })
	o.stop()
	await(t, "it to take nothing more", func() bool { return o.state().opening })
	select {
	case <-o.done:
		t.Error("it has closed its spool")
	default:
	}
	close(o.sink.hold)
	if err := <-put; err != nil {
		t.Error(err)
	}
	<-o.done
}

// What an upload could not keep is counted by reason, unless who sent it is told
// and has it still; and all reasons are shown, so that the first loss is seen to be
// one.
func TestUploadCountsLost(t *testing.T) {
	o := newOpening(t)
	defer o.end()
	put := func(name string, acknowledged bool, samples int) {
		b := named(name)
		b.Source.Acknowledged = acknowledged
		b.Samples = slices.Repeat(b.Samples, samples)
		b.Events = make([]record.Event, 1)
		_ = o.Put(b)
	}
	check := func(what string, want map[string]uint64) {
		t.Helper()
		s := o.state()
		if diff := cmp.Diff(want, s.dropped()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	check("at first", map[string]uint64{"full": 0, "damaged": 0, "removed": 0, "unavailable": 0})
	put("held", false, 2)
	o.open <- errors.New("no such disk")
	await(t, "it to be tried", o.isTried)
	check("what was held", map[string]uint64{"full": 0, "damaged": 0, "removed": 0, "unavailable": 3})
	put("while it is not open", false, 3)
	put("its sender is told", true, 3)
	check("what came while it was not open", map[string]uint64{"full": 0, "damaged": 0, "removed": 0, "unavailable": 7})
	o.again <- struct{}{}
	o.open <- nil
	await(t, "it to be open", func() bool { return o.state().stats != nil })
	o.sink.fails(errors.New("no space left on device"))
	put("on a full disk", false, 4)
	put("its sender is told", true, 4)
	check("what came while the disk was full", map[string]uint64{"full": 0, "damaged": 0, "removed": 0, "unavailable": 12})
	o.sink.fails(fmt.Errorf("upload: %w", spool.ErrTooLarge))
	put("too large", false, 5)
	check("what was too large", map[string]uint64{"full": 6, "damaged": 0, "removed": 0, "unavailable": 12})
	o.sink.fails(nil)
	o.sink.drops(map[string]uint64{"full": 1, "damaged": 2, "removed": 3})
	check("and what the spool lost", map[string]uint64{"full": 7, "damaged": 2, "removed": 3, "unavailable": 12})
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(&uploads{at: []*upload{o.upload}})
	page := new(strings.Builder)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(page, f); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range []string{
		`scriptbridge_upload_dropped_total{reason="damaged",upload="told"} 2`, `scriptbridge_upload_dropped_total{reason="full",upload="told"} 7`,
		`scriptbridge_upload_dropped_total{reason="removed",upload="told"} 3`, `scriptbridge_upload_dropped_total{reason="unavailable",upload="told"} 12`,
	} {
		if !strings.Contains(page.String(), line+"\n") {
			t.Errorf("the page does not have %s:\n%s", line, page)
		}
	}
}

// The end loses nothing that was held.
func TestUploadEndsWhileItOpens(t *testing.T) {
	o := newOpening(t)
	if err := o.Put(named("a")); err != nil {
		t.Error(err)
	}
	o.stop()
	o.open <- nil
	<-o.done
	if diff := cmp.Diff([]string{"a"}, o.sink.all()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// world is uploads with spools in a folder.
func world(t *testing.T) (*uploads, *syncBuffer) {
	folder, said := t.TempDir(), new(syncBuffer)
	ways := &uploads{
		sinks: &sinks{}, logger: log.NewLogfmtLogger(said), leaving: make(map[string]*upload),
		storage: func(name string) (string, error) { return filepath.Join(folder, name), nil },
	}
	t.Cleanup(ways.close)
	return ways, said
}

// syncBuffer is a log.
type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

// take gives what was written since it was last asked.
func (s *syncBuffer) take() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.b.Reset()
	return s.b.String()
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// A renewed file of certificates is noticed, though the configuration says what it
// said; one that is no such file changes nothing. Through all of it the queue
// stays open, and no count begins anew.
func TestUploadRenewed(t *testing.T) {
	asked := make(chan struct{}, 100)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		asked <- struct{}{}
	}))
	defer server.Close()
	server.Config.ErrorLog = nil
	folder := t.TempDir()
	file := func(name string) string { return filepath.Join(folder, name) }
	write := func(name, text string) {
		if err := os.WriteFile(file(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("token", "secret")
	if err := makeCertificate(file("ca.pem"), file("key.pem")); err != nil {
		t.Fatal(err)
	}
	cfg := func() *config.Upload {
		return &config.Upload{CoScale: &config.UploadCoScale{
			URL: server.URL, AppID: "a", AccessTokenFile: file("token"), CAFile: file("ca.pem"),
			Server: "s", Interval: time.Second, Spool: config.Spool{MaxBytes: 1 << 20},
		}}
	}
	u, said := world(t)
	u.reload(t.Context(), cfg())
	b := named("a")
	b.Time = b.Time.Add(-time.Hour)
	b.Samples = append(b.Samples, record.Sample{Name: "h", Meta: &record.Meta{Type: record.Histogram}})
	if err := u.sinks.Put(b); err != nil {
		t.Fatal(err)
	}
	state := func() uploadState { return u.states()[0] }
	failing := func(text string) {
		t.Helper()
		await(t, text, func() bool { return strings.Contains(state().err, text) })
	}
	failing("certificate signed by unknown authority")
	first := u.list()[0]

	u.reload(t.Context(), cfg())
	write("ca.pem", "nothing of the kind")
	u.reload(t.Context(), cfg())
	want := `level=error upload=coscale msg="the upload goes on as it was: the new one cannot be made" err="certificates: ` + file("ca.pem") + ` holds none; it is a PEM file of the authorities to trust"`
	if !strings.Contains(said.String(), want) {
		t.Errorf("log:\n%s", said)
	}
	before := *state().stats
	if before.Retried == 0 || before.Items != 1 || before.Skipped["histogram"] != 1 {
		t.Errorf("stats: %+v", before)
	}
	sink := first.sink
	write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	u.reload(t.Context(), cfg())
	<-asked
	failing("503")
	after := *state().stats
	if after.Retried < before.Retried || after.Items != 1 || after.Skipped["histogram"] != 1 {
		t.Errorf("stats: before %+v, after %+v", before, after)
	}
	if u.list()[0] != first || first.sink == sink {
		t.Error("another upload is at work, or the same sink")
	}
	sink = first.sink
	u.reload(t.Context(), cfg())
	if first.sink != sink {
		t.Error("what has not changed was made anew")
	}
	less := cfg()
	less.CoScale.Spool.MaxBytes = 1
	u.reload(t.Context(), less)
	if err := u.sinks.Put(b); err == nil || !strings.Contains(err.Error(), "max_bytes are 1") {
		t.Errorf("Put into a smaller spool: %v", err)
	}
}

// One that goes and comes again has its spool to itself each time.
func TestUploadComesAndGoes(t *testing.T) {
	folder := t.TempDir()
	key := filepath.Join(folder, "key")
	if err := os.WriteFile(key, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	u, said := world(t)
	for i := range 5 {
		u.reload(t.Context(), &config.Upload{Instrumental: &config.UploadInstrumental{
			Collector: "127.0.0.1:1", APIKeyFile: key, Host: "h", Insecure: true, Spool: config.Spool{MaxBytes: 1 << 20},
		}})
		if err := u.sinks.Put(named(fmt.Sprint("a", i))); err != nil {
			t.Error(err)
		}
		u.reload(t.Context(), &config.Upload{})
		if err := u.sinks.Put(named("nobody's")); err != nil {
			t.Error(err)
		}
	}
	u.close()
	sp, err := spool.Open(spool.Options{Path: u.leaving["instrumental"].path(), MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer sp.Close()
	if stats := sp.Stats(); stats.Items != 5 {
		t.Errorf("%d of 5 values are kept:\n%s", stats.Items, said)
	}
	u.reload(t.Context(), &config.Upload{Instrumental: &config.UploadInstrumental{APIKeyFile: key, Insecure: true}})
	if len(u.list()) > 0 {
		t.Error("an upload begins after the end")
	}
}

func (o *upload) path() string {
	path, _ := o.storage(o.kind.name)
	return path
}
