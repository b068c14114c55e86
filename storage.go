package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"scriptbridge/cli"
	"scriptbridge/internal/fsx"
	"scriptbridge/internal/store"
	"scriptbridge/internal/trust"
	"scriptbridge/script"
	"scriptbridge/script/dialect"
)

// storage is the folder of --storage.path. It belongs to one process at a
// time:
//
//	lock                 held as long as the process lives; it has its pid
//	bridge               what this bridge's name in uploads is made of
//	scripts/NAME-HASH    what a script's Runner wants to find after a restart
//	receivers/NAME       a receiver's own folder
//	uploads/NAME         an upload's spool, and what lies beside it
type storage struct {
	folder string
	disk   fsx.Folder // of folder: it follows no link

	mu    sync.Mutex // guards what follows
	lock  *os.File
	place *fsx.Place // of lock
}

// openStorage makes the folder where it is missing, for its owner alone, and
// takes it. It waits lockPatience for another process that has it, since one
// that is ending, or a child that it has just forked, may hold on for a moment;
// then it is refused. A folder that others may write is refused at once: what
// it holds is given to scripts. trusted is as in config.Load.
func openStorage(disk fsx.FS, folder string, trusted *trust.Policy) (*storage, error) {
	fail := func(err error) (*storage, error) {
		return nil, fmt.Errorf("storage %s: %w", folder, err)
	}
	// First, since a folder is made where the links on the way lead.
	if err := obeyedStorage(folder, trusted); err != nil {
		return fail(err)
	}
	if err := fsx.MkdirAll(disk, folder); err != nil {
		return fail(fmt.Errorf("%w (name with --storage.path a folder that is there, or that the bridge's user can make)", err))
	}
	inside, err := disk.Within(folder)
	if err != nil {
		return fail(err)
	}
	s := &storage{folder: folder, disk: inside}
	if err := checkContents(folder, uint32(os.Geteuid())); err != nil {
		return fail(errors.Join(err, inside.Close()))
	}
	if err := s.take(lockPatience); err != nil {
		return fail(errors.Join(err, inside.Close()))
	}
	if _, err := s.within("scripts"); err != nil {
		s.close()
		return fail(err)
	}
	return s, nil
}

// obeyedStorage says who may put another folder in the place of the storage's.
func obeyedStorage(folder string, trusted *trust.Policy) error {
	if trusted == nil {
		return nil
	}
	// How its own mode is wrong, checkContents says for everybody alike.
	if e := trusted.Fault(folder); e != nil && (e.Foreign || !e.Own()) {
		return fmt.Errorf("%s may change it, since %s: name a folder that nobody else may write, nor those above it, or start with --config.trusted-path=%s", e.Who, e.State(), e.Component)
	}
	return nil
}

// within gives a folder within, for the owner alone, whose name is on the disk
// whoever made it: a process that made it may have been killed before it saw to
// that.
func (s *storage) within(names ...string) (string, error) {
	folder := s.folder
	for _, name := range names {
		above := folder
		folder = filepath.Join(above, name)
		if err := s.disk.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", err
		}
		if err := s.disk.SyncDir(above); err != nil {
			return "", err
		}
		info, err := s.disk.Lstat(folder)
		switch {
		case err != nil:
			return "", err
		case info.Mode()&fs.ModeSymlink != 0:
			err = fsx.ErrLink
		case !info.IsDir():
			err = fsx.ErrNotFolder
		default:
			err = checkOurs(folder, info, uint32(os.Geteuid()))
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", folder, err)
		}
	}
	return folder, nil
}

// lockPatience is how long openStorage waits for the folder.
const lockPatience = 3 * time.Second

// openSpools is cli.Env.OpenStorage.
func openSpools(folder string, trusted *trust.Policy) (*cli.Storage, error) {
	s, err := openStorage(fsx.OS{}, folder, trusted)
	if err != nil {
		return nil, err
	}
	return &cli.Storage{Disk: s.disk, Spool: s.upload, Release: s.close}, nil
}

// inUseError says that another process has the folder.
type inUseError struct{ holder string }

func (e *inUseError) Error() string {
	return fmt.Sprintf("another scriptbridge%s uses it: stop that one, or give this one another --storage.path", e.holder)
}

// Unwrap gives fsx.ErrLocked.
func (*inUseError) Unwrap() error { return fsx.ErrLocked }

// take takes the folder, for which it waits so long.
func (s *storage) take(patience time.Duration) error {
	path := filepath.Join(s.folder, "lock")
	lock, err := s.disk.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	err = fsx.WaitLock(lock, patience)
	if errors.Is(err, fsx.ErrLocked) {
		holder, _ := io.ReadAll(io.LimitReader(lock, 32)) // for people only
		err = &inUseError{strings.TrimRight(" "+string(holder), "\n ")}
	}
	var place *fsx.Place
	if err == nil {
		place, err = fsx.PlaceOf(lock, path)
	}
	if err != nil {
		_ = lock.Close() // nothing was written
		return err
	}
	if err := lock.Truncate(0); err == nil {
		fmt.Fprintf(lock, "(pid %d)\n", os.Getpid())
	}
	s.lock, s.place = lock, place
	return nil
}

// held says whether the folder is still ours: one that was moved away, or made
// anew, may be another's. Where only the lock was removed, it is taken again.
func (s *storage) held() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.place.Check()
	if errors.Is(err, fsx.ErrRemoved) {
		was, place := s.lock, s.place
		if err = s.take(0); err == nil {
			_ = was.Close() // what it held is for people only
			place.Close()
		}
	}
	if err != nil {
		return fmt.Errorf("storage %s: %w", s.folder, err)
	}
	return nil
}

// close lets another process have the folder.
func (s *storage) close() {
	_ = s.lock.Close() // what it holds is for people only
	s.place.Close()
	_ = s.disk.Close() // a folder
}

// memory gives a script its file in the folder.
func (s *storage) memory(of *script.Script) dialect.Memory {
	return &memoryFile{
		disk: s.disk, path: filepath.Join(s.folder, "scripts", memoryName(of.Name)), script: of.Name, most: of.MaxOutput, held: s.held,
	}
}

// receiver gives a receiver its folder, for the owner alone.
func (s *storage) receiver(name string) (string, error) {
	if err := s.held(); err != nil {
		return "", err
	}
	return s.within("receivers", name)
}

// upload gives the path of an upload's spool.
func (s *storage) upload(name string) (string, error) {
	if err := s.held(); err != nil {
		return "", err
	}
	folder, err := s.within("uploads")
	if err != nil {
		return "", err
	}
	return filepath.Join(folder, name), nil
}

// memoryName makes a file's name of a script's: what is safe everywhere of its
// beginning, for people, and a hash, which also tells apart what a file system
// takes for the same.
func memoryName(script string) string {
	const most = 60
	safe := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-':
			return r
		}
		return '_'
	}, script)
	hash := sha256.Sum256([]byte(script))
	return fmt.Sprintf("%s-%x", safe[:min(len(safe), most)], hash[:8])
}

// memoryFile is a script.Memory in a file: a line that tells whose it is and
// what it must add up to, and the bytes. It appears whole or not at all.
type memoryFile struct {
	disk   fsx.FS
	path   string
	script string
	most   int64 // bytes of the script's output
	held   func() error
	guard  fsx.Guard // a disk that does not answer must not stop the script
}

// memoryOverhead is what a dialect may keep besides a run's output.
const memoryOverhead = 64 << 10

func (m *memoryFile) head(data []byte) []byte {
	return fmt.Appendf(nil, "%s%d %q %x\n", memoryMark, memoryFormat, m.script, sha256.Sum256(data))
}

// What a file begins with, of any version.
const (
	memoryMark   = "scriptbridge memory "
	memoryFormat = 1
)

// newer says that the beginning of a file is one that a newer version wrote. Such
// a file is left as it is.
func (m *memoryFile) newer(begin []byte) error {
	rest, ours := bytes.CutPrefix(begin, []byte(memoryMark))
	format, _, whole := bytes.Cut(rest, []byte(" "))
	if n, err := strconv.Atoi(string(format)); !ours || !whole || err != nil || n <= memoryFormat || n > 1000 {
		return nil
	}
	return &store.NewerError{Path: m.path, Format: string(format), Known: strconv.Itoa(memoryFormat)}
}

// Load gives what was saved last. A file that holds anything else is an error,
// and is replaced by the next Save.
func (m *memoryFile) Load() ([]byte, error) {
	var data []byte
	err := m.guarded(func() (err error) {
		data, err = m.load()
		return err
	})
	if err != nil { // data may still be written then
		return nil, err
	}
	return data, nil
}

func (m *memoryFile) guarded(f func() error) error {
	err := m.guard.Do(f)
	if errors.Is(err, fsx.ErrSilent) {
		return fmt.Errorf("%s: %w", m.path, err)
	}
	return err
}

func (m *memoryFile) load() ([]byte, error) {
	if err := m.held(); err != nil {
		return nil, err
	}
	f, err := m.disk.OpenFile(m.path, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it is only read
	text, err := io.ReadAll(io.LimitReader(f, m.most+memoryOverhead+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(text)) > m.most+memoryOverhead:
		return nil, fmt.Errorf("%s is larger than max_output allows", m.path)
	}
	if err := m.newer(text); err != nil {
		return nil, err
	}
	end := bytes.IndexByte(text, '\n') + 1
	if head, data := text[:end], text[end:]; end > 0 && bytes.Equal(head, m.head(data)) {
		return data, nil
	}
	return nil, fmt.Errorf("%s is damaged, or not of script %q", m.path, m.script)
}

// Save replaces the file; when it returns nil, the bytes are on the disk.
func (m *memoryFile) Save(data []byte) error {
	data = bytes.Clone(data) // which may be written after Save has given up
	return m.guarded(func() error { return m.save(data) })
}

func (m *memoryFile) save(data []byte) error {
	if err := m.held(); err != nil {
		return err
	}
	if err := m.overwrites(); err != nil {
		return err
	}
	return fsx.WriteFile(m.disk, m.path, append(m.head(data), data...))
}

// overwrites says that what is there must not be replaced.
func (m *memoryFile) overwrites() error {
	f, err := m.disk.OpenFile(m.path, os.O_RDONLY, 0)
	if err != nil {
		return nil // there is nothing, or it is no file of ours
	}
	defer func() { _ = f.Close() }() // it is only read
	begin := make([]byte, len(memoryMark)+8)
	n, _ := io.ReadFull(f, begin)
	return m.newer(begin[:n])
}

// checkContents says what in the storage folder others than the bridge's account uid and
// those with all rights can change, or what leads elsewhere: it may be from a time when the
// folder was another's. Only Unix has a uid.
func checkContents(folder string, uid uint32) error {
	var names hardLinks
	top := resolved(folder)
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
		return cmp.Or(checkEntry(path, info, uid), names.add(path, info))
	})
	return cmp.Or(err, names.outside())
}
