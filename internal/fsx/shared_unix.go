//go:build unix

package fsx

import (
	"io/fs"
	"os"
	"syscall"
)

// ErrNotFolder says that something else is where a folder is wanted.
var ErrNotFolder error = syscall.ENOTDIR

// openShared is os.OpenFile: here whoever has a file open keeps nobody from replacing it.
func openShared(name string, flag int, perm fs.FileMode) (*os.File, error) {
	return os.OpenFile(name, flag, perm)
}

// mkdir is os.Mkdir.
func mkdir(name string, perm fs.FileMode) error { return os.Mkdir(name, perm) }

// rename is os.Rename.
func rename(from, to string) error { return os.Rename(from, to) }

// patiently does it once: nobody is in the way.
func patiently(do func() error) error { return do() }

// syncFolder has the names in an open folder be on the disk.
func syncFolder(dir *os.File) error { return dir.Sync() }

// Exact says whether a file's time of change is that of its last change while it
// is open.
const Exact = true

// Replaceable says whether a file can be replaced that is open and mapped into memory.
const Replaceable = true
