package fsx

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Place is where an open file lies. Whoever writes to a file whose name is gone,
// or whose folder is elsewhere by now, writes what nobody will find.
type Place struct {
	path string
	file *os.File
	is   os.FileInfo // of file
	dir  *os.File    // its folder, held open so that no other can have its number
	in   os.FileInfo // of dir
}

// ErrRemoved says that a file is gone for good, while its folder is where it was.
var ErrRemoved = errors.New("it was removed")

// ErrFolderRemoved says that a file is gone for good, and its folder with it.
var ErrFolderRemoved = errors.New("the folder was removed while it was in use: restart scriptbridge to go on with what is there then")

// PlaceOf notes where a file lies that was opened by a path.
func PlaceOf(file *os.File, path string) (*Place, error) {
	p := &Place{path: path, file: file}
	var err error
	if p.is, err = file.Stat(); err != nil {
		return nil, err
	}
	if p.dir, err = openShared(filepath.Dir(path), os.O_RDONLY, 0); err != nil {
		return nil, err
	}
	if p.in, err = p.dir.Stat(); err != nil {
		return nil, errors.Join(err, p.dir.Close())
	}
	return p, nil
}

// Check says whether whoever opens the path now opens the same file, and what
// that is like: one look at the disk, where all is well. ErrRemoved tells that
// this will never be so again; any other error may pass, as when a folder is moved
// back.
func (p *Place) Check() (os.FileInfo, error) {
	at, err := os.Lstat(p.path)
	if err == nil && os.SameFile(at, p.is) {
		return at, nil
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = p.why()
	}
	return nil, err
}

// why says what became of a file that is not at its path.
func (p *Place) why() error {
	folder := filepath.Dir(p.path)
	at, err := os.Stat(folder)
	names, namesErr := Links(p.file)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case namesErr != nil:
		return namesErr
	case err != nil || !os.SameFile(at, p.in):
		if names == 0 {
			return fmt.Errorf("%s: %w", folder, ErrFolderRemoved)
		}
		return fmt.Errorf("%s: the folder was moved away, removed or replaced while it was in use: move it back, or restart scriptbridge to go on with what is there then", folder)
	case names == 0:
		return fmt.Errorf("%s: %w while it was in use", p.path, ErrRemoved)
	}
	return fmt.Errorf("%s: it was moved away while it was in use: move it back, or restart scriptbridge to go on with what is there then", p.path)
}

// Renamed tells that the file has another path in the same folder.
func (p *Place) Renamed(path string) { p.path = path }

// Close lets go of the folder, and not of the file.
func (p *Place) Close() error { return p.dir.Close() }
