// Package statsd is the receiver for StatsD, with what DogStatsD added to it.
// net.go listens, line.go reads a line, dog.go and lengths.go DogStatsD's
// events and service checks. packet.go takes packets apart, mapping.go decides on names
// and labels. merge.go adds values up by series, which table.go finds, with observations.go for timers
// and members.go for sets; flush.go makes batches of that once a second,
// in room that spares.go keeps.
package statsd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"scriptbridge/config"
	"scriptbridge/internal/panics"
	"scriptbridge/receive/receiver"
	"scriptbridge/record"
)

// Type is the receiver for StatsD.
var Type = receiver.Type{Name: "statsd", Verbatim: true, Section: section, New: newReceiver}

func section(r *config.Receive) *receiver.Section {
	c := r.StatsD
	if c == nil {
		return nil
	}
	return &receiver.Section{Config: c, Labels: c.Labels, MaxSeries: c.MaxSeries, Files: []string{c.MappingConfig}}
}

// statsd receives StatsD's metrics, DogStatsD's events and service checks, and
// puts what came once a second.
type statsd struct {
	config *config.ReceiveStatsD
	env    receiver.Env
	merge  *merge
	every  time.Duration // between two times that all is put

	mu        sync.Mutex
	addresses []string
}

// dropReasons are why values are dropped, apart from lines that cannot be
// read.
var dropReasons = []string{"connections", "kernel", "mapping", "max_series", "overload", receiver.Forbidden}

// flushInterval is how often what came is put.
const flushInterval = time.Second

// newReceiver reads the mapping file and checks it.
func newReceiver(c *config.Receive, env receiver.Env) (receiver.Receiver, error) {
	mapping, err := loadMapping(c.StatsD.MappingConfig, c.StatsD.TTL)
	if err != nil {
		return nil, err
	}
	for _, reason := range dropReasons {
		env.Counts.Dropped(reason, 0)
	}
	return &statsd{config: c.StatsD, env: env, merge: newMerge(env.Source, mapping, env.Counts, time.Now()), every: flushInterval}, nil
}

// Endpoints are none.
func (s *statsd) Endpoints() []receiver.Endpoint { return nil }

// Addresses are where it listens.
func (s *statsd) Addresses() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addresses
}

// listener is one that is open. serve reads until stop, and then what the kernel
// holds already; close follows when it has returned. Each is called once. lost
// is how many packets the kernel has dropped so far because nobody took them.
type listener struct {
	address     string
	serve       func() error
	stop, close func()
	lost        func() uint32
}

// Run listens until ctx ends, or until a listener fails.
func (s *statsd) Run(ctx context.Context) error {
	listeners, err := s.open(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	for _, l := range listeners {
		s.addresses = append(s.addresses, l.address)
	}
	s.mu.Unlock()
	s.env.Opened()
	s.env.Sink.Put(&record.Batch{Source: s.env.Source, Time: time.Now(), Declared: declared}) //nolint:errcheck // as in put

	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { failed <- l.serve() }()
	}
	began := time.Now()
	next := time.NewTimer(s.every)
	defer next.Stop()
	lost := make([]uint32, len(listeners))
	running := len(listeners)
	for err == nil && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case err = <-failed:
			running--
		case <-s.merge.wake: // or else nothing is looked for
			next.Reset(s.every - time.Since(began)%s.every)
		case <-next.C:
			if err = s.put(listeners, lost); s.merge.keeps() {
				next.Reset(sweepInterval)
			}
		}
	}
	for _, l := range listeners {
		l.stop()
	}
	for range running {
		err = errors.Join(err, <-failed)
	}
	err = errors.Join(err, s.put(listeners, lost))
	for _, l := range listeners {
		l.close()
	}
	return err
}

// put puts what came since the last time. The error is a fault of ours.
func (s *statsd) put(listeners []*listener, lost []uint32) error {
	return panics.Try(func() error {
		countLost(s.env.Counts, listeners, lost)
		for _, b := range s.merge.flush(time.Now()) {
			s.env.Sink.Put(b) //nolint:errcheck // it has been logged and counted
		}
		return nil
	})
}

// countLost counts what the kernel has dropped since the last time; lost is
// what it had dropped then.
func countLost(counts *receiver.Counts, listeners []*listener, lost []uint32) {
	for i, l := range listeners {
		if n := l.lost(); n != lost[i] {
			counts.Dropped("kernel", int(n-lost[i])) // it may go round
			lost[i] = n
		}
	}
}

// open opens all that is configured, or nothing.
func (s *statsd) open(ctx context.Context) ([]*listener, error) {
	var listeners []*listener
	for _, o := range []struct {
		network, address string
		open             func(ctx context.Context, address string) (*listener, error)
	}{
		{"udp", s.config.UDP, s.openUDP},
		{"tcp", s.config.TCP, s.openTCP},
		{"unixgram", s.config.Unixgram, s.openUnixgram},
	} {
		if o.address == "" {
			continue
		}
		l, err := o.open(ctx, o.address)
		if err != nil {
			for _, l := range listeners {
				l.close()
			}
			return nil, fmt.Errorf("statsd %s: %w", o.network, err)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}
