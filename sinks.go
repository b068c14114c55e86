package main

import (
	"errors"
	"sync"
	"sync/atomic"

	"scriptbridge/record"
)

// sinks is where all batches go: to those that are always there, and to those
// that a reload may exchange.
type sinks struct {
	always  record.Tee
	uploads atomic.Pointer[record.Tee]
}

// Put puts a batch into each sink. Into the uploads it goes at once, so that
// none waits for the disk of another.
func (s *sinks) Put(b *record.Batch) error {
	err := s.always.Put(b)
	uploads := s.uploads.Load()
	if uploads == nil {
		return err
	}
	errs := make([]error, len(*uploads))
	var putting sync.WaitGroup
	for i, one := range *uploads {
		putting.Go(func() { errs[i] = one.Put(b) })
	}
	putting.Wait()
	return errors.Join(append([]error{err}, errs...)...)
}

// use has batches go to these uploads from now on. One that is on its way may
// still come to those before.
func (s *sinks) use(uploads record.Tee) { s.uploads.Store(&uploads) }
