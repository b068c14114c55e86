// Package trust says whose files are obeyed. A program that root starts, or a
// file that tells root what to do, is only as safe as the weakest component of
// its path: whoever may change one of them decides what root does. So the path
// is walked from the root of the file system, as sshd (StrictModes) and sudo do.
//
// On Windows an administrator is what root is elsewhere; owners and access control
// lists say who may change what: walk_windows.go reads them, and judge.go judges.
package trust

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
)

// Policy says whose files are obeyed. The zero value trusts root alone; on Windows the
// system, its installer, administrators, and the account of a program with rights over
// others.
type Policy struct {
	// UIDs are the users, besides root, to whom a component may belong.
	UIDs []uint32
	// Own trusts the account that the program runs as too, whatever its rights.
	Own bool
	// Except are absolute paths that are taken as they are, whoever owns them and
	// whoever may write them. What lies in them is still looked at.
	Except []string
}

// ExceptUpTo gives the policy that also takes an absolute path and all folders above
// it as they are.
func (p Policy) ExceptUpTo(path string) Policy {
	p.Except = append(slices.Clone(p.Except), path)
	for path != filepath.Dir(path) {
		path = filepath.Dir(path)
		p.Except = append(p.Except, path)
	}
	return p
}

// Fault says who else may change a file, or what is on the way to it; nil where
// nobody may, or where it cannot be looked at, which is for its reader to say.
func (p Policy) Fault(path string) *Error {
	e, _ := errors.AsType[*Error](p.File(path))
	return e
}

// Error says which component of a path somebody else may change.
type Error struct {
	Path      string // the one that was asked about
	Component string // where it fails: Path, a folder or a link on the way
	Who       string // who may change it, such as "everyone"
	Owner     string // of Component
	Mode      string // of Component, as Go prints it; empty on Windows
	// Foreign says that the component belongs to somebody who is not trusted; else
	// others may write it.
	Foreign bool
	Link    bool // it is a symbolic link
	ACL     bool // it has an access control list

	SIDs   []string // on Windows: who may change it
	Unseen error    // on Windows: why who may change it cannot be seen
}

// Own says that the component is the file itself, which its owner may mend, and
// not something on the way.
func (e *Error) Own() bool { return e.Component == e.Path && !e.Link }

// State tells what is wrong with the component, by name.
func (e *Error) State() string {
	link := ""
	if e.Link {
		link = "the link "
	}
	switch {
	case e.Unseen != nil:
		return fmt.Sprintf("who may change %s cannot be seen (%v)", e.Component, e.Unseen)
	case e.Foreign && e.Mode == "":
		return fmt.Sprintf("%s%s belongs to %s", link, e.Component, e.Owner)
	case e.Foreign:
		return fmt.Sprintf("%s%s belongs to %s (mode %s)", link, e.Component, e.Owner, e.Mode)
	case e.Mode == "":
		return fmt.Sprintf("%s%s is writable by %s (owner %s)", link, e.Component, e.Who, e.Owner)
	}
	acl := ""
	if e.ACL {
		acl = ", with an access control list"
	}
	return fmt.Sprintf("%s%s is writable by %s (owner %s, mode %s%s)", link, e.Component, e.Who, e.Owner, e.Mode, acl)
}

// Obeyed goes on after the name of a file that tells the program what to do.
func (e *Error) Obeyed() string {
	return fmt.Sprintf("is obeyed by "+Root+", but %s may change it, since %s", e.Who, e.State())
}

// Remedy says what to do where the file is only read; there is nothing to be run,
// which another user could do.
func (e *Error) Remedy() string {
	switch {
	case !e.Own() || e.Unseen != nil:
		return "keep it in a folder that only " + Root + " may write"
	case e.Foreign:
		return "let " + Root + " have a copy of it"
	}
	if len(e.SIDs) > 0 {
		return "let nobody but " + Root + " write it (" + e.Command() + ")"
	}
	return "let nobody but " + Root + " write it"
}

// Command is one, of Windows, by which nobody else may write the file itself any more.
func (e *Error) Command() string { return icacls(e.Component, e.SIDs) }

func (e *Error) Error() string {
	if e.Component == e.Path {
		return e.State()
	}
	return e.Path + ": " + e.State()
}
