package main

import (
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/go-kit/log"

	"scriptbridge/config"
)

// eventStream is where the event log writes: standard output or a file, in one
// of two forms, both of which a reload may change. It is a log.Logger.
type eventStream struct {
	stdout io.Writer

	mu     sync.Mutex
	at     config.EventLog
	file   *os.File // nil for standard output
	logger log.Logger
}

func newEventStream(stdout io.Writer) *eventStream { return &eventStream{stdout: stdout} }

// Log writes one event.
func (s *eventStream) Log(keyvals ...any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logger.Log(keyvals...)
}

// use changes the destination. On an error the old one stays.
func (s *eventStream) use(at config.EventLog) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var file *os.File
	if at.Path != "-" {
		var err error
		if file, err = openLog(at.Path); err != nil {
			return fmt.Errorf("events.log: %w", err)
		}
	}
	s.swap(file, at)
	return nil
}

// reopen opens the file anew, so that a rotated one is let go.
func (s *eventStream) reopen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return
	}
	// Where the new file cannot be had, the old one is still better than none.
	if file, err := openLog(s.at.Path); err == nil {
		s.swap(file, s.at)
	}
}

func (s *eventStream) swap(file *os.File, at config.EventLog) {
	if s.file != nil {
		s.file.Close()
	}
	s.file, s.at = file, at
	if file != nil {
		s.logger = newFormatLogger(file, at.Format)
	} else {
		s.logger = newFormatLogger(s.stdout, at.Format)
	}
}

func (s *eventStream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil {
		s.file.Close()
	}
}

func openLog(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
}
