package fsx

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/windows"
)

// TestOwnerAlone has what is made for its owner alone be so, with what is in it, and
// nothing be inherited from the folder above.
func TestOwnerAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "alone")
	must(t, OS{}.Mkdir(dir, 0o700))
	alone, err := ownerAlone(true)
	must(t, err)
	want := "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
	if token := windows.GetCurrentProcessToken(); !token.IsElevated() {
		user, err := token.GetTokenUser()
		must(t, err)
		want += "(A;OICI;FA;;;" + user.User.Sid.String() + ")"
	}
	if got := alone.SecurityDescriptor.String(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	f, err := OS{}.OpenFile(filepath.Join(dir, "f"), os.O_WRONLY|os.O_CREATE, 0o600)
	must(t, err)
	must(t, f.Close())
	for _, path := range []string{dir, filepath.Join(dir, "f")} {
		sd, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION)
		must(t, err)
		if list := sd.String(); strings.Contains(list, ";WD)") || strings.Contains(list, ";BU)") || strings.Contains(list, ";AU)") {
			t.Errorf("%s: %s", path, list)
		}
	}
}
