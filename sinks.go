package main

import (
	"errors"
	"sync"

	"scriptbridge/record"
)

// sinks is where all batches go: to those that are always there, and to those
// that a reload may exchange.
type sinks struct {
	always record.Tee

	mu      sync.RWMutex // held for reading while a batch is put into them
	uploads record.Tee
}

// Put puts a batch into each sink.
func (s *sinks) Put(b *record.Batch) error {
	err := s.always.Put(b)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return errors.Join(err, s.uploads.Put(b))
}

// exchange puts what f gives in the place of the sinks of uploads. No batch is
// on its way into the old ones while f runs, and those that come wait.
func (s *sinks) exchange(f func() record.Tee) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uploads = f()
}
