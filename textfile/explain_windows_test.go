package textfile

import (
	"io/fs"
	"testing"

	"golang.org/x/sys/windows"
)

// TestExplainWriteProtected: Windows has no units whose rights could be widened.
func TestExplainWriteProtected(t *testing.T) {
	err := &fs.PathError{Op: "open", Path: `E:\metrics`, Err: windows.ERROR_WRITE_PROTECT}
	want := err.Error() + " (its disk is write-protected: name a folder on another one)"
	if got := explain(err).Error(); got != want {
		t.Errorf("%s, want\n%s", got, want)
	}
}
