package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"scriptbridge/internal/fsx"
	"scriptbridge/script"
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
	lock   *os.File
}

// openStorage makes the folder where it is missing, for its owner alone, and
// takes it. It waits lockPatience for another process that has it, since one
// that is ending, or a child that it has just forked, may hold on for a moment;
// then it is refused. A folder that others may write is refused at once: what
// it holds is given to scripts.
func openStorage(folder string) (*storage, error) {
	fail := func(err error) (*storage, error) {
		return nil, fmt.Errorf("storage %s: %w", folder, err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fail(err)
	}
	if err := checkPrivate(folder); err != nil {
		return fail(err)
	}
	if err := os.Mkdir(filepath.Join(folder, "scripts"), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fail(err)
	}
	lock, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fail(err)
	}
	if err := waitLock(lock); err != nil {
		defer lock.Close()
		if !errors.Is(err, errLocked) {
			return fail(err)
		}
		holder, _ := io.ReadAll(io.LimitReader(lock, 32)) // for people only
		return fail(fmt.Errorf("another scriptbridge%s uses it: stop that one, or give this one another --storage.path",
			strings.TrimRight(" "+string(holder), "\n ")))
	}
	if err := lock.Truncate(0); err == nil {
		fmt.Fprintf(lock, "(pid %d)\n", os.Getpid())
	}
	return &storage{folder: folder, lock: lock}, nil
}

// lockPatience is how long openStorage waits for the folder.
const lockPatience = 3 * time.Second

// waitLock takes the lock, for which it waits lockPatience.
func waitLock(lock *os.File) error {
	const pause = 20 * time.Millisecond
	for left := lockPatience; ; left -= pause {
		if err := lockFile(lock); !errors.Is(err, errLocked) || left <= 0 {
			return err
		}
		<-time.After(pause)
	}
}

// errLocked says that another process holds a lock.
var errLocked = errors.New("it is locked")

// close lets another process have the folder.
func (s *storage) close() { s.lock.Close() }

// memory gives a script its file in the folder.
func (s *storage) memory(of *script.Script) script.Memory {
	return &memoryFile{disk: fsx.OS{}, path: filepath.Join(s.folder, "scripts", memoryName(of.Name)), script: of.Name, most: of.MaxOutput}
}

// receiver gives a receiver its folder, for the owner alone.
func (s *storage) receiver(name string) (string, error) {
	folder := filepath.Join(s.folder, "receivers", name)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	return folder, checkPrivate(folder)
}

// upload gives the path of an upload's spool.
func (s *storage) upload(name string) (string, error) {
	folder := filepath.Join(s.folder, "uploads")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	return filepath.Join(folder, name), checkPrivate(folder)
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
}

// memoryOverhead is what a dialect may keep besides a run's output.
const memoryOverhead = 64 << 10

func (m *memoryFile) head(data []byte) []byte {
	return fmt.Appendf(nil, "scriptbridge memory 1 %q %x\n", m.script, sha256.Sum256(data))
}

// Load gives what was saved last. A file that holds anything else is an error,
// and is replaced by the next Save.
func (m *memoryFile) Load() ([]byte, error) {
	f, err := os.Open(m.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, m.most+memoryOverhead+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(text)) > m.most+memoryOverhead:
		return nil, fmt.Errorf("%s is larger than max_output allows", m.path)
	}
	end := bytes.IndexByte(text, '\n') + 1
	if head, data := text[:end], text[end:]; end > 0 && bytes.Equal(head, m.head(data)) {
		return data, nil
	}
	return nil, fmt.Errorf("%s is damaged, or not of script %q", m.path, m.script)
}

// Save replaces the file; when it returns nil, the bytes are on the disk.
func (m *memoryFile) Save(data []byte) error {
	return fsx.WriteFile(m.disk, m.path, append(m.head(data), data...))
}
