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

// Aside is something that was refused for good.
type Aside struct {
	Why error
	// Shown is JSON that tells people what it is.
	Shown []byte
	Items int
	// At and Entry are as it would be queued again; without Entry it cannot be.
	At    time.Time
	Entry []byte
}

// asideLine is a line of the file of refused things. Former versions wrote Time,
// Error and Data alone.
type asideLine struct {
	Time  time.Time       `json:"time"` // when it was refused
	Error string          `json:"error"`
	Data  json.RawMessage `json:"data"`
	Items int             `json:"items,omitempty"`
	At    time.Time       `json:"at,omitzero"`
	Entry []byte          `json:"entry,omitempty"`
}

// SetAside keeps what was refused for good where a person can find it, and from
// where it can be queued again (see Restore): lines of JSON in PATH.refused. The
// newest 8 MiB or more are kept: past that, the file becomes PATH.refused.1. When
// SetAside returns nil, the lines are on disk. They are not counted; see Refused.
func (s *Spool) SetAside(all ...Aside) error {
	var lines []byte
	for i, a := range all {
		line, err := json.Marshal(asideLine{
			Time: time.Now().UTC().Truncate(time.Second), Error: a.Why.Error(), Data: a.Shown, Items: a.Items, At: a.At.UTC(), Entry: a.Entry,
		})
		if err != nil {
			return fmt.Errorf("set aside: %w", err)
		}
		lines = append(append(lines, line...), '\n')
		if i+1 < len(all) && len(lines) < 1<<20 {
			continue
		}
		if err := s.appendAside(lines); err != nil {
			return fmt.Errorf("set aside: %w", err)
		}
		lines = nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.refusedSince) >= tellAgain {
		s.refusedSince, s.refusedTold = now, nil
	}
	for _, a := range all {
		if s.refusedTold.fresh(a.Why) {
			level.Error(s.logger).Log("msg", "what was refused for good is set aside", "file", s.path+".refused", "items", a.Items, "err", a.Why)
		}
	}
	return nil
}

// Refused counts items that were refused for good.
func (s *Spool) Refused(items int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count.Refused += uint64(items)
}

// tellAgain is how often the same reason for setting aside is logged.
const tellAgain = time.Hour

func (s *Spool) appendAside(lines []byte) error {
	s.aside.Lock()
	defer s.aside.Unlock()
	path := s.path + ".refused"
	info, err := os.Stat(path)
	fresh := errors.Is(err, fs.ErrNotExist)
	switch {
	case fresh:
	case err != nil:
		return err
	case info.Size()+int64(len(lines)) > asideMost:
		if err := s.fs.Rename(path, path+".1"); err != nil {
			return err
		}
		fresh = true
	}
	f, err := s.fs.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(lines)
	if err == nil {
		err = s.fs.Sync(f)
	}
	if err == nil && fresh {
		err = s.fs.SyncDir(filepath.Dir(path))
	}
	return errors.Join(err, f.Close())
}
