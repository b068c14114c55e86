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

// set exchanges the sinks of uploads. When it returns, no batch is on its way
// into the old ones, and they may be closed.
func (s *sinks) set(uploads record.Tee) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uploads = uploads
}
