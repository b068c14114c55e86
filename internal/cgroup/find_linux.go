package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// location is the group that this process is in: its folder, and its name in
// /proc/PID/cgroup.
type location struct {
	folder, name string
}

// own finds the locations where the group of this process can be seen: one for each
// mount of version 2, of which some may be read-only.
func own() ([]location, error) {
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	return locations(string(groups), string(mounts))
}

// locations makes own's result of the texts of /proc/self/cgroup and mountinfo.
func locations(groups, mounts string) (found []location, err error) {
	name := nameIn(groups)
	switch {
	case name == "":
		return nil, errors.New("this system has no cgroups of version 2")
	case strings.HasPrefix(name, "/.."):
		return nil, errors.New("this process is in a cgroup outside of its namespace")
	}
	for line := range strings.Lines(mounts) {
		before, after, _ := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		if len(fields) < 5 || !strings.HasPrefix(after, "cgroup2 ") {
			continue
		}
		// What is mounted is a part of the tree, often all of it.
		root, folder := unescape(fields[3]), unescape(fields[4])
		inside, err := filepath.Rel(root, name)
		if err != nil || !filepath.IsLocal(inside) {
			continue
		}
		found = append(found, location{filepath.Join(folder, inside), name})
	}
	if found == nil {
		return nil, errors.New("cgroups of version 2 are not mounted")
	}
	return found, nil
}

// nameIn gives the group of version 2 in the text of a /proc/PID/cgroup; "" for
// none.
func nameIn(groups string) string {
	for line := range strings.Lines(groups) {
		if name, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			return name
		}
	}
	return ""
}

// unescape undoes the octal escapes of mountinfo.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
