package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Group is the control group of one run.
type Group struct {
	path string
	dir  *os.File
}

// FD is the descriptor for syscall.SysProcAttr.CgroupFD. It is the Group's, and
// good until Remove.
func (g *Group) FD() int { return int(g.dir.Fd()) }

// Limit sets limits. It gives those for which there is no controller, by the
// names of cgroups(7); somebody else must see to them.
func (g *Group) Limit(l Limits) (missing []string, err error) {
	set := func(controller, file string, n int64) {
		if n <= 0 {
			return
		}
		if !slices.Contains(controllers(g.path), controller) {
			missing = append(missing, controller)
			return
		}
		err = errors.Join(err, write(g.path, file, strconv.FormatInt(n, 10)))
	}
	set("memory", "memory.max", l.Memory)
	set("pids", "pids.max", l.Processes)
	if l.Memory > 0 && !slices.Contains(missing, "memory") {
		// Of the group's processes none may stay when one is killed for want of
		// memory. Both files may be missing: then the memory alone is bounded.
		_ = write(g.path, "memory.oom.group", "1")
		_ = write(g.path, "memory.swap.max", "0")
	}
	return missing, err
}

// Kill sends SIGKILL to all that is in the group, at once, and what is being
// forked is not forgotten. It does not wait for their end.
func (g *Group) Kill() error { return write(g.path, "cgroup.kill", "1") }

// Populated reports whether anything in the group lives; zombies do not.
func (g *Group) Populated() bool { return g.number("cgroup.events", "populated") != 0 }

// Reached names the limit that the group has run into: "memory", "processes", or
// "" for none.
func (g *Group) Reached() string {
	switch {
	case g.number("memory.events", "oom_kill") > 0 || g.number("memory.events", "oom_group_kill") > 0:
		return "memory"
	case g.number("pids.events", "max") > 0:
		return "processes"
	}
	return ""
}

// Usage gives what the group has used.
func (g *Group) Usage() Usage {
	peak, _ := os.ReadFile(filepath.Join(g.path, "memory.peak"))
	bytes, _ := strconv.ParseInt(strings.TrimSpace(string(peak)), 10, 64)
	return Usage{
		User:   time.Duration(g.number("cpu.stat", "user_usec")) * time.Microsecond,
		System: time.Duration(g.number("cpu.stat", "system_usec")) * time.Microsecond,
		Peak:   bytes,
	}
}

// Remove kills what is still in the group and removes it. It fails while
// something in it is dying, and may be called again then; Tree.Close removes it
// otherwise.
func (g *Group) Remove() error {
	if err := removeTree(g.path); err != nil {
		return err
	}
	return g.dir.Close()
}

// number reads a line "key number"; 0 where there is none.
func (g *Group) number(file, key string) int64 {
	text, _ := os.ReadFile(filepath.Join(g.path, file))
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), " "); name == key {
			n, _ := strconv.ParseInt(value, 10, 64)
			return n
		}
	}
	return 0
}
