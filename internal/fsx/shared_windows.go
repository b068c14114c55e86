package fsx

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Exact says whether a file's time of change is that of its last change while it
// is open: here it may become right only when all have closed it.
const Exact = false

// ErrNotFolder says that something else is where a folder is wanted; syscall.ENOTDIR
// is here the error of a folder that is missing.
var ErrNotFolder = errors.New("not a directory")

// Replaceable says whether a file can be replaced that is open and mapped into memory.
const Replaceable = false

const shareAll = windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE | windows.FILE_SHARE_DELETE

// openShared is os.OpenFile, but that others may rename, replace or remove the file
// meanwhile, as they may elsewhere; and that a file which is made for its owner alone
// is for nobody else.
func openShared(name string, flag int, perm fs.FileMode) (*os.File, error) {
	fail := func(err error) (*os.File, error) { return nil, &fs.PathError{Op: "open", Path: name, Err: err} }
	if name == "" {
		return fail(syscall.ENOENT)
	}
	path, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return fail(err)
	}
	access, create, attributes := how(flag)
	var security *windows.SecurityAttributes
	if flag&os.O_CREATE != 0 && perm&0o077 == 0 {
		if security, err = ownerAlone(false); err != nil {
			return fail(err)
		}
	}
	var handle windows.Handle
	err = patiently(func() (err error) {
		handle, err = windows.CreateFile(path, access, shareAll, security, create, attributes, 0)
		return err
	})
	if err != nil {
		if of, errAttributes := windows.GetFileAttributes(path); errors.Is(err, windows.ERROR_ACCESS_DENIED) && errAttributes == nil && of&windows.FILE_ATTRIBUTE_DIRECTORY != 0 {
			err = syscall.EISDIR // as os has it
		}
		return fail(err)
	}
	file := os.NewFile(uintptr(handle), name)
	if flag&os.O_TRUNC != 0 {
		if err := file.Truncate(0); err != nil {
			_ = file.Close() // nothing was written
			return nil, err
		}
	}
	return file, nil
}

// how turns the flags of os.OpenFile into those of this system.
func how(flag int) (access, create, attributes uint32) {
	attributes = windows.FILE_ATTRIBUTE_NORMAL
	switch {
	case flag&os.O_APPEND != 0:
		// Without FILE_WRITE_DATA all that is written goes to the end.
		access = windows.FILE_APPEND_DATA | windows.FILE_WRITE_ATTRIBUTES | windows.FILE_WRITE_EA | windows.STANDARD_RIGHTS_WRITE | windows.SYNCHRONIZE
		if flag&os.O_TRUNC != 0 {
			access |= windows.FILE_WRITE_DATA
		}
		if flag&os.O_RDWR != 0 {
			access |= windows.GENERIC_READ
		}
	case flag&os.O_RDWR != 0:
		access = windows.GENERIC_READ | windows.GENERIC_WRITE
	case flag&os.O_WRONLY != 0:
		access = windows.GENERIC_WRITE
	default:
		access = windows.GENERIC_READ
		attributes |= windows.FILE_FLAG_BACKUP_SEMANTICS // it may be a folder
	}
	switch {
	case flag&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL:
		create = windows.CREATE_NEW
		attributes |= windows.FILE_FLAG_OPEN_REPARSE_POINT // no link is followed
	case flag&os.O_CREATE != 0:
		create = windows.OPEN_ALWAYS
	default:
		create = windows.OPEN_EXISTING
	}
	return access, create, attributes
}

// ownerAlone lets only the system, administrators and the bridge's account have what is
// made; of a folder also all that is made in it. What is allowed in the folder above
// is not inherited.
func ownerAlone(folder bool) (*windows.SecurityAttributes, error) {
	who := []string{"SY", "BA"}
	// That a token is elevated does not say that it is an administrator's: a service's
	// may be for its rights alone.
	administrators, err := windows.CreateWellKnownSid(windows.WinBuiltinAdministratorsSid)
	if err != nil {
		return nil, err
	}
	if member, err := windows.Token(0).IsMember(administrators); err != nil || !member {
		user, err := windows.GetCurrentProcessToken().GetTokenUser()
		if err != nil {
			return nil, err
		}
		who = append(who, user.User.Sid.String())
	}
	inherited := ""
	if folder {
		inherited = "OICI"
	}
	text := "D:P"
	for _, sid := range who {
		text += "(A;" + inherited + ";FA;;;" + sid + ")"
	}
	descriptor, err := windows.SecurityDescriptorFromString(text)
	if err != nil {
		return nil, err
	}
	return &windows.SecurityAttributes{Length: uint32(unsafe.Sizeof(windows.SecurityAttributes{})), SecurityDescriptor: descriptor}, nil
}

// mkdir is os.Mkdir, but that a folder which is made for its owner alone is for
// nobody else from its first moment on.
func mkdir(name string, perm fs.FileMode) error {
	if perm&0o077 != 0 {
		return os.Mkdir(name, perm)
	}
	security, err := ownerAlone(true)
	var path *uint16
	if err == nil {
		path, err = windows.UTF16PtrFromString(name)
	}
	if err == nil {
		err = windows.CreateDirectory(path, security)
	}
	if err != nil {
		return &fs.PathError{Op: "mkdir", Path: name, Err: err}
	}
	return nil
}

// rename is os.Rename; when it returns nil, the name is on the disk.
func rename(from, to string) error {
	path, err := windows.UTF16PtrFromString(from)
	var next *uint16
	if err == nil {
		next, err = windows.UTF16PtrFromString(to)
	}
	if err == nil {
		err = windows.MoveFileEx(path, next, windows.MOVEFILE_REPLACE_EXISTING|windows.MOVEFILE_WRITE_THROUGH)
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// inTheWay are the errors of what somebody else has open, as what looks for viruses
// and what makes backups do for a moment. To remove or replace that is "access denied".
var inTheWay = []error{windows.ERROR_SHARING_VIOLATION, windows.ERROR_ACCESS_DENIED, windows.ERROR_LOCK_VIOLATION, windows.ERROR_USER_MAPPED_FILE}

// patiently does it again, for half a second at most, while somebody else is in the way.
func patiently(do func() error) error {
	for pause := 8 * time.Millisecond; ; pause *= 2 {
		err := do()
		if err == nil || pause > 256*time.Millisecond || !slices.ContainsFunc(inTheWay, func(way error) bool { return errors.Is(err, way) }) {
			return err
		}
		<-time.After(pause)
	}
}

var reOpenFile = windows.NewLazySystemDLL("kernel32.dll").NewProc("ReOpenFile")

// syncFolder has the names in an open folder be on the disk, where the file system
// does so when it is asked.
func syncFolder(dir *os.File) error {
	handle, _, err := reOpenFile.Call(dir.Fd(), windows.GENERIC_WRITE, shareAll, windows.FILE_FLAG_BACKUP_SEMANTICS)
	if windows.Handle(handle) == windows.InvalidHandle {
		return ignored(err)
	}
	defer windows.CloseHandle(windows.Handle(handle)) //nolint:errcheck // nothing was written
	return ignored(windows.FlushFileBuffers(windows.Handle(handle)))
}

// ignored leaves out the errors of who may not ask, or has a file system that cannot be
// asked: NTFS then sees to it by itself, as it always has with a file that is synced.
func ignored(err error) error {
	for _, may := range []error{
		windows.ERROR_ACCESS_DENIED, windows.ERROR_INVALID_FUNCTION, windows.ERROR_NOT_SUPPORTED, windows.ERROR_INVALID_HANDLE, windows.ERROR_INVALID_PARAMETER,
		windows.ERROR_SHARING_VIOLATION,
	} {
		if errors.Is(err, may) {
			return nil
		}
	}
	return err
}
