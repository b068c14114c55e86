//go:build unix

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"

	"scriptbridge/internal/fsx"
)

// checkContents says what in the storage folder somebody else than the user uid and
// root can change, or what leads elsewhere: it may be from a time when the folder
// was another's.
func checkContents(folder string, uid uint32) error {
	var names hardLinks
	top := folder + "/." // so that a link to the folder is followed
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case path == top:
			return checkOurs(folder, info, uid)
		}
		names.add(path, info)
		return checkEntry(path, info, uid)
	})
	return cmp.Or(err, names.outside())
}

// hardLinks are the files that were found and have more than one name.
type hardLinks map[[2]uint64]*hardLink // by device and inode

type hardLink struct {
	path  string
	names uint64
	found uint64 // of the names
}

func (h *hardLinks) add(path string, info fs.FileInfo) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.Mode().IsRegular() || stat.Nlink == 1 {
		return
	}
	if *h == nil {
		*h = make(hardLinks)
	}
	id := [2]uint64{uint64(stat.Dev), stat.Ino}
	if (*h)[id] == nil {
		(*h)[id] = &hardLink{path: path, names: uint64(stat.Nlink)}
	}
	(*h)[id].found++
}

// outside says which file has a name that was not found.
func (h *hardLinks) outside() error {
	for _, l := range *h {
		if l.found < l.names {
			return fmt.Errorf("%s has another name outside of the folder (it has %d hard links): see what it is, and move it away", l.path, l.names)
		}
	}
	return nil
}

// checkEntry is checkContents of one thing in the folder.
func checkEntry(path string, info fs.FileInfo, uid uint32) error {
	if info.Mode()&fs.ModeSymlink != 0 {
		return fmt.Errorf("%s %w", path, fsx.ErrLink)
	}
	if owner, ok := ownerOf(info); ok && owner != 0 && owner != uid {
		return fmt.Errorf("%s belongs to another user (uid %d): see what it is, and move it away", path, owner)
	}
	// A socket is for others to write to.
	if mode := info.Mode(); mode&0o022 != 0 && (mode.IsRegular() || mode.IsDir()) {
		return fmt.Errorf("%s: others may write it (mode %v): see what it is, and let scriptbridge alone write it", path, mode)
	}
	return nil
}

// checkOurs says that others may write a folder of the storage, or that it is
// somebody else's, who could put there what they like.
func checkOurs(_ string, info fs.FileInfo, uid uint32) error {
	if mode := info.Mode(); mode&0o022 != 0 {
		return fmt.Errorf("others may write it (mode %v): the folder must be for scriptbridge alone, and one that is missing is made so", mode)
	}
	if owner, ok := ownerOf(info); ok && owner != 0 && owner != uid {
		return fmt.Errorf("it belongs to another user (uid %d): the folder must be for scriptbridge alone, and one that is missing is made so", owner)
	}
	return nil
}

func ownerOf(info fs.FileInfo) (uint32, bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return stat.Uid, true
}
