package textfile

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"scriptbridge/internal/fsx"
	"scriptbridge/internal/trust"
)

const (
	// fileName ends as what node_exporter reads.
	fileName = "scriptbridge.prom"
	// nextName is the file's while it is written. It is always the same, so that
	// what a killed bridge leaves behind is one file at most.
	nextName = ".scriptbridge.prom.new"
)

var (
	errExchanged = errors.New("something else took its place while it was written")
	// errForeign comes of a file that was written all the same.
	errForeign = errors.New("something else has changed it since it was written, which is undone (is there another scriptbridge with this folder? give each one of its own)")
)

func path(folder string) string { return filepath.Join(folder, fileName) }

// file is a page in a folder. The folder may be another user's, and the bridge root:
// no link in it is followed, nothing that lies there is written to but what was
// made by ourselves, and then under a name that was free.
type file struct {
	folder  string
	trusted *trust.Policy
	seed    maphash.Seed

	is    fs.FileInfo // the file that was written last; nil before
	holds uint64      // the hash of what it holds
}

func newFile(folder string, trusted *trust.Policy) file {
	return file{folder: folder, trusted: trusted, seed: maphash.MakeSeed()}
}

// write has the file hold a page. Where it does already, only its time becomes new,
// which node_exporter shows: that spares the disk.
func (f *file) write(page iter.Seq[[]byte]) error {
	in, err := f.open()
	if err != nil {
		return err
	}
	defer in.Close()
	is, err := f.look(in)
	if err != nil {
		return err
	}
	var hash maphash.Hash
	hash.SetSeed(f.seed)
	for piece := range page {
		_, _ = hash.Write(piece) // which never fails
	}
	holds, ours := hash.Sum64(), f.is == nil || is == nil || f.same(is)
	if f.is != nil && is != nil && ours && holds == f.holds && is.ModTime().Equal(f.is.ModTime()) {
		f.is, err = f.touch(in)
		return err
	}
	if f.is, err = f.replace(in, page); err != nil {
		return err
	}
	f.holds = holds
	if !ours {
		return &fs.PathError{Op: "write", Path: path(f.folder), Err: errForeign}
	}
	return nil
}

// open opens the folder. As root, where others may change the way to it, no link is
// followed on that: they could lead us into a folder that is not theirs.
func (f *file) open() (fsx.Folder, error) {
	if f.trusted == nil {
		return fsx.OS{}.Within(f.folder)
	}
	e := f.trusted.Fault(f.folder)
	if e == nil || e.Own() { // of what lies in it nothing is obeyed
		return fsx.OS{}.Within(f.folder)
	}
	top, err := fsx.OS{}.Within(filepath.VolumeName(f.folder) + string(filepath.Separator))
	if err != nil {
		return nil, err
	}
	defer top.Close()
	in, err := top.Within(f.folder)
	if errors.Is(err, fsx.ErrLink) {
		return nil, fmt.Errorf("open %s: "+trust.Root+" follows no link on the way to it, since %s (name the folder by a path without links)", f.folder, e.State())
	}
	return in, err
}

// look gives what is there under the file's name; nil for nothing.
func (f *file) look(in fsx.Folder) (fs.FileInfo, error) {
	is, err := in.Lstat(path(f.folder))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case is.Mode()&fs.ModeSymlink != 0:
		err = fsx.ErrLink
	case is.IsDir():
		err = fsx.ErrFolder
	case !is.Mode().IsRegular():
		err = fsx.ErrIrregular
	default:
		return is, nil
	}
	return nil, &fs.PathError{Op: "write", Path: path(f.folder), Err: err}
}

// same reports whether what is there is what was written last.
func (f *file) same(is fs.FileInfo) bool {
	return is.Size() > 0 && os.SameFile(f.is, is) && f.is.Size() == is.Size() && f.is.Mode() == is.Mode()
}

// replace writes the file anew; it appears whole or not at all. It is not synced: after a loss of
// power it is written again anyway.
func (f *file) replace(in fsx.Folder, page iter.Seq[[]byte]) (fs.FileInfo, error) {
	next := filepath.Join(f.folder, nextName)
	create := func() (*os.File, error) { return in.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode) }
	to, err := create()
	if errors.Is(err, fs.ErrExist) {
		if err = in.Remove(next); err == nil {
			to, err = create()
		}
	}
	if err != nil {
		return nil, err
	}
	is, err := fill(to, page)
	if err == nil {
		err = in.Rename(next, path(f.folder))
	}
	if err != nil {
		_ = in.Remove(next) // or else the next attempt does
		return nil, err
	}
	now, err := in.Lstat(path(f.folder))
	switch {
	case err != nil:
		return nil, err
	case !os.SameFile(is, now):
		return nil, &fs.PathError{Op: "write", Path: path(f.folder), Err: errExchanged}
	}
	return now, nil
}

// mode lets node_exporter read it, whatever account that runs as.
const mode = 0o644

// fill writes a page into a new file, and closes it.
func fill(to *os.File, page iter.Seq[[]byte]) (is fs.FileInfo, err error) {
	for piece := range page {
		if _, err = to.Write(piece); err != nil {
			break
		}
	}
	if err == nil {
		err = to.Chmod(mode) // whatever the umask
	}
	if err == nil {
		is, err = to.Stat()
	}
	return is, errors.Join(err, to.Close())
}

// touch has the file be of now, by writing its first byte once more.
func (f *file) touch(in fsx.Folder) (fs.FileInfo, error) {
	to, err := in.OpenFile(path(f.folder), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	is, err := to.Stat()
	if err == nil && !os.SameFile(is, f.is) {
		err = &fs.PathError{Op: "write", Path: path(f.folder), Err: errExchanged}
	}
	begin := make([]byte, 1)
	if err == nil {
		_, err = to.ReadAt(begin, 0)
	}
	if err == nil {
		_, err = to.WriteAt(begin, 0)
	}
	if err == nil {
		is, err = to.Stat()
	}
	if err = errors.Join(err, to.Close()); err != nil {
		return nil, err
	}
	return is, nil
}

// remove removes the file, and what was to become it.
func (f *file) remove() error {
	in, err := f.open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	f.is = nil
	is, err := f.look(in)
	if is != nil {
		err = in.Remove(path(f.folder))
	}
	if next := in.Remove(filepath.Join(f.folder, nextName)); !errors.Is(next, fs.ErrNotExist) {
		err = errors.Join(err, next)
	}
	return err
}

func (f *file) check() error {
	in, err := f.open()
	if err != nil {
		return err
	}
	defer in.Close()
	if _, err = f.look(in); err != nil || f.trusted != nil && !trust.Privileged() { // asked on behalf of root
		return err
	}
	return fsx.Writable(f.folder)
}
