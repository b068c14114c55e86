package cgroup

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Group is the control group of one run.
type Group struct {
	folder string
	keep   bool
	bare   bool // it has no controllers, and none of their files
	peaks  bool // it counts the largest memory
}

// Open opens the folder, for syscall.SysProcAttr.CgroupFD. The descriptor is the
// caller's to close.
func (g *Group) Open() (fd int, err error) {
	fd, err = unix.Open(g.folder, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	return fd, pathError("open", g.folder, err)
}

// CountsPeak reports whether Usage has the peak. There may be no group: nil.
func (g *Group) CountsPeak() bool { return g != nil && g.peaks }

// Limit sets limits. It gives those for which there is no controller, by the
// names of cgroups(7); somebody else must see to them.
func (g *Group) Limit(l Limits) (missing []string, err error) {
	set := func(controller, file string, n int64) {
		if n <= 0 {
			return
		}
		if !slices.Contains(words(g.folder, "cgroup.controllers"), controller) {
			missing = append(missing, controller)
			return
		}
		err = errors.Join(err, write(g.folder, file, strconv.FormatInt(n, 10)))
	}
	set("memory", "memory.max", l.Memory)
	set("pids", "pids.max", l.Processes)
	if l.Memory > 0 && !slices.Contains(missing, "memory") {
		// Of the group's processes none may stay when one is killed for want of
		// memory. Both files may be missing: then the memory alone is bounded.
		_ = write(g.folder, "memory.oom.group", "1")
		_ = write(g.folder, "memory.swap.max", "0")
	}
	return missing, err
}

// Enter puts a process into the group. What it has used so far was not the group's.
func (g *Group) Enter(pid int) error {
	return write(g.folder, "cgroup.procs", strconv.Itoa(pid))
}

// Tasks is how many processes and threads there are in the group.
func (g *Group) Tasks() int { return len(words(g.folder, "cgroup.threads")) }

// Kill sends SIGKILL to all that is in the group and below it, at once, and what
// is being forked is not forgotten. It does not wait for their end.
func (g *Group) Kill() error { return write(g.folder, "cgroup.kill", "1") }

func (g *Group) reached() string {
	memory := numbers(g.folder, "memory.events")
	switch {
	case memory["oom_kill"] > 0 || memory["oom_group_kill"] > 0:
		return Memory
	case numbers(g.folder, "pids.events")["max"] > 0:
		return Processes
	}
	return ""
}

// Usage gives what the group has used.
func (g *Group) Usage() Usage {
	user, system := g.Time()
	if g.bare {
		return Usage{User: user, System: system}
	}
	peak, _ := strconv.ParseInt(strings.TrimSpace(string(read(g.folder, "memory.peak"))), 10, 64)
	return Usage{User: user, System: system, Peak: peak, Reached: g.reached()}
}

// Time gives the processor time that the group has used.
func (g *Group) Time() (user, system time.Duration) {
	spent := numbers(g.folder, "cpu.stat")
	return time.Duration(spent["user_usec"]) * time.Microsecond, time.Duration(spent["system_usec"]) * time.Microsecond
}

// RemoveEmpty removes the group if nothing lives in it, and fails otherwise: it
// is the cheapest way to find out.
func (g *Group) RemoveEmpty() error { return unix.Rmdir(g.folder) }

// Remove removes the group, after it has killed what is still in it, unless that
// is to be kept. It fails while anything in it lives or is dying, and may be
// called again then.
func (g *Group) Remove() error {
	if g.keep {
		return g.RemoveEmpty()
	}
	return removeTree(g.folder)
}

// removeTree removes a group and those below it, and kills what is still in them.
// Who may make groups may have made more than can be removed in a moment.
func removeTree(folder string) error {
	most := 1000
	return removeSome(folder, &most)
}

// removeSome removes at most so many groups.
func removeSome(folder string, most *int) error {
	if *most--; *most < 0 {
		return errors.New("there are more")
	}
	err := unix.Rmdir(folder)
	if err == nil || errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err := write(folder, "cgroup.kill", "1"); err != nil {
		return err
	}
	entries, _ := os.ReadDir(folder)
	for _, e := range entries {
		if e.IsDir() && *most > 0 {
			_ = removeSome(filepath.Join(folder, e.Name()), most)
		}
	}
	return unix.Rmdir(folder)
}

// numbers reads a file of lines "key number"; what is not there is 0.
func numbers(folder, file string) map[string]int64 {
	all := make(map[string]int64)
	for line := range bytes.Lines(read(folder, file)) {
		name, value, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		all[name], _ = strconv.ParseInt(value, 10, 64)
	}
	return all
}
