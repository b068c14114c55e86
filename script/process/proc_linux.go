package process

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"scriptbridge/internal/fsx"

	"golang.org/x/sys/unix"
)

// What the reaper reads in /proc. Whatever cannot be read is taken for absent:
// the process has ended meanwhile.

// readProc reads a file of /proc.
func readProc(name string) ([]byte, error) { return fsx.ReadKernel("/proc/" + name) }

// readOf reads a file that /proc has of a process; nothing where that is not possible.
func readOf(pid int, name string) []byte {
	text, _ := readProc(strconv.Itoa(pid) + "/" + name)
	return text
}

// limitOf reads the mark in the limits of a process, which may be a zombie.
func limitOf(pid int) uint64 {
	_, rest, _ := bytes.Cut(readOf(pid, "limits"), []byte("Max realtime timeout"))
	fields := bytes.Fields(rest[:min(len(rest), 64)])
	if len(fields) == 0 {
		return 0
	}
	id, _ := strconv.ParseUint(string(fields[0]), 10, 64) // "unlimited" is 0
	return id
}

// markOf reads the mark in the environment of a process.
func markOf(pid int) uint64 {
	mark := LastEnv(strings.Split(string(readOf(pid, "environ")), "\x00"), runMark)
	id, _ := strconv.ParseUint(strings.TrimPrefix(mark, "keep-"), 16, 64)
	return id
}

// haveChildren reports whether this process has any, zombies included.
func haveChildren() bool {
	err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return !errors.Is(err, unix.ECHILD)
}

// children lists the children of this process, zombies too. One that appears
// meanwhile may be missing.
func children() []int {
	if !haveChildren() {
		return nil
	}
	if pids, err := listedChildren("/proc/self/task"); err == nil {
		return pids
	}
	return scannedChildren()
}

// suspects lists the children of this process that may be more than the main processes
// of runs, and some of those, after a run that a thread of ours has started has ended;
// 0: all children. The caller holds r.mu.
//
// The kernel keeps a list for each thread, and there are about as many threads as runs
// that go on: to read them all with each run would be the most that is done for it. What
// loses its parent becomes a child of our first thread. Who is born as its parent's
// sibling (CLONE_PARENT) becomes a child of the thread that its parent is a child of: that
// of its run's main process, if it is not the first one. When a thread ends, its children
// become those of the first. So there can be something on these two lists, and on those on
// which there was something that lives on when they were last read.
func (r *reaper) suspects(thread int) (pids []int) {
	switch {
	case !haveChildren():
		clear(r.threads)
		return nil
	case thread == 0 || !r.lists:
		return children()
	}
	r.threads[thread] = true
	first := os.Getpid()
	delete(r.threads, first)
	for at := range r.threads {
		list, err := listOf(at)
		if err != nil || !slices.ContainsFunc(list, func(pid int) bool { return !r.isMain(pid) }) {
			delete(r.threads, at)
		}
		pids = append(pids, list...)
	}
	list, _ := listOf(first) // the last, which takes over what a thread had that has just ended
	return append(pids, list...)
}

// listOf gives the list of children that the kernel keeps for a thread of ours.
func listOf(thread int) ([]int, error) {
	list, err := readProc("self/task/" + strconv.Itoa(thread) + "/children")
	if err != nil {
		return nil, err
	}
	var pids []int
	for f := range bytes.FieldsSeq(list) {
		if pid, err := strconv.Atoi(string(f)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// listedChildren reads the list that the kernel keeps for each thread, if it
// was built to (CONFIG_PROC_CHILDREN).
func listedChildren(tasks string) ([]int, error) {
	entries, err := os.ReadDir(tasks)
	if err != nil {
		return nil, err
	}
	var pids []int
	var lists int
	for _, e := range entries {
		list, err := os.ReadFile(filepath.Join(tasks, e.Name(), "children"))
		if err != nil {
			continue // the thread has ended, or there are no lists at all
		}
		lists++
		for _, f := range bytes.Fields(list) {
			if pid, err := strconv.Atoi(string(f)); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	if lists == 0 {
		return nil, os.ErrNotExist
	}
	return pids, nil
}

// scannedChildren asks every process for its parent.
func scannedChildren() []int {
	return slices.DeleteFunc(processes(), func(pid int) bool {
		return parentOf(pid) != os.Getpid()
	})
}

// processes lists all processes that can be seen.
func processes() []int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// argless reports whether a process shows no arguments: it is dying or in the
// midst of an exec, and shows no environment either.
func argless(pid int) bool {
	args, err := readProc(strconv.Itoa(pid) + "/cmdline")
	return err == nil && len(args) == 0
}

// parentOf gives the parent of a process; 0 for none.
func parentOf(pid int) int {
	_, parent := statOf(pid)
	return parent
}

// exited reports whether a process is a zombie, or gone.
func exited(pid int) bool {
	state, _ := statOf(pid)
	return state == "" || state == "Z" || state == "X"
}

// statOf reads the third and the fourth field of stat: the state and the parent.
// The second, the name, may contain anything: the third follows the last
// parenthesis.
func statOf(pid int) (state string, parent int) {
	stat := readOf(pid, "stat")
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return "", 0
	}
	parent, _ = strconv.Atoi(string(fields[1]))
	return string(fields[0]), parent
}

// commOf gives the name of a process.
func commOf(pid int) string {
	return strings.TrimSpace(string(readOf(pid, "comm")))
}

// peakOf gives the largest resident size that a process has had, in bytes; 0
// for one that has ended.
func peakOf(pid int) int64 {
	_, rest, _ := bytes.Cut(readOf(pid, "status"), []byte("VmHWM:"))
	fields := bytes.Fields(rest[:min(len(rest), 64)])
	if len(fields) == 0 {
		return 0
	}
	kib, _ := strconv.ParseInt(string(fields[0]), 10, 64)
	return kib << 10
}
