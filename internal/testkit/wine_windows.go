package testkit

import (
	"errors"
	"testing"

	"golang.org/x/sys/windows"
)

func wine() bool {
	return windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil
}

// Kept says whether an error is that of Windows about a file which cannot be cut, since it
// is mapped into memory: such harm cannot be done there.
func Kept(err error) bool { return errors.Is(err, windows.ERROR_USER_MAPPED_FILE) }

// open says whether somebody has a file open.
func open(path string) error {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return err
	}
	handle, err := windows.CreateFile(name, windows.GENERIC_READ, 0, nil, windows.OPEN_EXISTING, 0, 0)
	if err != nil {
		return err
	}
	return windows.CloseHandle(handle)
}

// Held gives what this process has of a file, as far as that can be seen: whether it is
// open. That it is mapped keeps the folder of the test from being removed.
func Held(t testing.TB, path string) []string {
	t.Helper()
	if err := open(path); err != nil {
		return []string{err.Error()}
	}
	return nil
}
