// Package fsx is the file system for those who care that it may be slow, hold
// something else than expected, or lose what was not synced. fsx.go has what
// must be right for something to be on the disk, which tests can replace
// (fsxtest); folder.go keeps to one folder, and follows no link. read.go reads what may be slow, large or no file; write.go
// replaces a file as a whole; place*.go notice that an open file was moved or
// removed; shared*.go let others replace what is open; lock.go locks.
package fsx

import (
	"errors"
	"io/fs"
	"os"
)

// FS is what has to be right for something to be on the disk. OS is the real
// one; a test puts one in its place that loses what was not synced
// (fsxtest.Disk).
type FS interface {
	OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error)
	Mkdir(name string, perm fs.FileMode) error
	Rename(from, to string) error
	Remove(name string) error
	// Link gives a file another name too.
	Link(from, to string) error
	Lstat(name string) (fs.FileInfo, error)
	// Sync brings what was written to a file to the disk, SyncDir the names in
	// a folder: without it a file that was made or renamed may be gone after a
	// loss of power, whatever was synced of its contents.
	Sync(f *os.File) error
	SyncDir(folder string) error
	// Within gives the same for what lies in a folder.
	Within(folder string) (Folder, error)
}

// OS is the operating system's own.
type OS struct{}

// OpenFile is os.OpenFile. Others may rename or remove the file meanwhile, on Windows too.
func (OS) OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error) {
	return openShared(name, flag, perm)
}

// Mkdir is os.Mkdir.
func (OS) Mkdir(name string, perm fs.FileMode) error { return mkdir(name, perm) }

// Rename is os.Rename.
func (OS) Rename(from, to string) error { return patiently(func() error { return rename(from, to) }) }

// Remove is os.Remove.
func (OS) Remove(name string) error { return patiently(func() error { return os.Remove(name) }) }

// Link is os.Link.
func (OS) Link(from, to string) error { return os.Link(from, to) }

// Lstat is os.Lstat.
func (OS) Lstat(name string) (fs.FileInfo, error) { return os.Lstat(name) }

// Sync is f.Sync.
func (OS) Sync(f *os.File) error { return f.Sync() }

// SyncDir syncs a folder.
func (OS) SyncDir(folder string) error {
	dir, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(syncFolder(dir), dir.Close())
}
