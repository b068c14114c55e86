package statsd

import (
	"context"
	"fmt"
	"testing"

	"github.com/go-kit/log"

	"scriptbridge/config"
	"scriptbridge/internal/testkit"
	"scriptbridge/receive/receiver"
	"scriptbridge/receive/receivertest"
	"scriptbridge/record"
)

// running is one receiver at work by itself, without a Set.
type running struct {
	*receivertest.Sink // empty where run was given another one
	Counts             *receiver.Counts
	log                testkit.Buffer

	receiver receiver.Receiver
	cancel   context.CancelFunc
	ended    chan struct{}
	err      error // of Run, once it has ended
}

// run makes a receiver as the configuration says, and has it work until the test
// ends. A nil sink is the Sink of what it returns.
func run(t testing.TB, typ receiver.Type, c *config.Receive, sink record.Sink) *running {
	t.Helper()
	r := &running{Sink: new(receivertest.Sink), Counts: new(receiver.Counts), ended: make(chan struct{})}
	if sink == nil {
		sink = r.Sink
	}
	opened := make(chan struct{})
	made, err := typ.New(c, receiver.Env{
		Source: &record.Source{Kind: record.Receiver, Name: typ.Name, Prefix: typ.Prefix, Verbatim: typ.Verbatim, MaxSeries: typ.Section(c).MaxSeries},
		Sink:   sink, Logger: log.NewLogfmtLogger(&r.log), Counts: r.Counts, Opened: func() { close(opened) },
	})
	if err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(context.Background())
	r.receiver = made
	go func() {
		defer close(r.ended)
		r.err = made.Run(ctx)
	}()
	t.Cleanup(func() { r.stop(t) })
	select {
	case <-opened:
	case <-r.ended:
		t.Fatalf("it does not open: %v", r.err)
	}
	return r
}

// stop has it end, which it must do well.
func (r *running) stop(t testing.TB) {
	r.cancel()
	<-r.ended
	if r.err != nil {
		t.Errorf("it ended with %v", r.err)
	}
}

// Address gives where it listens by a network's word, such as udp.
func (r *running) Address(t testing.TB, network string) string {
	t.Helper()
	return receivertest.Addresses(r.receiver.Addresses()).Of(t, network)
}

// Poll waits until ask says so.
func (r *running) Poll(t testing.TB, what string, ask func() bool) {
	t.Helper()
	testkit.Poll(t, what, ask, func() string {
		return fmt.Sprintf("state:\n%v\ncounts: %+v\nlog:\n%s", r.State(), r.Counts.View(), &r.log)
	})
}

// sinkFunc is a function that takes batches.
type sinkFunc func(*record.Batch)

// Put calls it.
func (f sinkFunc) Put(b *record.Batch) error {
	f(b)
	return nil
}
