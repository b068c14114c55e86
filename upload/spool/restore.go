package spool

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"scriptbridge/internal/fsx"
)

// asideFiles are those of refused things beside a spool, the older first.
func asideFiles(path string) []string { return []string{path + ".refused.1", path + ".refused"} }

// AsideLine is a line of what was set aside.
type AsideLine struct {
	Time  time.Time // when it was refused
	Error string
	Aside // without Why
	text  []byte
}

// ReadAside reads what was set aside beside a spool, the oldest first. A line
// that is none, such as the last one of a disk that was full, is given with its
// text alone.
func ReadAside(disk fsx.FS, path string, each func(AsideLine) error) error {
	for _, name := range asideFiles(path) {
		if err := readAsideFile(disk, name, each); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func readAsideFile(disk fsx.FS, name string, each func(AsideLine) error) error {
	f, err := disk.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it is only read
	in := bufio.NewReader(f)
	for {
		text, err := in.ReadBytes('\n')
		if len(text) > 0 {
			var line asideLine
			one := AsideLine{text: text}
			if json.Unmarshal(text, &line) == nil {
				one.Time, one.Error = line.Time, line.Error
				one.Aside = Aside{Shown: line.Data, Items: line.Items, At: line.At, Entry: line.Entry}
			}
			if err := each(one); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// errNoRoom says that the queue cannot take what was set aside.
var errNoRoom = errors.New("the queue has no room for what was set aside, and would drop it for being the oldest: raise spool.max_bytes, or wait until less is queued")

// Restore queues again what was set aside, and gives how many items that are. former
// completes a line of a version that kept no Entry; a line that it has no use
// for stays aside, and is counted in left. Nobody else may use the spool.
func (s *Spool) Restore(former func(*Aside) error) (back, left int, err error) {
	var kept []byte
	var lines []Aside
	var room int64
	err = ReadAside(s.fs, s.path, func(line AsideLine) error {
		a := line.Aside
		if a.Entry == nil && former(&a) != nil {
			kept = append(append(kept, bytes.TrimSuffix(line.text, []byte("\n"))...), '\n')
			left++
			return nil
		}
		lines = append(lines, a)
		room += cost(s.rows.value(newKey(a.At, 1), a.Items, a.Entry, false)).bytes
		back += a.Items
		return nil
	})
	switch {
	case err != nil:
		return 0, 0, fmt.Errorf("restore: %w", err)
	case len(lines) == 0:
		return 0, left, nil
	case s.Stats().Bytes+room > s.max.Load():
		return 0, 0, errNoRoom
	}
	err = s.Take(func(tx *Tx) error {
		for _, a := range lines {
			if err := tx.Append(a.At, a.Items, a.Entry); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil { // an end before this has been done queues all once more
		err = s.leaveAside(kept)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("restore: %w", err)
	}
	return back, left, nil
}

// leaveAside leaves only some lines in the files of refused things.
func (s *Spool) leaveAside(lines []byte) error {
	s.aside.Lock()
	defer s.aside.Unlock()
	files := asideFiles(s.path)
	if len(lines) > 0 {
		if err := fsx.WriteFile(s.fs, files[1], lines); err != nil {
			return err
		}
		files = files[:1]
	}
	for _, name := range files {
		if err := s.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return s.fs.SyncDir(filepath.Dir(s.path))
}
