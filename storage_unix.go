//go:build unix

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"scriptbridge/internal/trust"
)

// checkPrivate says that others may write a folder of the storage, or that it is
// somebody else's, who could put links into it for us to follow. For root each
// folder on the way is looked at as well.
func checkPrivate(folder string) error {
	info, err := os.Stat(folder)
	if err != nil {
		return err
	}
	if mode := info.Mode(); mode&0o022 != 0 {
		return fmt.Errorf("others may write it (mode %v): the folder must be for scriptbridge alone, and one that is missing is made so", mode)
	}
	if os.Geteuid() == 0 {
		if e := (trust.Policy{}).Fault(folder); e != nil {
			return fmt.Errorf("%s may change it, since %s: name a folder that nobody else may write, nor those above it", e.Who, e.State())
		}
	}
	if owner, ok := ownerOf(info); ok && owner != 0 && owner != uint32(os.Geteuid()) {
		return fmt.Errorf("it belongs to another user (uid %d): the folder must be for scriptbridge alone, and one that is missing is made so", owner)
	}
	return nil
}

// checkContents says what in the storage folder was put there by somebody else
// than us and root, or leads elsewhere: it may be from a time when the folder was
// another's.
func checkContents(folder string) error {
	return filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case path != folder && info.Mode()&fs.ModeSymlink != 0:
			return fmt.Errorf("%s is a link, which is not followed here: see where it leads, and remove it", path)
		}
		if owner, ok := ownerOf(info); ok && owner != 0 && owner != uint32(os.Geteuid()) {
			return fmt.Errorf("%s belongs to another user (uid %d): see what it is, and move it away", path, owner)
		}
		return nil
	})
}

func ownerOf(info fs.FileInfo) (uint32, bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return stat.Uid, true
}
