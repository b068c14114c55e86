package fsx

import (
	"errors"
	"os"
	"path/filepath"
)

// WriteFile has a file hold data, for its owner alone. It appears whole or not at
// all: until then the name has what it had. When WriteFile returns nil, it is on
// the disk.
func WriteFile(disk FS, path string, data []byte) error {
	next := path + ".tmp"
	f, err := disk.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = disk.Sync(f)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := disk.Rename(next, path); err != nil {
		return err
	}
	return disk.SyncDir(filepath.Dir(path))
}
