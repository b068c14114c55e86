package fsx

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Links is how many names an open file has. One that is to be removed when all have
// closed it has none.
func Links(f *os.File) (uint64, error) {
	var info struct { // FILE_STANDARD_INFO
		allocated, size   int64
		names             uint32
		removed, isFolder bool
	}
	err := windows.GetFileInformationByHandleEx(windows.Handle(f.Fd()), windows.FileStandardInfo, (*byte)(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)))
	if err != nil {
		return 0, &os.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	if info.removed {
		return 0, nil
	}
	return uint64(info.names), nil
}

// Lock takes an exclusive lock on a file that ends with the process, or when the
// file is closed; ErrLocked when somebody else has it. The locked byte lies
// beyond the text, which others may read.
func Lock(f *os.File) error {
	at := &windows.Overlapped{OffsetHigh: 1}
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return ErrLocked
	}
	return err
}

// Writable says why this process can make no file in a folder, as far as that is known
// without making one.
func Writable(folder string) error {
	path, err := windows.UTF16PtrFromString(folder)
	var handle windows.Handle
	if err == nil {
		const addFile = windows.FILE_WRITE_DATA // of a folder
		handle, err = windows.CreateFile(path, addFile, shareAll, nil, windows.OPEN_EXISTING, windows.FILE_FLAG_BACKUP_SEMANTICS, 0)
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: folder, Err: err}
	}
	return windows.CloseHandle(handle)
}
