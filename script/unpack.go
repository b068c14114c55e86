package script

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"scriptbridge/internal/fsx"
	"scriptbridge/internal/trust"
	"scriptbridge/script/dialect"
	"scriptbridge/script/process"
)

// unpacked are the folders that hold dialects' Files. The zero value is ready.
type unpacked struct {
	mu   sync.Mutex
	dirs map[string]*unpackedFolder // by dialect
	old  []*unpackedFolder          // that somebody else emptied, or took away
}

// unpackedFolder is a folder that we have made, and hold open: another one at its
// path is not taken for it.
type unpackedFolder struct {
	path string
	root *os.Root
	lock *os.File // of the folder itself
}

// path gives the place of one of the dialect's files, unpacked when it is first
// asked for. The folder is fresh and ours alone, so that nobody can put a file
// of his own into it; it is opened for reading when another account needs it.
// Where files have gone since, as those in /tmp do after some days on many
// machines, they are unpacked anew, and so they are where another folder is in the
// place of ours.
func (u *unpacked) path(d dialect.Dialect, name string, as *process.Account) (string, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	provider, ok := d.(dialect.FileProvider)
	if !ok {
		return "", fmt.Errorf("cannot be started: dialect %s has no files", d.Name())
	}
	files := provider.Files()
	dir := u.dirs[d.Name()]
	if dir != nil && !dir.complete(files) {
		u.old = append(u.old, dir)
		dir = nil
	}
	if dir == nil {
		var err error
		if dir, err = unpack(files); err != nil {
			return "", fmt.Errorf("cannot be started: the files of dialect %s cannot be unpacked (%s names another place): %w", d.Name(), tempVariable(), err)
		}
		if u.dirs == nil {
			u.dirs = make(map[string]*unpackedFolder)
		}
		u.dirs[d.Name()] = dir
	}
	if as != nil && int(as.UID) != os.Geteuid() {
		if err := dir.root.Chmod(".", 0o755); err != nil {
			return "", fmt.Errorf("cannot be started: %w", err)
		}
	}
	return filepath.Join(dir.path, filepath.FromSlash(name)), nil
}

// tempVariable is the variable of the environment that says where temporary files are.
func tempVariable() string {
	if runtime.GOOS == "windows" {
		return "TMP"
	}
	return "TMPDIR"
}

// remove deletes all folders.
func (u *unpacked) remove(logger log.Logger) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, dir := range u.dirs {
		u.old = append(u.old, dir)
	}
	for _, dir := range u.old {
		if err := dir.remove(); err != nil {
			level.Warn(logger).Log("msg", "a temporary folder cannot be removed", "err", err)
		}
	}
	u.dirs, u.old = nil, nil
}

// unpack copies all of files into a fresh folder. The modes are set by
// themselves, whatever our umask is.
func unpack(files fs.FS) (*unpackedFolder, error) {
	path := filepath.Join(os.TempDir(), "scriptbridge-"+rand.Text())
	err := fsx.OS{}.Mkdir(path, 0o700)
	if err != nil {
		return nil, err
	}
	dir := &unpackedFolder{path: path}
	if dir.root, err = os.OpenRoot(path); err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	if err = dir.trusted(); err == nil {
		err = dir.fill(files)
	}
	if err != nil {
		return nil, errors.Join(err, dir.remove())
	}
	// What cleans up /tmp leaves alone what is locked (systemd-tmpfiles); where that
	// cannot be had, complete finds out.
	if dir.lock, err = dir.root.Open("."); err == nil {
		_ = fsx.Lock(dir.lock)
	}
	return dir, nil
}

// trusted says who else could put another folder in its place, where that would be
// root's.
func (d *unpackedFolder) trusted() error {
	if !trust.Privileged() {
		return nil
	}
	if e := (trust.Policy{}).Fault(d.path); e != nil {
		return fmt.Errorf("%s may change what is in %s, since %s", e.Who, d.path, e.State())
	}
	return nil
}

func (d *unpackedFolder) fill(files fs.FS) error {
	return fs.WalkDir(files, ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil || name == ".":
			return err
		case e.IsDir():
			return errors.Join(d.root.Mkdir(name, 0o755), d.root.Chmod(name, 0o755))
		}
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		return errors.Join(d.root.WriteFile(name, data, 0o644), d.root.Chmod(name, 0o644))
	})
}

// complete reports whether the folder is still at its path, and has all of files.
func (d *unpackedFolder) complete(files fs.FS) bool {
	return d.inPlace() && d.trusted() == nil && nil == fs.WalkDir(files, ".", func(name string, _ fs.DirEntry, err error) error {
		if err == nil {
			_, err = d.root.Lstat(name)
		}
		return err
	})
}

// inPlace reports whether the folder at the path is this one. While it is open,
// no other has its number.
func (d *unpackedFolder) inPlace() bool {
	at, err := os.Lstat(d.path)
	if err != nil {
		return false
	}
	is, err := d.root.Stat(".")
	return err == nil && os.SameFile(at, is)
}

// remove deletes the folder, unless it is gone.
func (d *unpackedFolder) remove() error {
	inPlace := d.inPlace()
	if d.lock != nil {
		d.lock.Close()
	}
	d.root.Close()
	if !inPlace {
		return nil
	}
	return os.RemoveAll(d.path)
}

// fileVersion tells whether a file has changed; zero for one that is not there.
type fileVersion struct{ size, modified int64 }

func versionOf(file string) fileVersion {
	info, err := os.Stat(file)
	if file == "" || err != nil {
		return fileVersion{}
	}
	return fileVersion{info.Size(), info.ModTime().UnixNano()}
}
