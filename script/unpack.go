package script

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"scriptbridge/script/dialect"
	"scriptbridge/script/process"
)

// unpacked are the folders that hold dialects' Files. The zero value is ready.
type unpacked struct {
	mu   sync.Mutex
	dirs map[string]string // by dialect
	old  []string          // folders that somebody else emptied
}

// path gives the place of one of the dialect's files, unpacked when it is first
// asked for. The folder is fresh and ours alone, so that nobody can put a file
// of his own into it; it is opened for reading when another account needs it.
// Where files have gone since, as those in /tmp do after some days on many
// machines, they are unpacked anew.
func (u *unpacked) path(d dialect.Dialect, name string, as *process.Account) (string, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	provider, ok := d.(dialect.FileProvider)
	if !ok {
		return "", fmt.Errorf("cannot be started: dialect %s has no files", d.Name())
	}
	files := provider.Files()
	dir := u.dirs[d.Name()]
	if dir != "" && !complete(files, dir) {
		u.old = append(u.old, dir)
		dir = ""
	}
	if dir == "" {
		var err error
		if dir, err = unpack(files); err != nil {
			return "", fmt.Errorf("cannot be started: the files of dialect %s cannot be unpacked (TMPDIR names another place): %w", d.Name(), err)
		}
		if u.dirs == nil {
			u.dirs = make(map[string]string)
		}
		u.dirs[d.Name()] = dir
	}
	if as != nil && int(as.UID) != os.Geteuid() {
		if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // nothing in it is secret
			return "", fmt.Errorf("cannot be started: %w", err)
		}
	}
	return filepath.Join(dir, filepath.FromSlash(name)), nil
}

// remove deletes all folders.
func (u *unpacked) remove(logger log.Logger) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, dir := range u.dirs {
		u.old = append(u.old, dir)
	}
	for _, dir := range u.old {
		if err := os.RemoveAll(dir); err != nil {
			level.Warn(logger).Log("msg", "a temporary folder cannot be removed", "err", err)
		}
	}
	u.dirs, u.old = nil, nil
}

// unpack copies all of files into a fresh folder. The modes are set by
// themselves, whatever our umask is.
func unpack(files fs.FS) (string, error) {
	dir, err := os.MkdirTemp("", "scriptbridge-")
	if err != nil {
		return "", err
	}
	err = fs.WalkDir(files, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		to := filepath.Join(dir, filepath.FromSlash(name))
		if e.IsDir() {
			if err := os.Mkdir(to, 0o755); err != nil {
				return err
			}
			return os.Chmod(to, 0o755) //nolint:gosec // see path
		}
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(to, data, 0o644); err != nil {
			return err
		}
		return os.Chmod(to, 0o644)
	})
	if err != nil {
		os.RemoveAll(dir) //nolint:errcheck // the first error counts
		return "", err
	}
	return dir, nil
}

// complete reports whether dir still has all of files.
func complete(files fs.FS, dir string) bool {
	return nil == fs.WalkDir(files, ".", func(name string, _ fs.DirEntry, err error) error {
		if err == nil {
			_, err = os.Lstat(filepath.Join(dir, filepath.FromSlash(name)))
		}
		return err
	})
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
