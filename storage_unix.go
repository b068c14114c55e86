//go:build unix

package main

import (
	"fmt"
	"io/fs"
	"syscall"

	"scriptbridge/internal/fsx"
)

// resolved gives a path of a folder by which a link to it is followed.
func resolved(folder string) string { return folder + "/." }

// hardLinks are the files that were found and have more than one name.
type hardLinks map[[2]uint64]*hardLink // by device and inode

type hardLink struct {
	path  string
	names uint64
	found uint64 // of the names
}

func (h *hardLinks) add(path string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.Mode().IsRegular() || stat.Nlink == 1 {
		return nil
	}
	if *h == nil {
		*h = make(hardLinks)
	}
	id := [2]uint64{uint64(stat.Dev), stat.Ino}
	if (*h)[id] == nil {
		(*h)[id] = &hardLink{path: path, names: uint64(stat.Nlink)}
	}
	(*h)[id].found++
	return nil
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
