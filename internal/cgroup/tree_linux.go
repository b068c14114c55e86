package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// prefix begins the names of our folders, one a program.
const prefix = "scriptbridge-"

// leaf is the folder that this process moves into where the kernel wants it: a
// group whose controllers are handed on may have no process of its own.
const leaf = "scriptbridge.self"

// wanted are the controllers that limit and count.
var wanted = []string{"memory", "pids"}

// Tree is a folder of groups that is this program's own.
type Tree struct {
	path string
	lock *os.File // the folder, locked as long as its program lives

	mu    sync.Mutex
	count int
}

// Open makes the folder below the group that this process is in, and hands on the
// controllers for memory and processes if that disturbs nobody. What a program
// that was killed has left in a folder like it is killed and removed. The error
// is an ErrUnavailable.
func Open() (*Tree, error) {
	own, err := ownGroup()
	if err == nil {
		var t *Tree
		if t, err = openIn(own); err == nil {
			return t, nil
		}
	}
	return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// openIn opens a Tree below a group.
func openIn(own string) (*Tree, error) {
	removeDead(own)
	delegate(own)
	path := filepath.Join(own, prefix+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	t := &Tree{path: path}
	if err := t.open(); err != nil {
		_ = os.Remove(path)
		return nil, err
	}
	return t, nil
}

func (t *Tree) open() (err error) {
	// Without it (Linux before 5.14) a group cannot be ended for sure.
	if _, err := os.Stat(filepath.Join(t.path, "cgroup.kill")); err != nil {
		return err
	}
	if t.lock, err = lock(t.path); err != nil {
		return err
	}
	for _, c := range controllers(t.path) {
		if slices.Contains(wanted, c) {
			_ = write(t.path, "cgroup.subtree_control", "+"+c)
		}
	}
	return nil
}

// lock opens a folder and locks it, without waiting.
func lock(path string) (*os.File, error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = dir.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return dir, nil
}

// delegate hands controllers on to what is below own. As cgroups(7) wants it, this
// process goes into a leaf first; where others are in own too that does not help,
// and everything stays as it was.
func delegate(own string) {
	missing := slices.DeleteFunc(slices.Clone(wanted), func(c string) bool {
		return !slices.Contains(controllers(own), c) || slices.Contains(words(own, "cgroup.subtree_control"), c)
	})
	// The root of all groups, which alone has no type, is the system's.
	if _, err := os.Stat(filepath.Join(own, "cgroup.type")); err != nil || len(missing) == 0 {
		return
	}
	in, self := filepath.Join(own, leaf), strconv.Itoa(os.Getpid())
	if err := os.Mkdir(in, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return
	}
	err := write(in, "cgroup.procs", self)
	if err == nil {
		err = write(own, "cgroup.subtree_control", "+"+strings.Join(missing, " +"))
	}
	if err != nil {
		_ = write(own, "cgroup.procs", self)
		_ = os.Remove(in)
	}
}

// Controllers are those that the groups have.
func (t *Tree) Controllers() []string { return words(t.path, "cgroup.subtree_control") }

// New makes a group.
func (t *Tree) New() (*Group, error) {
	t.mu.Lock()
	t.count++
	name := strconv.Itoa(t.count)
	t.mu.Unlock()
	path := filepath.Join(t.path, name)
	if err := os.Mkdir(path, 0o755); err != nil {
		return nil, err
	}
	dir, err := os.Open(path)
	if err != nil {
		_ = os.Remove(path)
		return nil, err
	}
	return &Group{path: path, dir: dir}, nil
}

// Close kills all that is in the groups, and removes them and the folder. It
// waits for nobody: what is still dying keeps its folder, for the next Open.
func (t *Tree) Close() error {
	err := removeTree(t.path)
	return errors.Join(err, t.lock.Close())
}

// removeDead removes the folders of programs that live no more, and kills what
// they left.
func removeDead(own string) {
	found, _ := filepath.Glob(filepath.Join(own, prefix+"*"))
	for _, path := range found {
		if dir, err := lock(path); err == nil {
			_ = removeTree(path)
			_ = dir.Close()
		}
	}
}

// removeTree kills what is in a folder and removes it.
func removeTree(path string) error {
	if err := write(path, "cgroup.kill", "1"); err != nil {
		return err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			err = errors.Join(err, removeTree(filepath.Join(path, e.Name())))
		}
	}
	return errors.Join(err, os.Remove(path))
}

// ownGroup finds the folder of the group that this process is in.
func ownGroup() (string, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		group, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::")
		if !ok {
			continue
		}
		root, err := mounted()
		if err != nil {
			return "", err
		}
		if strings.HasPrefix(group, "/..") {
			return "", errors.New("this process is in a group outside of its namespace")
		}
		return filepath.Join(root, group), nil
	}
	return "", errors.New("this system has no control groups of version 2")
}

// mounted finds where the groups of version 2 are mounted.
func mounted() (string, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		before, after, _ := strings.Cut(line, " - ")
		if fields := strings.Fields(before); len(fields) > 4 && strings.HasPrefix(after, "cgroup2 ") && fields[3] == "/" {
			return unescape(fields[4]), nil
		}
	}
	return "", errors.New("control groups of version 2 are not mounted")
}

// unescape undoes the octal escapes of mountinfo.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

func controllers(path string) []string { return words(path, "cgroup.controllers") }

func words(path, file string) []string {
	text, _ := os.ReadFile(filepath.Join(path, file))
	return strings.Fields(string(text))
}

// write writes to a file of a group, which must be there.
func write(path, file, text string) error {
	f, err := os.OpenFile(filepath.Join(path, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
