// Package host is a machine as one looks at it to find out what runs there: the
// files below a root folder, in which links lead as they would on that machine
// (host.go), the flags of its services (unit.go), and command lines as a shell
// reads them (shell.go). Nothing is run and nothing is written; what is read is
// bounded in size and number.
package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"scriptbridge/internal/fsx"
	"scriptbridge/internal/texts"
	"scriptbridge/internal/trust"
	"scriptbridge/internal/winargs"
)

// Bounds of what is read; fsx has that of a file.
const (
	maxFiles  = 2000
	maxFolder = 5000 // entries of a folder
	maxLinks  = 40
)

// Host is a machine. Paths are its own: absolute, with slashes.
type Host struct {
	root     string   // where its / is
	above    []string // root and the folders above it, where they are not the machine's
	files    int      // that were read
	folders  int      // likewise
	denied   []string
	accounts map[uint32]string
	homes    map[string]string
}

// New gives the machine whose / is at root.
func New(root string) (*Host, error) {
	if drive := os.Getenv("SystemDrive"); runtime.GOOS == "windows" && root == "/" && drive != "" {
		root = drive + root
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return nil, err
	}
	info, err := os.Stat(root) //nolint:gosec // whoever runs init names the folder
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a folder", root)
	}
	h := &Host{root: root}
	if h.IsOther() {
		h.above = trust.Policy{}.ExceptUpTo(root).Except
	}
	return h, nil
}

// IsOther reports whether the machine is another one than that which we run on.
func (h *Host) IsOther() bool { return filepath.Dir(h.root) != h.root }

// Place gives where a path of the machine is for us, with all links followed as
// the machine would: none leads out of its root.
func (h *Host) Place(name string) (string, error) {
	at, rest := h.begin(name)
	links := maxLinks
	for len(rest) > 0 {
		part := rest[0]
		rest = rest[1:]
		if part == ".." {
			if at != h.root {
				at = filepath.Dir(at)
			}
			continue
		}
		next := filepath.Join(at, part)
		info, err := os.Lstat(next)
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		if links--; links < 0 {
			return "", fmt.Errorf("%s: too many symbolic links", name)
		}
		target, err := os.Readlink(next)
		if err != nil {
			return "", err
		}
		if target = filepath.ToSlash(target); path.IsAbs(target) || filepath.VolumeName(target) != "" {
			at, rest = h.continued(target, rest)
			continue
		}
		rest = append(split(target), rest...)
	}
	return at, nil
}

// begin gives where an absolute path begins, and what follows. On Windows it may have a drive,
// which another machine's image is one of.
func (h *Host) begin(name string) (at string, rest []string) {
	volume := filepath.VolumeName(name)
	if volume == "" || h.IsOther() {
		return h.root, split(name[len(volume):])
	}
	return volume + string(filepath.Separator), split(name[len(volume):])
}

// continued is begin for the target of a link, with the rest of the path that led to it.
func (h *Host) continued(target string, rest []string) (at string, all []string) {
	at, all = h.begin(target)
	return at, append(all, rest...)
}

// Native gives a path of the machine as it is written in a configuration.
func (h *Host) Native(name string) string {
	if runtime.GOOS != "windows" || h.IsOther() {
		return name
	}
	if filepath.VolumeName(name) == "" && path.IsAbs(name) {
		name = filepath.VolumeName(h.root) + name
	}
	return filepath.FromSlash(name)
}

func split(name string) []string {
	return slices.DeleteFunc(strings.Split(name, "/"), func(part string) bool { return part == "" || part == "." })
}

// errMany says that no more files are read.
var errMany = fmt.Errorf("is not read: more than %d files were", maxFiles)

// Read gives the text of a file. The error is fs.ErrNotExist for one that is not
// there, and else goes on after the file's name.
func (h *Host) Read(name string) (string, error) {
	place, err := h.Place(name)
	if err != nil {
		return "", reason(err)
	}
	if h.files++; h.files > maxFiles {
		return "", errMany
	}
	text, err := fsx.ReadFile(place)
	if err != nil {
		return "", reason(err)
	}
	return strings.ToValidUTF8(string(text), "\ufffd"), nil
}

// reason is an error without the path that it happened with.
func reason(err error) error {
	var e *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fs.ErrNotExist
	case errors.Is(err, fs.ErrPermission):
		return errors.New("cannot be read: permission denied")
	case errors.As(err, &e):
		return fmt.Errorf("cannot be read: %w", e.Err)
	}
	return err
}

// Exists reports whether there is anything at a path.
func (h *Host) Exists(name string) bool {
	_, err := h.Place(name)
	return err == nil
}

// IsFile reports whether there is a regular file, and whether it can be executed.
func (h *Host) IsFile(name string) (is, executable bool) {
	place, err := h.Place(name)
	if err != nil {
		return false, false
	}
	info, err := os.Stat(place)
	if err != nil || !info.Mode().IsRegular() {
		return false, false
	}
	if runtime.GOOS == "windows" {
		return true, winargs.IsProgram(name)
	}
	return true, info.Mode()&0o111 != 0
}

// IsFolder reports whether there is a folder.
func (h *Host) IsFolder(name string) bool {
	place, err := h.Place(name)
	if err != nil {
		return false
	}
	info, err := os.Stat(place)
	return err == nil && info.IsDir()
}

// List gives the names in a folder, sorted; none where there is no such folder.
func (h *Host) List(folder string) []string {
	place, err := h.Place(folder)
	if err != nil {
		return nil
	}
	if h.folders++; h.folders > maxFiles {
		return nil
	}
	entries, err := os.ReadDir(place)
	if errors.Is(err, fs.ErrPermission) && !slices.Contains(h.denied, folder) {
		h.denied = append(h.denied, folder)
	}
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries[:min(len(entries), maxFolder)] {
		names = append(names, e.Name())
	}
	return names
}

// Denied are the folders so far that could not be looked into.
func (h *Host) Denied() []string { return h.denied }

// Files gives the regular files of a folder whose names match a pattern of
// path.Match, sorted, with their paths.
func (h *Host) Files(folder, pattern string) (files []string) {
	for _, name := range h.List(folder) {
		if ok, _ := path.Match(pattern, name); !ok {
			continue
		}
		if is, _ := h.IsFile(path.Join(folder, name)); is {
			files = append(files, path.Join(folder, name))
		}
	}
	return files
}

// Glob gives the paths that match a pattern, whose wildcards may stand in any
// part.
func (h *Host) Glob(pattern string) (names []string) {
	found := []string{"/"}
	for _, part := range split(pattern) {
		var next []string
		for _, folder := range found {
			if !strings.ContainsAny(part, `*?[`) {
				next = append(next, path.Join(folder, part))
				continue
			}
			for _, name := range h.List(folder) {
				if ok, _ := path.Match(part, name); ok && (name[0] != '.' || part[0] == '.') {
					next = append(next, path.Join(folder, name))
				}
			}
		}
		found = next
	}
	return slices.DeleteFunc(found, func(name string) bool { return !h.Exists(name) })
}

// Owner gives the account to which a file belongs, and its number; "" where the
// machine has none of that number.
func (h *Host) Owner(name string) (account string, uid uint32, ok bool) {
	place, err := h.Place(name)
	if err != nil {
		return "", 0, false
	}
	info, err := os.Stat(place)
	if err != nil {
		return "", 0, false
	}
	if uid, ok = ownerOf(info); !ok {
		return "", 0, false
	}
	return h.accountsByNumber()[uid], uid, true
}

// Account gives the number of an account of the machine.
func (h *Host) Account(name string) (uid uint32, ok bool) {
	for n, account := range h.accountsByNumber() {
		if account == name {
			return n, true
		}
	}
	return 0, false
}

// Home gives the home folder of an account; "" for none.
func (h *Host) Home(name string) string {
	h.accountsByNumber()
	return h.homes[name]
}

// accountsByNumber are those of /etc/passwd.
func (h *Host) accountsByNumber() map[uint32]string {
	if h.accounts != nil {
		return h.accounts
	}
	h.accounts, h.homes = make(map[uint32]string), make(map[string]string)
	text, _ := h.Read("/etc/passwd")
	for line := range strings.SplitSeq(text, "\n") {
		part := strings.Split(line, ":")
		if len(part) < 6 {
			continue
		}
		h.homes[part[0]] = part[5]
		n, err := strconv.ParseUint(part[2], 10, 32)
		if _, taken := h.accounts[uint32(n)]; err == nil && !taken {
			h.accounts[uint32(n)] = part[0]
		}
	}
	return h.accounts
}

// Fault says who else than root and a user may change a file; nil for nobody.
// What lies above the machine's root is nobody's business.
func (h *Host) Fault(name string, uids []uint32, trusted []string) *trust.Error {
	policy := trust.Policy{UIDs: uids, Except: slices.Concat(h.above, trusted)}
	place := filepath.Join(h.root, filepath.FromSlash(name))
	if h.IsOther() { // its links lead elsewhere for us
		var err error
		if place, err = h.Place(name); err != nil {
			return nil
		}
	}
	e := policy.Fault(place)
	if e != nil && h.IsOther() {
		e.Component = "/" + filepath.ToSlash(strings.TrimPrefix(strings.TrimPrefix(e.Component, h.root), string(filepath.Separator)))
		e.Path = name
	}
	return e
}

// OneLine is a text of a file as a comment can have it: one line, not too long.
func OneLine(text string) string { return texts.Shorten(texts.OneLine(text), 300) }
