package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"scriptbridge/internal/fsx"
	"scriptbridge/internal/trust"
)

// resolved gives where a folder is that is a link, or a junction. Those on the way to it
// the system follows.
func resolved(folder string) string {
	for range 40 { // as many as others follow
		to, err := os.Readlink(folder)
		if err != nil { // it is none
			break
		}
		folder = linked(folder, to)
	}
	return folder
}

// linked gives what a link leads to. A path that begins at a root without a drive is on that of
// the link.
func linked(link, to string) string {
	switch {
	case filepath.IsAbs(to):
		return to
	case to != "" && os.IsPathSeparator(to[0]):
		return filepath.VolumeName(link) + to
	}
	return filepath.Join(filepath.Dir(link), to)
}

// hardLinks are the files that were found and have more than one name.
type hardLinks []*hardLink

type hardLink struct {
	path  string
	info  fs.FileInfo
	names uint64
	found uint64 // of the names
}

func (h *hardLinks) add(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return nil
	}
	f, err := fsx.Open(path)
	if err != nil {
		return err
	}
	names, err := fsx.Links(f)
	if err = errors.Join(err, f.Close()); err != nil || names < 2 {
		return err
	}
	for _, l := range *h {
		if os.SameFile(l.info, info) {
			l.found++
			return nil
		}
	}
	*h = append(*h, &hardLink{path: path, info: info, names: names, found: 1})
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
func checkEntry(path string, info fs.FileInfo, _ uint32) error {
	if info.Mode()&(fs.ModeSymlink|fs.ModeIrregular) != 0 { // a junction is the latter
		return fmt.Errorf("%s %w", path, fsx.ErrLink)
	}
	e, err := trust.Others(path)
	switch {
	case err != nil || e == nil:
		return err
	case e.Foreign:
		return fmt.Errorf("%s belongs to another user (%s): see what it is, and move it away", path, e.Owner)
	}
	return fmt.Errorf("%s: others may write it (%s): see what it is, and let scriptbridge alone write it", path, e.Who)
}

// checkOurs says that others may write a folder of the storage, or that it is
// somebody else's, who could put there what they like.
func checkOurs(path string, _ fs.FileInfo, _ uint32) error {
	const remedy = "the folder must be for scriptbridge alone, and one that is missing is made so"
	e, err := trust.Others(resolved(path))
	switch {
	case err != nil || e == nil:
		return err
	case e.Foreign:
		return fmt.Errorf("it belongs to another user (%s): %s", e.Owner, remedy)
	}
	return fmt.Errorf("others may write it (%s): %s", e.Who, remedy)
}
