package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	"scriptbridge/internal/testkit"
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

// Every sink has a batch, whatever another one does with it, and none waits for
// another.
func TestSinks(t *testing.T) {
	page, slow, broken := &told{}, &told{hold: make(chan struct{})}, &told{err: errors.New("disk full")}
	set := new(Set)
	s := record.Tee{page, set}
	if err := s.Put(named("a")); err != nil {
		t.Error(err)
	}
	set.sinks.Store(&sinks{all: []*upload{at(t, slow), at(t, broken)}})
	put := make(chan error)
	go func() { put <- s.Put(named("b")) }()
	testkit.Await(t, "the others to have it", func() bool { return len(broken.all()) == 1 && len(page.all()) == 2 })
	set.sinks.Store(nil)
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

// at is an upload whose spool is open.
func at(t *testing.T, s Uploader) *upload {
	one := NewSet(nil, log.NewNopLogger(), nil).newUpload(t.Context(), "told", &Settings{})
	one.sink = s
	one.tryDone()
	return one
}

// opening is an upload whose spool takes as long to open as a test wants.
type opening struct {
	*upload
	set  *Set
	sink *told
	log  *bytes.Buffer // to be read when it has ended
	open chan error    // gets what opening comes to
	made int           // how many settings have been made
}

func newOpening(t *testing.T) *opening {
	o := &opening{sink: &told{}, log: new(bytes.Buffer), open: make(chan error)}
	path := filepath.Join(t.TempDir(), "spool")
	types := Types{{Name: "told", Configured: func(*config.Upload) []*Settings {
		o.made++
		return []*Settings{{Section: o.made, MaxBytes: 1 << 20, New: func(Env) (Uploader, error) { return o.sink, nil }}}
	}}}
	o.set = NewSet(types, log.NewLogfmtLogger(o.log), nil)
	o.set.UseStorage("", nil, func(string) (string, error) { return path, <-o.open })
	o.change(t)
	o.upload = o.set.list()[0]
	return o
}

// change asks for another one than before.
func (o *opening) change(t *testing.T) { o.set.Reload(t.Context(), nil) }

func (o *opening) end() { o.set.Close() }

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
	if s := o.state(); !s.Opening || s.Error != "" || s.Stats != nil {
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
	if s := o.state(); s.Opening || s.Stats == nil {
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
	testkit.Await(t, "it to be tried", o.isTried)
	if err := o.Put(named("b")); err == nil || err.Error() != "upload told: no such disk" {
		t.Errorf("Put: %v", err)
	}
	if s := o.state(); s.Opening || s.Error != "no such disk" {
		t.Errorf("state: %+v", s)
	}
	// What has changed is tried at once, and not half a minute later.
	o.change(t)
	select {
	case o.open <- nil:
	case <-time.After(retryAfter / 2):
		t.Fatal("it is not tried again")
	}
	testkit.Await(t, "it to be open", func() bool { return o.Put(named("c")) == nil })
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
	testkit.Await(t, "the spool to be open", func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		return o.holds == 0 // they are on their way
	})
	if err := o.Put(named("c")); err != nil {
		t.Error(err)
	}
	close(o.sink.hold)
	testkit.Await(t, "all to be put", func() bool { return len(o.sink.all()) == 3 })
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
	testkit.Await(t, "it to be open", o.isTried)
	o.sink.hold = make(chan struct{})
	put := make(chan error)
	go func() { put <- o.Put(named("a")) }()
	testkit.Await(t, "the batch to be on its way", func() bool { return o.sink.entered.Load() > 0 })
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.end()
	}()
	testkit.Await(t, "it to take nothing more", func() bool { return o.state().Opening })
	select {
	case <-done:
		t.Error("it has closed its spool")
	default:
	}
	close(o.sink.hold)
	if err := <-put; err != nil {
		t.Error(err)
	}
	<-done
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
	testkit.Await(t, "it to be tried", o.isTried)
	check("what was held", map[string]uint64{"full": 0, "damaged": 0, "removed": 0, "unavailable": 3})
	put("while it is not open", false, 3)
	put("its sender is told", true, 3)
	check("what came while it was not open", map[string]uint64{"full": 0, "damaged": 0, "removed": 0, "unavailable": 7})
	o.change(t)
	o.open <- nil
	testkit.Await(t, "it to be open", func() bool { return o.state().Stats != nil })
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
	registry.MustRegister(o.set)
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
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		o.end()
	}()
	<-o.ctx.Done()
	o.open <- nil
	<-ended
	if diff := cmp.Diff([]string{"a"}, o.sink.all()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// onlyShown is a page that counts how often it is asked.
type onlyShown struct{ asked []bool }

func (*onlyShown) Sources() []*record.Source { return nil }
func (*onlyShown) Process() *record.Shown    { return new(record.Shown) }

func (p *onlyShown) Shown(_ *record.Source, mentioned bool) *record.Shown {
	p.asked = append(p.asked, mentioned)
	return &record.Shown{Lines: 7, Whole: !mentioned}
}

// shownTo is a sink that keeps batches.
type shownTo struct {
	told
	batches []*record.Batch
}

func (s *shownTo) Put(b *record.Batch) error {
	s.batches = append(s.batches, b)
	return nil
}

// What the page shows is found once for all who send it, as soon as a batch has come
// and before it is held; others never see it. Of a receiver that acknowledges, it is what
// the batch spoke of; of others, nothing is sent with a batch.
func TestShown(t *testing.T) {
	page, usual, first, second := &onlyShown{}, &shownTo{}, &shownTo{}, &shownTo{}
	set := NewSet(nil, log.NewNopLogger(), nil)
	set.UsePage(page)
	to := &sinks{shown: true}
	for _, s := range []*shownTo{usual, first, second} {
		one := at(t, s)
		one.shown = s != usual
		to.all = append(to.all, one)
	}
	set.sinks.Store(to)
	for _, source := range []*record.Source{
		{Kind: record.Script, Name: "script"}, {Kind: record.Receiver, Name: "statsd"}, {Kind: record.Receiver, Name: "coscale", Acknowledged: true},
	} {
		b := named("a")
		b.Source = source
		if err := set.Put(b); err != nil || b.Shown != nil {
			t.Errorf("%v, or the batch was changed", err)
		}
	}
	if err := set.Put(&record.Batch{Source: &record.Source{Kind: record.Receiver, Name: "statsd"}, Gone: true}); err != nil {
		t.Error(err)
	}
	if !slices.Equal(page.asked, []bool{false, true, false}) {
		t.Errorf("asked for %v", page.asked)
	}
	for _, s := range []*shownTo{first, second} {
		var got []string
		for _, b := range s.batches {
			got = append(got, fmt.Sprint(b.Source.Name, " ", b.Shown.Whole, " ", items(b)))
		}
		if diff := cmp.Diff([]string{"script true 7", "coscale false 7", "statsd true 7"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if len(usual.batches) != 4 || slices.ContainsFunc(usual.batches, func(b *record.Batch) bool { return b.Shown != nil }) {
		t.Errorf("%d batches", len(usual.batches))
	}
}
