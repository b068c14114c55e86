package testkit

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// systemTexts are texts of Windows' errors, as the file system gives them, and those of
// the same errors elsewhere, which tests are written with.
var systemTexts = []struct {
	number syscall.Errno // of Windows
	text   string
}{
	{2, "no such file or directory"}, // ERROR_FILE_NOT_FOUND
	{3, "no such file or directory"}, // ERROR_PATH_NOT_FOUND
	{5, "permission denied"},         // ERROR_ACCESS_DENIED
	{80, "file exists"},              // ERROR_FILE_EXISTS
	{183, "file exists"},             // ERROR_ALREADY_EXISTS
	{145, "directory not empty"},     // ERROR_DIR_NOT_EMPTY
	{267, "not a directory"},         // ERROR_DIRECTORY
}

// UnixText gives a text with Windows' errors and paths as they are elsewhere: each \ is a /.
// There it is left as it is.
func UnixText(text string) string {
	if runtime.GOOS != "windows" {
		return text
	}
	for _, e := range systemTexts {
		text = strings.ReplaceAll(text, e.number.Error(), e.text)
	}
	return strings.NewReplacer(`\\`, "/", `\`, "/").Replace(text) // \\ where it is escaped
}

// Symlinks says whether symbolic links can be made here: Windows asks for a privilege, and
// Wine 8 says that it has made one, and has not.
func Symlinks(t testing.TB) bool {
	t.Helper()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("nothing", link); err != nil {
		if runtime.GOOS != "windows" {
			t.Fatal(err)
		}
		return false
	}
	info, err := os.Lstat(link)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

// NeedSymlinks skips a test of symbolic links where none can be made.
func NeedSymlinks(t testing.TB) {
	t.Helper()
	if !Symlinks(t) {
		t.Skip("no symbolic link can be made here: Windows asks for a privilege, and Wine 8 makes none")
	}
}

// Wine says whether this is Wine's Windows.
func Wine() bool { return wine() }

// NeedManyLooks skips a test that looks thousands of times whether a locked file is in its
// place.
func NeedManyLooks(t testing.TB) {
	t.Helper()
	if Wine() {
		t.Skip("Wine 8 keeps a descriptor for each look at a locked file, and has no more after some thousands")
	}
}

// NeedRemovals skips a test that moves a folder in which files are open, or removes or
// replaces a file that is mapped into memory.
func NeedRemovals(t testing.TB) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("Windows moves no folder in which a file is open, and neither removes nor replaces a file that is mapped into memory")
	}
}

// NeedExactTimes skips a test that finds by its time that an open file was written to.
func NeedExactTimes(t testing.TB) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("Windows tells when a file was written to only after all have closed it")
	}
}

// TempDir is t.TempDir for a file that may stay mapped into memory to the end of the
// program, which keeps it from being removed on Windows.
func TempDir(t testing.TB) string {
	t.Helper()
	if runtime.GOOS != "windows" {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp("", "mapped")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
