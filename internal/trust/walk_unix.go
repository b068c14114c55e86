//go:build unix

package trust

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Root is what messages call the account whose rights are guarded.
const Root = "root"

// Privileged says whether the program has rights over others.
func Privileged() bool { return os.Geteuid() == 0 }

// Exposed says whether everybody may read a file, and what to do where it holds a secret.
func Exposed(_ string, info fs.FileInfo) (remedy string, exposed bool) {
	return "keep what is secret in a file of its own, with mode 0600", info.Mode()&0o004 != 0
}

// maxLinks is how many symbolic links a path may lead through, as in Linux.
const maxLinks = 40

// File says why a file must not be obeyed: an *Error when somebody who is not
// trusted may change it, replace it, or replace a folder or a link on the way to
// it. A relative path begins in the working directory. Other errors are those of
// looking, such as fs.ErrNotExist.
//
// What it approves can be changed only by those who are trusted, so that no time
// of check to time of use is left open to others.
func (p Policy) File(path string) error {
	if !filepath.IsAbs(path) {
		dir, err := os.Getwd()
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		// Not joined, which would take ".." away: behind a link it leads elsewhere.
		path = dir + "/" + path
	}
	w := walk{policy: p, path: path, links: maxLinks}
	return w.to(path)
}

// walk is one look at a path.
type walk struct {
	policy Policy
	path   string // as asked
	links  int    // that may still be followed
}

// to walks to an absolute path, through all links.
func (w *walk) to(path string) error {
	at, rest := "/", split(path)
	if _, err := w.component(at, len(rest) > 0); err != nil {
		return err
	}
	for len(rest) > 0 {
		name := rest[0]
		rest = rest[1:]
		if name == ".." {
			at = filepath.Dir(at)
			continue
		}
		next := at + "/" + name
		if at == "/" {
			next = at + name
		}
		link, err := w.component(next, len(rest) > 0)
		if err != nil {
			return err
		}
		if !link {
			at = next
			continue
		}
		if w.links--; w.links < 0 {
			return fmt.Errorf("%s: %w", w.path, syscall.ELOOP)
		}
		target, err := os.Readlink(next)
		if err != nil {
			return err
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		rest = append(split(target), rest...)
	}
	return nil
}

// split gives the names in a path. ".." is kept: behind a link it does not lead
// back to where the link is.
func split(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(name string) bool { return name == "" || name == "." })
}

// component looks at one file, folder or link by itself, and tells whether it is a link.
// through says that something is looked up in it: a sticky folder then is as good as the
// owner of what lies in it, which is looked at next. It is asked for each run of a script,
// about a dozen times, so that only a fault is made words of.
func (w *walk) component(path string, through bool) (link bool, err error) {
	var stat syscall.Stat_t
	for {
		if err = syscall.Lstat(path, &stat); !errors.Is(err, syscall.EINTR) { // as os has it
			break
		}
	}
	if err != nil {
		return false, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	kind, mode := uint32(stat.Mode)&syscall.S_IFMT, uint32(stat.Mode)
	link = kind == syscall.S_IFLNK
	foreign := stat.Uid != 0 && !slices.Contains(w.policy.UIDs, stat.Uid) && (!w.policy.Own || stat.Uid != uint32(os.Geteuid()))
	sticky := kind == syscall.S_IFDIR && mode&syscall.S_ISVTX != 0
	// A link's mode means nothing.
	writable := mode&0o022 != 0 && !link && (!sticky || !through)
	if !foreign && !writable || slices.Contains(w.policy.Except, path) {
		return link, nil
	}
	return link, w.fault(path, &stat, link, foreign)
}

// fault puts into words what is wrong with a component.
func (w *walk) fault(path string, stat *syscall.Stat_t, link, foreign bool) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	e := &Error{Path: w.path, Component: path, Mode: info.Mode().String(), Link: link, Foreign: foreign, Owner: UserName(stat.Uid)}
	switch {
	case foreign:
		e.Who = e.Owner
	case uint32(stat.Mode)&0o002 != 0:
		e.Who = "everyone"
	default:
		// Where there is an access control list, these bits are its mask: no user or
		// group that it names has more.
		e.Who, e.ACL = "group "+groupName(stat.Gid), hasACL(path)
		if e.ACL {
			e.Who = "those whom its access control list names"
		}
	}
	return e
}

// UserName gives the name of a user, or the number where there is none.
func UserName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

func groupName(gid uint32) string {
	id := strconv.FormatUint(uint64(gid), 10)
	if g, err := user.LookupGroupId(id); err == nil {
		return g.Name
	}
	return id
}
