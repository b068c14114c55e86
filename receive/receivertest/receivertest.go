// Package receivertest has what the tests of receivers share: a sink that
// remembers, and what clients send (collectd.go, coscaleapi.go).
package receivertest

import (
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"scriptbridge/record"
)

// Sink is a sink that remembers.
type Sink struct {
	mu      sync.Mutex
	batches []record.Batch
	err     error
}

// Put remembers a batch, and answers what Fail has set.
func (s *Sink) Put(b *record.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches = append(s.batches, *b.Clone()) // as every sink that keeps one
	return s.err
}

// Fail has Put answer err from now on.
func (s *Sink) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// Lines gives a line for each batch, and forgets them.
func (s *Sink) Lines() (lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.batches {
		line := b.Source.Name
		for _, smp := range b.Samples {
			line += " " + smp.Name
		}
		if b.Gone {
			line += " is gone"
		}
		lines = append(lines, line)
	}
	s.batches = nil
	return lines
}

// State is what the batches since the last Lines come to, by series:
// name{label=value,…}.
func (s *Sink) State() map[string]float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := make(map[string]float64)
	for _, b := range s.batches {
		for _, smp := range b.Samples {
			var labels []string
			for _, l := range smp.Labels {
				labels = append(labels, l.Name+"="+l.Value)
			}
			key := fmt.Sprintf("%s{%s}", smp.Name, strings.Join(labels, ","))
			switch smp.Op {
			case record.Add:
				state[key] += smp.Value
			case record.Observe:
				state[key] += max(smp.Weight, 1)
			default:
				state[key] = smp.Value
			}
		}
	}
	return state
}

// Events gives all events of the batches.
func (s *Sink) Events() (events []record.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.batches {
		events = append(events, b.Events...)
	}
	return events
}

// Refused gives the reasons of all lines that were refused.
func (s *Sink) Refused() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var reasons []string
	for _, b := range s.batches {
		for _, e := range record.LineErrors(b.Err) {
			reasons = append(reasons, e.Reason)
		}
	}
	return reasons
}

// Addresses are where a receiver listens, as Receiver.Addresses has them.
type Addresses []string

// Of gives the one of a network, such as udp.
func (a Addresses) Of(t testing.TB, network string) string {
	t.Helper()
	for _, one := range a {
		if at, ok := strings.CutPrefix(one, network+" "); ok {
			return at
		}
	}
	t.Fatalf("it does not listen on %s: %v", network, a)
	return ""
}

// Dial connects until the test ends.
func Dial(t testing.TB, network, address string) net.Conn {
	t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// WriteFile writes a file that only its owner may read.
func WriteFile(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
