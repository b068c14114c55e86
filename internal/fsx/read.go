package fsx

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"scriptbridge/internal/panics"
)

// Most is the most that ReadFile reads, in bytes. No file that a person writes
// for us is as large, and to parse a larger one may take all memory.
const Most = 2 << 20

// Errors of what is no file to read: a pipe or a device may never end, and what
// is read again at a reload must be there again.
var (
	ErrFolder    = errors.New("is a folder")
	ErrIrregular = errors.New("is not a regular file")
	ErrTooLarge  = errors.New("has more than 2 MiB")
)

// Open opens a regular file for reading; a link to one will do. Errors are
// *fs.PathError.
func Open(name string) (*os.File, error) {
	fail := func(err error) (*os.File, error) { return nil, &fs.PathError{Op: "open", Path: name, Err: err} }
	info, err := os.Stat(name) // first, for to open a device may do something
	if err != nil {
		return fail(errors.Unwrap(err))
	}
	if err := readable(info); err != nil {
		return fail(err)
	}
	f, err := openShared(name, ReadOnly(), 0)
	if errors.Is(err, syscall.EAGAIN) {
		// A regular file, of which somebody holds a lease, as a file server does:
		// that is waited for. A pipe never says so.
		f, err = os.Open(name)
	}
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err == nil {
		err = readable(info)
	}
	if err != nil {
		_ = f.Close() // nothing was written
		return fail(err)
	}
	return f, nil
}

// ReadOnly are the flags by which a file is opened that is read, and whose place a
// pipe may have taken, which would be waited for.
func ReadOnly() int {
	if runtime.GOOS == "windows" {
		return os.O_RDONLY
	}
	return os.O_RDONLY | syscall.O_NONBLOCK
}

func readable(info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return ErrFolder
	case !info.Mode().IsRegular():
		return ErrIrregular
	}
	return nil
}

// ReadFile reads all of what Open opens, which is no more than Most.
func ReadFile(name string) ([]byte, error) {
	f, err := Open(name)
	if err != nil {
		return nil, err
	}
	text, err := readAll(f)
	return text, errors.Join(err, f.Close())
}

func readAll(f *os.File) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(f, Most+1))
	if err == nil && len(text) > Most { // it has grown since
		return nil, &fs.PathError{Op: "read", Path: f.Name(), Err: ErrTooLarge}
	}
	return text, err
}

// Digest adds up what files hold; one that cannot be read counts by why. Empty
// names are left out.
func Digest(names ...string) [sha256.Size]byte {
	all := sha256.New()
	for _, name := range names {
		if name == "" {
			continue
		}
		one := sha256.New()
		f, err := Open(name)
		if err == nil {
			_, err = io.Copy(one, io.LimitReader(f, Most))
			err = errors.Join(err, f.Close())
		}
		fmt.Fprintf(all, "%q %x %v\n", name, one.Sum(nil), err)
	}
	return [sha256.Size]byte(all.Sum(nil))
}

// Patience is how long somebody waits for a disk, who has something else to do.
const Patience = 10 * time.Second

// ErrSilent says that a disk did not answer within Patience.
var ErrSilent = errors.New("the disk does not answer")

// Guard is for what uses a disk, one at a time, and must not wait for it for
// ever. The zero value is ready.
type Guard struct {
	mu   sync.Mutex
	busy bool
}

// Do runs f, and waits Patience for it: then it gives ErrSilent, as it does to all
// who come before that f has come to its end.
func (g *Guard) Do(f func() error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.busy {
		return ErrSilent
	}
	g.busy = true
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	g.mu.Unlock()
	_, err := Do(ctx, func() (any, error) {
		defer func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.busy = false
		}()
		return nil, f()
	})
	g.mu.Lock()
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return ErrSilent
	}
	return err
}

// Do runs f, which waits for a disk or, at worst, for a file system over the
// network that nothing can interrupt. When ctx ends first, Do gives its error,
// and what f comes to is nobody's any more. A panic of f is an error: what f
// reads is somebody's file.
func Do[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		r.err = panics.Try(func() (err error) {
			r.value, err = f()
			return err
		})
		done <- r
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// Absolute is a path that starts from a folder, unless it is absolute itself.
func Absolute(folder, path string) string {
	switch {
	case filepath.IsAbs(path) || filepath.VolumeName(path) != "": // C:file is for winargs.DriveRelative to refuse
		return filepath.Clean(path)
	case path != "" && os.IsPathSeparator(path[0]): // Windows: on the drive, or the share, of the folder
		return filepath.Join(filepath.VolumeName(folder)+path[:1], path)
	}
	return filepath.Join(folder, path)
}
