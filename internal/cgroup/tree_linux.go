package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"scriptbridge/internal/fsx"

	"golang.org/x/sys/unix"
)

const (
	// prefix begins the names of our folders, one for each Tree. A name alone proves
	// nothing: ours have an attribute as well.
	prefix    = "scriptbridge.runs-"
	attribute = "user.scriptbridge"
	// leaf is the folder that this process moves into where the kernel wants it: a
	// group whose controllers are handed on may have no process of its own.
	leaf = "scriptbridge.self"
	// How the folder of a group begins: what is in those that are kept is never
	// killed.
	ending, kept = "run-", "keep-"
)

// endTime is how long Open and Close wait for the end of what was killed.
const endTime = time.Second

// Tree is a folder of groups that is this program's own.
type Tree struct {
	location
	lock *os.File // the folder, locked as long as its program lives
	undo func()   // leaves the group above as it was
	// Of the groups: see Group.
	bare, peaks bool
	// Ended are the processes that Open has killed: they were left by a program like
	// this one that was killed itself.
	Ended []int
}

// Open makes the folder below the group that this process is in, and hands on the
// controllers for memory and processes if that disturbs nobody. What a program
// that was killed has left in a folder like it is killed and removed, but for
// what was to be kept. The error says why no groups can be made here.
func Open() (*Tree, error) {
	found, err := own()
	for _, p := range found {
		var t *Tree
		if t, err = openIn(p, wanted()); err == nil {
			return t, nil
		}
	}
	return nil, fmt.Errorf("cgroups cannot be used: %w", err)
}

// openIn opens a Tree below a group.
func openIn(p location, wanted []string) (*Tree, error) {
	if filepath.Base(p.folder) == leaf { // we have moved there before
		p = location{filepath.Dir(p.folder), filepath.Dir(p.name)}
	}
	ended := removeDead(p.folder)
	folder, err := os.MkdirTemp(p.folder, prefix)
	if err != nil {
		return nil, err
	}
	t := &Tree{location: location{folder, filepath.Join(p.name, filepath.Base(folder))}, Ended: ended}
	if err := t.open(); err != nil {
		_ = os.Remove(folder)
		return nil, err
	}
	giveBack := delegate(p.folder, wanted)
	enable(folder, wanted)
	t.bare = len(t.Controllers()) == 0
	if slices.Contains(t.Controllers(), "memory") {
		_, err := os.Stat(filepath.Join(folder, "memory.peak")) // Linux has it since 5.19
		t.peaks = err == nil
	}
	t.undo = func() {
		disable(folder, wanted)
		giveBack()
	}
	return t, nil
}

func (t *Tree) open() (err error) {
	// Without it (Linux before 5.14) a group cannot be ended for sure.
	if _, err := os.Stat(filepath.Join(t.folder, "cgroup.kill")); err != nil {
		return fmt.Errorf("%w (Linux has it since 5.14)", err)
	}
	if err := os.Chmod(t.folder, 0o755); err != nil { //nolint:gosec // G302: a script may look at its own group
		return err
	}
	if t.lock, err = lock(t.folder); err != nil {
		return err
	}
	// Only now it can be taken for one that a dead program left.
	if err := unix.Setxattr(t.folder, attribute, nil, 0); err != nil {
		_ = t.lock.Close()
		return fmt.Errorf("%s: %w", t.folder, err)
	}
	return nil
}

// lock opens a folder and locks it, without waiting.
func lock(path string) (*os.File, error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := fsx.Lock(dir); err != nil {
		_ = dir.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return dir, nil
}

// wanted are the controllers that limit and count.
func wanted() []string { return []string{"memory", "pids"} }

// delegate hands controllers on to what is below a group. As cgroups(7) wants it,
// this process goes into a leaf first; where others are in the group too that does
// not help, and everything stays as it was. The group can have no process again
// before undo has been called.
func delegate(folder string, wanted []string) (undo func()) {
	missing := slices.DeleteFunc(slices.Clone(wanted), func(c string) bool {
		return !slices.Contains(words(folder, "cgroup.controllers"), c) || slices.Contains(words(folder, "cgroup.subtree_control"), c)
	})
	// The root of all groups, which alone has no type, is the system's.
	if _, err := os.Stat(filepath.Join(folder, "cgroup.type")); err != nil || len(missing) == 0 || !delegated(folder) {
		return func() {}
	}
	in, self := filepath.Join(folder, leaf), strconv.Itoa(os.Getpid())
	if err := os.Mkdir(in, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return func() {}
	}
	undo = func() {
		disable(folder, missing)
		_ = write(folder, "cgroup.procs", self)
		_ = os.Remove(in)
	}
	if write(in, "cgroup.procs", self) != nil || !enable(folder, missing) {
		undo()
		return func() {}
	}
	return undo
}

// enable enables controllers, one by one, for what is below a group, and reports whether
// that was possible for any.
func enable(folder string, wanted []string) (any bool) {
	for _, c := range wanted {
		any = write(folder, "cgroup.subtree_control", "+"+c) == nil || any
	}
	return any
}

// disable is the reverse of enable.
func disable(folder string, controllers []string) {
	for _, c := range controllers {
		_ = write(folder, "cgroup.subtree_control", "-"+c)
	}
}

// delegated says whether the controllers of a group are ours to hand on. Where
// systemd runs, it must have left them to its service: it would undo, at any
// moment, what it has not.
func delegated(folder string) bool {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return true
	}
	for ; ; folder = filepath.Dir(folder) {
		var value [1]byte
		for _, name := range []string{"user.delegate", "trusted.delegate"} {
			if n, err := unix.Getxattr(folder, name, value[:]); err == nil && n == 1 && value[0] == '1' {
				return true
			}
		}
		if _, err := os.Stat(filepath.Join(folder, "cgroup.type")); err != nil {
			return false // the root, or what is no group
		}
	}
}

// Folder is where the groups are.
func (t *Tree) Folder() string { return t.folder }

// Controllers are those that the groups have.
func (t *Tree) Controllers() []string { return words(t.folder, "cgroup.subtree_control") }

// New makes a group. What is in one that is kept outlives its Tree.
func (t *Tree) New(id uint64, keep bool) (*Group, error) {
	kind := ending
	if keep {
		kind = kept
	}
	g := &Group{folder: t.folder + "/" + kind + strconv.FormatUint(id, 16), keep: keep, bare: t.bare, peaks: t.peaks}
	if err := unix.Mkdir(g.folder, 0o755); err != nil {
		return nil, pathError("mkdir", g.folder, err)
	}
	return g, nil
}

// Of gives the id of the group of t that a process is in, or in one below it;
// false for none. A zombie is still in its group, even if that has been removed.
func (t *Tree) Of(pid int) (id uint64, ok bool) {
	groups, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	inside, ok := strings.CutPrefix(nameIn(string(groups)), t.name+"/")
	if !ok {
		return 0, false
	}
	group, _, _ := strings.Cut(strings.TrimSuffix(inside, " (deleted)"), "/")
	_, number, _ := strings.Cut(group, "-")
	id, err := strconv.ParseUint(number, 16, 64)
	return id, err == nil
}

// Close kills all that is in the groups, but for what is kept, and removes them
// and the folder. It waits a second at most: what is still dying then keeps its
// folder, for the next Open, as does what is kept.
func (t *Tree) Close() error {
	removeRuns(t.folder)
	t.undo()
	return t.lock.Close()
}

// removeDead removes the folders of programs that live no more, and kills what
// they left, which it gives.
func removeDead(folder string) (ended []int) {
	found, _ := filepath.Glob(filepath.Join(folder, prefix+"*"))
	for _, path := range found {
		info, err := os.Stat(path)
		if err != nil {
			continue
		}
		owner, _ := info.Sys().(*syscall.Stat_t)
		if _, err := unix.Getxattr(path, attribute, nil); err != nil || owner == nil || int(owner.Uid) != os.Geteuid() {
			continue
		}
		if dir, err := lock(path); err == nil { // who lives holds it
			ended = append(ended, living(path)...)
			removeRuns(path)
			_ = dir.Close()
		}
	}
	return ended
}

// removeRuns kills what is in the groups of a Tree, but for what is kept, and
// removes those that are empty, and the folder if all are.
func removeRuns(tree string) {
	for deadline, pause := time.Now().Add(endTime), time.Millisecond; ; pause *= 2 {
		dying := false
		entries, _ := os.ReadDir(tree)
		for _, e := range entries {
			path := filepath.Join(tree, e.Name())
			switch {
			case !e.IsDir():
			case strings.HasPrefix(e.Name(), kept):
				_ = os.Remove(path) // which fails while anything is in it
			case strings.HasPrefix(e.Name(), ending):
				if removeTree(path) != nil {
					dying = true
				}
			}
		}
		if !dying || time.Now().After(deadline) {
			_ = os.Remove(tree)
			return
		}
		time.Sleep(pause)
	}
}

// living lists the processes in the groups of a Tree that are not kept.
func living(tree string) (pids []int) {
	groups, _ := filepath.Glob(filepath.Join(tree, ending+"*"))
	for _, g := range groups {
		for _, word := range words(g, "cgroup.procs") {
			if pid, err := strconv.Atoi(word); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

func words(folder, file string) []string { return strings.Fields(string(read(folder, file))) }

// The files of groups are read and written without os.File, which would ask the kernel
// four times as much: each run does that.

// read reads a file of a group; nothing where that is not possible.
func read(folder, file string) []byte {
	text, _ := fsx.ReadKernel(folder + "/" + file)
	return text
}

// write writes to a file of a group, which must be there.
func write(folder, file, text string) error {
	path := folder + "/" + file
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return pathError("open", path, err)
	}
	_, err = unix.Write(fd, []byte(text))
	return errors.Join(pathError("write", path, err), pathError("close", path, unix.Close(fd)))
}

func pathError(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: path, Err: err}
}
