package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/go-kit/log/level"
)

// asideMost bounds each of the two files of refused things, in bytes.
const asideMost = 8 << 20

// refusal is a line of the file of refused things.
type refusal struct {
	Time  time.Time       `json:"time"` // when it was refused
	Error string          `json:"error"`
	Data  json.RawMessage `json:"data"`
}

// SetAside keeps what was refused for good where a person can find it: a line
// of JSON in PATH.refused, with the time, the error, and data, which is JSON.
// The newest 8 MiB or more are kept: past that, the file becomes
// PATH.refused.1. It is counted as so many items. When SetAside returns nil,
// the line is on disk.
func (s *Spool) SetAside(items int, data []byte, why error) error {
	line, err := json.Marshal(refusal{time.Now().UTC().Truncate(time.Second), why.Error(), data})
	if err != nil {
		return fmt.Errorf("set aside: %w", err)
	}
	if err := s.appendAside(append(line, '\n')); err != nil {
		return fmt.Errorf("set aside: %w", err)
	}
	s.mu.Lock()
	s.count.Refused += uint64(items)
	if now := time.Now(); now.Sub(s.refusedSince) >= tellAgain {
		s.refusedSince, s.refusedTold = now, nil
	}
	fresh := s.refusedTold.fresh(why)
	s.mu.Unlock()
	if fresh {
		level.Error(s.logger).Log("msg", "what was refused for good is set aside", "file", s.path+".refused", "items", items, "err", why)
	}
	return nil
}

// tellAgain is how often the same reason for setting aside is logged.
const tellAgain = time.Hour

func (s *Spool) appendAside(line []byte) error {
	s.aside.Lock()
	defer s.aside.Unlock()
	path := s.path + ".refused"
	info, err := os.Stat(path)
	fresh := errors.Is(err, fs.ErrNotExist)
	switch {
	case fresh:
	case err != nil:
		return err
	case info.Size()+int64(len(line)) > asideMost:
		if err := s.fs.Rename(path, path+".1"); err != nil {
			return err
		}
		fresh = true
	}
	f, err := s.fs.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(line)
	if err == nil {
		err = s.fs.Sync(f)
	}
	if err == nil && fresh {
		err = s.fs.SyncDir(filepath.Dir(path))
	}
	return errors.Join(err, f.Close())
}
