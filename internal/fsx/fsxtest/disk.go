// Package fsxtest has file systems for tests: disk.go loses what was not
// synced, full_linux.go is full, silent.go does not answer.
package fsxtest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"scriptbridge/internal/fsx"
)

// Disk is the real file system until Crash, which takes back all that was not
// synced, as a loss of power may: names that were made, changed or removed since
// their folder was synced, and bytes that were written since their file was.
//
// It follows the bytes of files that are opened for writing alone. One that is
// opened for reading and writing is a database's, which syncs it by itself.
type Disk struct {
	fsx.FS
	*disk
}

// disk is what a Disk knows, and all that are Within it.
type disk struct {
	mu    sync.Mutex
	aside string // a folder for what may have to come back
	saved int
	names []change
	files map[string]*written // by name
}

// change is one that a folder has not been synced since.
type change struct {
	folder string
	undo   func() error
}

// written is a file that somebody writes: how much of it is on the disk.
type written struct{ synced int64 }

// NewDisk makes a Disk. It needs a folder of its own, on the file system that
// it is used for.
func NewDisk(aside string) *Disk {
	return &Disk{fsx.OS{}, &disk{aside: aside, files: make(map[string]*written)}}
}

// Within gives the same for what lies in a folder.
func (d *Disk) Within(folder string) (fsx.Folder, error) {
	inner, err := d.FS.Within(folder)
	if err != nil {
		return nil, err
	}
	return &within{Disk{inner, d.disk}, inner}, nil
}

// within is a Disk of what lies in a folder.
type within struct {
	Disk
	folder fsx.Folder
}

func (w *within) Close() error { return w.folder.Close() }

// OpenFile opens a file.
func (d *Disk) OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	info, err := os.Lstat(name)
	made := errors.Is(err, fs.ErrNotExist)
	f, err := d.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	if made {
		d.note(name, func() error { return os.Remove(name) })
	}
	switch {
	case flag&os.O_WRONLY == 0:
	case made || flag&os.O_TRUNC != 0:
		d.files[name] = new(written)
	case d.files[name] == nil:
		d.files[name] = &written{info.Size()}
	}
	return f, nil
}

// Mkdir makes a folder, with which all that is in it may go.
func (d *Disk) Mkdir(name string, perm fs.FileMode) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.FS.Mkdir(name, perm); err != nil {
		return err
	}
	d.note(name, func() error { return os.RemoveAll(name) })
	return nil
}

// Rename renames a file; what had the new name may come back.
func (d *Disk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	restore, err := d.save(to)
	if err != nil {
		return err
	}
	if err := d.FS.Rename(from, to); err != nil {
		return err
	}
	if w := d.files[from]; w != nil {
		d.files[to] = w
		delete(d.files, from)
	}
	d.note(to, func() error { return errors.Join(os.Rename(to, from), restore()) })
	return nil
}

// Link gives a file another name too, which may be lost.
func (d *Disk) Link(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.FS.Link(from, to); err != nil {
		return err
	}
	d.note(to, func() error { return os.Remove(to) })
	return nil
}

// Remove removes a file, which may come back.
func (d *Disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	restore, err := d.save(name)
	if err != nil {
		return err
	}
	if err := d.FS.Remove(name); err != nil {
		return err
	}
	delete(d.files, name)
	d.note(name, restore)
	return nil
}

// Sync syncs a file's bytes.
func (d *Disk) Sync(f *os.File) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if w := d.files[f.Name()]; w != nil {
		w.synced = info.Size()
	}
	return d.FS.Sync(f)
}

// SyncDir syncs a folder's names.
func (d *Disk) SyncDir(folder string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var left []change
	for _, c := range d.names {
		if c.folder != filepath.Clean(folder) {
			left = append(left, c)
		}
	}
	d.names = left
	return d.FS.SyncDir(folder)
}

// Crash takes back what was not synced. Who uses the files must have let go of
// them, and a new process has none of their state.
func (d *Disk) Crash() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	for name, w := range d.files {
		errs = append(errs, os.Truncate(name, w.synced))
	}
	for i := len(d.names) - 1; i >= 0; i-- {
		errs = append(errs, d.names[i].undo())
	}
	d.names, d.files = nil, make(map[string]*written)
	return errors.Join(errs...)
}

func (d *Disk) note(name string, undo func() error) {
	d.names = append(d.names, change{filepath.Dir(name), undo})
}

// save keeps what has a name, and gives what brings it back.
func (d *Disk) save(name string) (restore func() error, err error) {
	d.saved++
	kept := filepath.Join(d.aside, fmt.Sprint(d.saved))
	err = os.Link(name, kept)
	if errors.Is(err, fs.ErrNotExist) {
		return func() error { return nil }, nil
	}
	return func() error { return os.Rename(kept, name) }, err
}

var _ fsx.FS = (*Disk)(nil)
