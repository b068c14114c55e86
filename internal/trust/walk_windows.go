package trust

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Root is what messages call the account whose rights are guarded.
const Root = "an administrator"

// Privileged says whether the program has rights over others: those of an administrator, or
// of a service, which may take on the rights of those who talk to it.
func Privileged() bool { return privileged() }

var privileged = sync.OnceValue(func() bool {
	token := windows.GetCurrentProcessToken()
	if token.IsElevated() || slices.Contains([]string{sidSystem, sidLocalService, sidNetworkService}, ownSID()) {
		return true
	}
	service, err := windows.StringToSid(sidService)
	if err != nil {
		return false
	}
	member, err := windows.Token(0).IsMember(service)
	return err == nil && member
})

// ownSID is that of the account that the program runs as; empty where that cannot be seen.
var ownSID = sync.OnceValue(func() string {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return ""
	}
	return user.User.Sid.String()
})

// maxLinks is how many links a path may lead through, as on other systems.
const maxLinks = 40

// File says why a file must not be obeyed: an *Error when somebody who is not trusted may
// change it, replace it, or replace a folder or a link on the way to it. Trusted are the
// system, its installer, administrators, and, where the program has rights over others, its
// own account. A relative path begins in the working directory. Other errors are those of
// looking, such as fs.ErrNotExist.
func (p Policy) File(path string) error {
	whole, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	w := walk{policy: p, path: path, links: maxLinks}
	if p.Own || Privileged() {
		w.own = ownSID()
	}
	return w.to(whole)
}

// walk is one look at a path.
type walk struct {
	policy Policy
	path   string // as asked
	own    string // the SID of the account that is trusted too
	links  int    // that may still be followed
}

// to walks to an absolute path, through all links. Where a path has "..", Windows takes
// that away before it looks at any link.
func (w *walk) to(path string) error {
	at, rest := split(path)
	if _, err := w.component(at, len(rest) > 0); err != nil {
		return err
	}
	for len(rest) > 0 {
		next := filepath.Join(at, rest[0])
		rest = rest[1:]
		target, err := w.component(next, len(rest) > 0)
		if err != nil {
			return err
		}
		if target == "" {
			at = next
			continue
		}
		if w.links--; w.links < 0 {
			return fmt.Errorf("%s: %w", w.path, syscall.ELOOP)
		}
		if !filepath.IsAbs(target) {
			if strings.HasPrefix(target, `\`) {
				target = filepath.VolumeName(next) + target
			} else {
				target = filepath.Join(at, target)
			}
		}
		return w.to(filepath.Join(append([]string{target}, rest...)...))
	}
	return nil
}

// split gives the root of a path's volume, and the names below it.
func split(path string) (root string, names []string) {
	volume := filepath.VolumeName(path)
	names = slices.DeleteFunc(strings.Split(filepath.ToSlash(path[len(volume):]), "/"), func(name string) bool { return name == "" })
	return volume + `\`, names
}

// component looks at one file, folder or link by itself, and gives where it leads, if it is
// a link. more says that something is looked up in it.
func (w *walk) component(path string, more bool) (target string, err error) {
	d, attributes, err := lookAt(path, windows.FILE_FLAG_OPEN_REPARSE_POINT)
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) && !w.excepted(path) {
		// Who may not see that may still be allowed to read.
		return "", &Error{Path: w.path, Component: path, Who: "somebody", Unseen: err}
	}
	if err != nil && !errors.Is(err, windows.ERROR_ACCESS_DENIED) {
		return "", &fs.PathError{Op: "open", Path: path, Err: err}
	}
	as := last
	if more {
		as = through
	}
	if attributes&windows.FILE_ATTRIBUTE_REPARSE_POINT != 0 {
		// Others, as of files that are compressed or kept elsewhere, are what they show.
		if to, err := os.Readlink(path); err == nil {
			target, as = to, link
		}
	}
	if w.excepted(path) {
		return target, nil
	}
	who, foreign := d.judge(as, w.own)
	if len(who) == 0 {
		return target, nil
	}
	return "", &Error{
		Path: w.path, Component: path, Link: target != "", Foreign: foreign, SIDs: who, Who: namesOf(who), Owner: accountName(d.owner),
	}
}

func namesOf(sids []string) string {
	names := make([]string, len(sids))
	for i, sid := range sids {
		names[i] = accountName(sid)
	}
	return strings.Join(names, " and ")
}

func (w *walk) excepted(path string) bool {
	return slices.ContainsFunc(w.policy.Except, func(except string) bool { return strings.EqualFold(filepath.Clean(except), path) })
}

// Others says who else than the system, administrators and the account that the program runs
// as may change a file, or what lies in a folder; nil for nobody. What is above it is not
// looked at, and no link is followed.
func Others(path string) (*Error, error) {
	d, _, err := lookAt(path, windows.FILE_FLAG_OPEN_REPARSE_POINT)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	who, foreign := d.judge(last, ownSID())
	if len(who) == 0 {
		return nil, nil
	}
	return &Error{Path: path, Component: path, Foreign: foreign, SIDs: who, Who: namesOf(who), Owner: accountName(d.owner)}, nil
}

// Exposed says whether everybody may read a file, or what a link leads to, and what to do
// where it holds a secret.
func Exposed(path string, _ fs.FileInfo) (remedy string, exposed bool) {
	d, _, err := lookAt(path, 0)
	if err != nil {
		return "", false // the reader says so
	}
	who := d.readers()
	if len(who) == 0 {
		return "", false
	}
	return "keep what is secret in a file of its own, which not everybody may read: " + icacls(path, who), true
}

// lookAt reads the descriptor of a file: with FILE_FLAG_OPEN_REPARSE_POINT that of the file
// itself, and no link's target's.
func lookAt(path string, flag uint32) (d *descriptor, attributes uint32, err error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, 0, err
	}
	const shareAll = windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE | windows.FILE_SHARE_DELETE
	handle, err := windows.CreateFile(name, windows.READ_CONTROL|windows.FILE_READ_ATTRIBUTES, shareAll, nil, windows.OPEN_EXISTING,
		windows.FILE_FLAG_BACKUP_SEMANTICS|flag, 0)
	if err != nil {
		return nil, 0, err
	}
	defer windows.CloseHandle(handle) //nolint:errcheck // nothing was written
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(handle, &info); err != nil {
		return nil, 0, err
	}
	sd, err := windows.GetSecurityInfo(handle, windows.SE_FILE_OBJECT, windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return nil, 0, err
	}
	d, err = descriptorOf(sd)
	return d, info.FileAttributes, err
}

// descriptorOf takes a security descriptor apart.
func descriptorOf(sd *windows.SECURITY_DESCRIPTOR) (*descriptor, error) {
	d := &descriptor{}
	owner, _, err := sd.Owner()
	if err != nil {
		return nil, err
	}
	if owner != nil {
		d.owner = owner.String()
	}
	list, _, err := sd.DACL()
	if errors.Is(err, windows.ERROR_OBJECT_NOT_FOUND) || err == nil && list == nil {
		d.open = true
		return d, nil
	}
	if err != nil {
		return nil, err
	}
	for i := range uint32(list.AceCount) {
		var ace *windows.ACCESS_ALLOWED_ACE
		if err := windows.GetAce(list, i, &ace); err != nil {
			return nil, err
		}
		e, known := entryOf(ace)
		if known {
			d.entries = append(d.entries, e)
		}
	}
	return d, nil
}

// Kinds of entries. Those with a condition or a type are taken for what they may allow at
// most, and for nothing where they deny.
const (
	aceAllowed         = 0
	aceDenied          = 1
	aceAllowedCompound = 4
	aceAllowedObject   = 5
	aceAllowedCallback = 9
	aceAllowedTyped    = 11 // with a condition
)

func entryOf(ace *windows.ACCESS_ALLOWED_ACE) (e entry, known bool) {
	e = entry{inheritOnly: ace.Header.AceFlags&windows.INHERIT_ONLY_ACE != 0, rights: uint32(ace.Mask)}
	switch ace.Header.AceType {
	case aceDenied:
		e.deny = true
	case aceAllowed, aceAllowedCallback:
	case aceAllowedCompound, aceAllowedObject, aceAllowedTyped: // which no file has
		e.sid = sidEveryone
		return e, true
	default:
		return e, false
	}
	e.sid = (*windows.SID)(unsafe.Pointer(&ace.SidStart)).String()
	return e, true
}

// accountName gives the name of an account, or its SID where there is none.
func accountName(sid string) string {
	parsed, err := windows.StringToSid(sid)
	if err != nil {
		return sid
	}
	account, domain, _, err := parsed.LookupAccount("")
	switch {
	case err != nil || account == "":
		return sid
	case domain == "":
		return account
	}
	return domain + `\` + account
}
