package fsxtest

import (
	"sync"

	"scriptbridge/internal/fsx"
)

// Silent is the real file system until Hush: then what is to be synced, but for a
// database's own bytes, waits until Answer.
type Silent struct {
	fsx.OS

	mu     sync.Mutex
	answer chan struct{}
}

// Hush has the disk answer no more.
func (s *Silent) Hush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = make(chan struct{})
}

// Answer has it answer again, also those who wait.
func (s *Silent) Answer() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.answer)
	s.answer = nil
}

// SyncDir syncs a folder.
func (s *Silent) SyncDir(folder string) error {
	s.mu.Lock()
	answer := s.answer
	s.mu.Unlock()
	if answer != nil {
		<-answer
	}
	return s.OS.SyncDir(folder)
}
