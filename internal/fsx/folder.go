package fsx

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Folder is an FS of what lies in one folder. Names are paths that begin with the
// folder's, as they are without it. One that leads out of the folder, or through a
// symbolic link, is refused, whoever put that there and whenever; so is a file that
// is no regular one. Where the folder is moved, it is still the same one.
type Folder interface {
	FS
	// Close lets go of the folder. Files that are open stay so.
	Close() error
}

// Errors of what a Folder does not open.
var (
	ErrLink      = errors.New("is a link, which is not followed here: see where it leads, and remove it")
	ErrExchanged = errors.New("something else took its place while it was opened")

	errOutside = errors.New("leads out of its folder")
)

// folder is a Folder. An os.Root keeps inside; the links inside, which it follows,
// are seen here.
type folder struct {
	path string
	root *os.Root
}

// Within opens a folder; a link to one will do.
func (OS) Within(path string) (Folder, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &folder{path, root}, nil
}

// Within opens a folder in this one.
func (f *folder) Within(path string) (Folder, error) {
	var root *os.Root
	err := f.at("open", path, func(dir *os.Root, name string) (err error) {
		root, err = step(dir, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &folder{path, root}, nil
}

func (f *folder) Close() error { return f.root.Close() }

func (f *folder) OpenFile(path string, flag int, perm fs.FileMode) (file *os.File, err error) {
	err = f.at("open", path, func(dir *os.Root, name string) (err error) {
		file, err = openIn(dir, name, flag, perm)
		return err
	})
	return file, err
}

func (f *folder) Mkdir(path string, perm fs.FileMode) error {
	return f.at("mkdir", path, func(dir *os.Root, name string) error { return dir.Mkdir(name, perm) })
}

// Rename gives a file another name in the same folder.
func (f *folder) Rename(from, to string) error {
	return f.within("rename", from, to, (*os.Root).Rename)
}

// Link gives a file another name in the same folder too.
func (f *folder) Link(from, to string) error { return f.within("link", from, to, (*os.Root).Link) }

func (f *folder) within(op, from, to string, do func(dir *os.Root, from, to string) error) error {
	if filepath.Dir(from) != filepath.Dir(to) {
		return &os.LinkError{Op: op, Old: from, New: to, Err: syscall.EXDEV}
	}
	return f.at(op, from, func(dir *os.Root, name string) error {
		return patiently(func() error { return do(dir, name, filepath.Base(to)) })
	})
}

func (f *folder) Remove(path string) error {
	return f.at("remove", path, func(dir *os.Root, name string) error {
		return patiently(func() error { return dir.Remove(name) })
	})
}

func (f *folder) Lstat(path string) (info fs.FileInfo, err error) {
	err = f.at("lstat", path, func(dir *os.Root, name string) (err error) {
		info, err = dir.Lstat(name)
		return err
	})
	return info, err
}

func (*folder) Sync(file *os.File) error { return file.Sync() }

func (f *folder) SyncDir(path string) error {
	return f.at("sync", path, func(dir *os.Root, name string) error {
		inner, err := step(dir, name)
		if err != nil {
			return err
		}
		defer inner.Close()
		at, err := inner.Open(".")
		if err != nil {
			return err
		}
		return errors.Join(syncFolder(at), at.Close())
	})
}

// at does something in the folder that a path lies in, to which no link leads. Its
// error has the path as it was given.
func (f *folder) at(op, path string, do func(dir *os.Root, name string) error) error {
	err := f.walk(path, do)
	if err == nil {
		return nil
	}
	var known *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &known):
		err = known.Err
	case errors.As(err, &link):
		err = link.Err
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}

func (f *folder) walk(path string, do func(dir *os.Root, name string) error) error {
	rest, err := filepath.Rel(f.path, path)
	if err != nil || !filepath.IsLocal(rest) {
		return errOutside
	}
	dir := f.root
	for {
		name, after, more := strings.Cut(rest, string(filepath.Separator))
		if !more {
			return do(dir, name)
		}
		if dir, err = step(dir, name); err != nil {
			return err
		}
		defer dir.Close()
		rest = after
	}
}

// step opens a folder in another one, and no link to one.
func step(dir *os.Root, name string) (*os.Root, error) {
	is, err := dir.Lstat(name)
	switch {
	case err != nil:
		return nil, err
	case is.Mode()&fs.ModeSymlink != 0:
		return nil, ErrLink
	case !is.IsDir():
		return nil, ErrNotFolder
	}
	inner, err := dir.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	if now, err := inner.Stat("."); err != nil || !os.SameFile(is, now) {
		inner.Close()
		return nil, errors.Join(err, ErrExchanged)
	}
	return inner, nil
}

// openIn opens a regular file in a folder, and no link to one. One that somebody else makes
// in the same moment is opened as it is, unless it must be new.
func openIn(dir *os.Root, name string, flag int, perm fs.FileMode) (*os.File, error) {
	const most = 10 // somebody may make and remove it again and again
	for tries := 1; ; tries++ {
		file, err := openOnce(dir, name, flag, perm)
		if flag&os.O_EXCL != 0 || !errors.Is(err, fs.ErrExist) || tries == most {
			return file, err
		}
	}
}

func openOnce(dir *os.Root, name string, flag int, perm fs.FileMode) (*os.File, error) {
	is, err := dir.Lstat(name)
	switch {
	case flag&os.O_CREATE != 0 && (flag&os.O_EXCL != 0 || errors.Is(err, fs.ErrNotExist)):
		return dir.OpenFile(name, flag|largeFile|os.O_EXCL, perm) // which follows nothing
	case err != nil:
		return nil, err
	case is.Mode()&fs.ModeSymlink != 0:
		return nil, ErrLink
	case is.IsDir():
		return nil, ErrFolder
	case !is.Mode().IsRegular():
		return nil, ErrIrregular
	}
	// Nothing is made or cut before it is known to be the same file.
	file, err := dir.OpenFile(name, flag|largeFile&^(os.O_CREATE|os.O_TRUNC), perm)
	if err != nil {
		return nil, err
	}
	now, err := file.Stat()
	switch {
	case err == nil && !os.SameFile(is, now):
		err = ErrExchanged
	case err == nil && flag&os.O_TRUNC != 0:
		err = file.Truncate(0)
	}
	if err != nil {
		_ = file.Close() // nothing was written
		return nil, err
	}
	return file, nil
}
