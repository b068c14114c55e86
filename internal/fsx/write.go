package fsx

import (
	"errors"
	"io/fs"
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

// MkdirAll makes a folder and those above it, where they are missing, for their
// owner alone. When it returns nil, those that it made are on the disk: what is kept
// in a folder is lost with the folder's own name.
func MkdirAll(disk FS, folder string) error {
	folder = filepath.Clean(folder)
	if info, err := os.Stat(folder); err == nil && info.IsDir() {
		return nil
	} else if err == nil {
		return &fs.PathError{Op: "mkdir", Path: folder, Err: ErrNotFolder}
	}
	above := filepath.Dir(folder)
	if above != folder {
		if err := MkdirAll(disk, above); err != nil {
			return err
		}
	}
	if err := disk.Mkdir(folder, 0o700); err != nil {
		if info, errStat := os.Stat(folder); errStat == nil && info.IsDir() { // somebody else did
			return nil
		}
		return err
	}
	err := disk.SyncDir(above)
	if errors.Is(err, fs.ErrPermission) { // it may be written, and not be read: nothing can be done
		return nil
	}
	return err
}
