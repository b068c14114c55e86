package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// What the reaper reads in /proc. Whatever cannot be read is taken for absent:
// the process has ended meanwhile.

// limitOf reads the mark in the limits of a process, which may be a zombie.
func limitOf(pid int) uint64 {
	limits, _ := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	_, rest, _ := bytes.Cut(limits, []byte("Max realtime timeout"))
	fields := bytes.Fields(rest[:min(len(rest), 64)])
	if len(fields) == 0 {
		return 0
	}
	id, _ := strconv.ParseUint(string(fields[0]), 10, 64) // "unlimited" is 0
	return id
}

// markOf reads the mark in the environment of a process.
func markOf(pid int) uint64 {
	env, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	mark := LastEnv(strings.Split(string(env), "\x00"), runMark)
	id, _ := strconv.ParseUint(strings.TrimPrefix(mark, "keep-"), 16, 64)
	return id
}

// children lists the children of this process, zombies too. One that appears
// meanwhile may be missing.
func children() []int {
	err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	if errors.Is(err, unix.ECHILD) {
		return nil
	}
	if pids, err := listedChildren("/proc/self/task"); err == nil {
		return pids
	}
	return scannedChildren()
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
	args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
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
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return "", 0
	}
	parent, _ = strconv.Atoi(string(fields[1]))
	return string(fields[0]), parent
}

// commOf gives the name of a process.
func commOf(pid int) string {
	name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.TrimSpace(string(name))
}

// peakOf gives the largest resident size that a process has had, in bytes; 0
// for one that has ended.
func peakOf(pid int) int64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := bytes.Cut(status, []byte("VmHWM:"))
	fields := bytes.Fields(rest[:min(len(rest), 64)])
	if len(fields) == 0 {
		return 0
	}
	kib, _ := strconv.ParseInt(string(fields[0]), 10, 64)
	return kib << 10
}
