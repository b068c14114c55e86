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
// SetAside returns nil, the lines are on disk; otherwise none are there, so that they
// may come again. They are not counted; see Tx.Refused.
func (s *Spool) SetAside(all ...Aside) error {
	var lines []byte
	begin := int64(-1) // of the first line in the file
	fail := func(err error) error {
		return errors.Join(fmt.Errorf("set aside: %w", err), s.cutAside(begin))
	}
	for i, a := range all {
		line, err := json.Marshal(asideLine{
			Time: time.Now().UTC().Truncate(time.Second), Error: a.Why.Error(), Data: a.Shown, Items: a.Items, At: a.At.UTC(), Entry: a.Entry,
		})
		if err != nil {
			return fail(err)
		}
		lines = append(append(lines, line...), '\n')
		if i+1 < len(all) && len(lines) < 1<<20 {
			continue
		}
		at, err := s.appendAside(lines)
		if err != nil {
			return fail(err)
		}
		if begin < 0 || at == 0 { // the file is another one
			begin = at
		}
		lines = nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.refusedSince) >= tellAgain {
		s.refusedSince, s.refusedTold = now, nil
	}
	for i, a := range all {
		s.refuse(&all[i])
		if s.refusedTold.fresh(a.Why) {
			level.Error(s.logger).Log("msg", "what was refused for good is set aside", "file", s.path+".refused", "items", a.Items, "err", a.Why)
		}
	}
	return nil
}

// tellAgain is how often the same reason for setting aside is logged.
const tellAgain = time.Hour

// appendAside appends lines, and gives how long the file was before: all of them
// are there, or none.
func (s *Spool) appendAside(lines []byte) (at int64, err error) {
	s.aside.Lock()
	defer s.aside.Unlock()
	path := s.path + ".refused"
	info, err := s.fs.Lstat(path)
	size := int64(0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return 0, err
	case info.Size()+int64(len(lines)) > asideMost:
		if err := s.fs.Rename(path, path+".1"); err != nil {
			return 0, err
		}
	default:
		size = info.Size()
	}
	whole, err := s.endsLine(path, size)
	if err != nil {
		return 0, err
	}
	if !whole { // by the end of a process, or of the machine
		lines = append([]byte{'\n'}, lines...)
	}
	f, err := s.fs.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return 0, err
	}
	_, err = f.WriteAt(lines, size)
	if err == nil {
		err = s.fs.Sync(f)
	}
	if err == nil && size == 0 {
		err = s.fs.SyncDir(filepath.Dir(path))
	}
	if err != nil { // as on a full disk: all of it comes again
		err = errors.Join(err, f.Truncate(size))
	}
	return size, errors.Join(err, f.Close())
}

// cutAside makes the file as long as it was before.
func (s *Spool) cutAside(size int64) error {
	if size < 0 {
		return nil
	}
	s.aside.Lock()
	defer s.aside.Unlock()
	f, err := s.fs.OpenFile(s.path+".refused", os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = f.Truncate(size)
	if err == nil {
		err = s.fs.Sync(f)
	}
	return errors.Join(err, f.Close())
}

// endsLine says whether what is appended to a file of that size begins a line.
func (s *Spool) endsLine(path string, size int64) (bool, error) {
	if size == 0 {
		return true, nil
	}
	f, err := s.fs.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }() // it is only read
	var last [1]byte
	_, err = f.ReadAt(last[:], size-1)
	return last[0] == '\n', err
}
